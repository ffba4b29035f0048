"""Progress where nobody watches: one plain line for each step, with its time."""

import io
import re

import pytest
import rich.console

from serin_local import progress


@pytest.fixture
def shown() -> progress.Progress:
    return progress.Progress(rich.console.Console(file=io.StringIO(), force_terminal=False, soft_wrap=True))


def text(shown: progress.Progress) -> str:
    file = shown.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_step_that_is_done(shown: progress.Progress) -> None:
    with shown.shown(), shown.step("build [kube]"):
        pass

    assert re.fullmatch(r"✓ build \[kube\] +\d+\.\d s\n", text(shown))
    assert shown.times["build [kube]"] >= 0


def test_a_step_that_failed(shown: progress.Progress) -> None:
    with pytest.raises(KeyError), shown.step("build"):
        raise KeyError("x")

    assert re.fullmatch(r"✗ build +\d+\.\d s\n", text(shown))
