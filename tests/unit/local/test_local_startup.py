"""A start that fails says which step it was, shows the end of its log, and stops what has become pointless."""

import pathlib
import sys
import threading

import pytest

from serin_local import builds, components, downloads, errors, preparation, processes, progress, startup, versions
from serin_local.layout import Layout

PINS = versions.load()


@pytest.fixture
def layout(tmp_path: pathlib.Path) -> Layout:
    made = Layout(tmp_path)
    made.run.mkdir(parents=True)
    made.log.mkdir(parents=True)
    return made


def test_a_component_that_ends_by_itself_shows_its_last_words(layout: Layout) -> None:
    argv = (sys.executable, "-c", "print('bind: address already in use'); raise SystemExit(1)")
    component = components.Component("etcd", argv, components.Check(socket=layout.run / "never.sock"))

    with pytest.raises(errors.ClusterError) as caught:
        startup._start_one(layout, component, "/usr/bin", [], progress.Progress())

    message = str(caught.value)
    assert message.startswith("start etcd: it ended by itself")
    assert "bind: address already in use" in message
    assert "what to do:" in message


def test_a_component_that_never_gets_ready_is_named(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "START_SECONDS", 0.0)
    argv = (sys.executable, "-c", "import time; time.sleep(600)")
    component = components.Component("kubelet", argv, components.Check(socket=layout.run / "never.sock"))

    with pytest.raises(errors.ClusterError, match="start kubelet: it is not ready after 0 s"):
        startup._start_one(layout, component, "/usr/bin", [], progress.Progress())

    processes.stop(processes.marked(layout), 0)


def test_no_build_is_begun_after_a_download_failed(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    failed, begun = threading.Event(), list[str]()

    def build(_: Layout, item: builds.Build, __: progress.Progress) -> pathlib.Path:
        begun.append(item.output)
        failed.set()
        return layout.store

    monkeypatch.setattr(builds, "ensure", build)

    preparation.build_all(layout, PINS, progress.Progress(), failed)

    assert begun == ["kube"]


def test_a_failed_download_fails_the_preparation(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise errors.ClusterError("apt-get install", "`apt-get` ended with 100", "check the network")

    monkeypatch.setattr(builds, "ensure", lambda *_: layout.store)
    monkeypatch.setattr(downloads, "ensure_tools", fail)

    with pytest.raises(errors.ClusterError, match="apt-get install"):
        preparation.prepare(layout, PINS, progress.Progress())


def test_a_component_waits_for_those_it_needs_and_fails_with_them(layout: Layout) -> None:
    failed: startup.Job = startup.Job()
    failed.set_exception(errors.ClusterError("start etcd", "it ended by itself", "look"))
    component = components.Component("kube-apiserver", ("true",), components.Check())

    with pytest.raises(errors.ClusterError, match="start etcd"):
        startup._start_one(layout, component, "/usr/bin", [failed], progress.Progress())

    assert processes.read(layout) == []
