"""Processes are known by id and start time; only those that were started here are ended."""

import dataclasses
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from serin_local import network, processes, teardown
from serin_local.components import Component
from serin_local.layout import Layout

SLEEP = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
)


@pytest.fixture
def layout(tmp_path: pathlib.Path) -> Iterator[Layout]:
    made = Layout(tmp_path)
    made.run.mkdir(parents=True)
    made.log.mkdir(parents=True)
    yield made
    processes.stop(processes.marked(made), 0)


def start(layout: Layout, name: str = "sleeper", argv: tuple[str, ...] = SLEEP) -> processes.Process:
    process = processes.start(layout, Component(name, argv), os.environ["PATH"])
    log = layout.log / f"{name}.log"
    while "up" not in log.read_text():  # the suite's own timeout is the deadline
        os.sched_yield()
    return process


def test_a_started_process_is_written_down_and_found_by_its_mark(layout: Layout) -> None:
    process = start(layout)

    assert processes.alive(process)
    assert processes.read(layout) == [process]
    assert [(found.pid, found.started) for found in processes.marked(layout)] == [(process.pid, process.started)]


def test_one_that_was_never_written_down_is_found_by_its_mark(layout: Layout) -> None:
    process = start(layout)
    layout.processes.unlink()

    assert processes.read(layout) == []
    assert [found.pid for found in processes.marked(layout)] == [process.pid]


def test_a_half_written_record_counts_as_none(layout: Layout) -> None:
    layout.processes.write_text('[{"name": "etc')

    assert processes.read(layout) == []


def test_stop_ends_a_process_that_listens(layout: Layout) -> None:
    process = start(layout)

    processes.stop([process], seconds=10)

    assert not processes.alive(process)


def test_stop_insists_with_one_that_does_not(layout: Layout) -> None:
    process = start(layout, argv=STUBBORN)

    processes.stop([process], seconds=0.1)

    assert not processes.alive(process)


def test_stop_leaves_another_process_of_the_same_id_alone() -> None:
    with subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL) as other:
        stranger = processes.Process("etcd", other.pid, (processes.start_time(other.pid) or 0) - 1)

        processes.stop([stranger], seconds=0)

        assert other.poll() is None
        other.kill()


def test_stop_of_one_that_is_gone_is_no_error(layout: Layout) -> None:
    process = start(layout)
    processes.stop([process], seconds=10)

    processes.stop([process], seconds=0)


def test_another_homes_processes_are_not_ours(layout: Layout, tmp_path: pathlib.Path) -> None:
    start(layout)

    assert processes.marked(Layout(tmp_path / "other")) == []


def test_a_home_that_started_nothing_takes_nothing_down(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Layout) -> None:
        raise AssertionError("the network of another cluster was touched")

    monkeypatch.setattr(network, "take_down", fail)

    teardown.take_down(Layout(tmp_path / "other"))


def test_memory_counts_a_process_once_and_its_children_too(layout: Layout) -> None:
    process = start(layout)

    once = processes.memory([process])

    assert once > 1_000_000
    assert processes.memory([process, process]) == pytest.approx(once, rel=0.5)
    assert processes.memory([dataclasses.replace(process, started=0)]) == 0
