"""Showing again and again: in place on a terminal, as lines elsewhere, and through an outage."""

import io
from collections.abc import Callable, Iterator

import pytest
from rich.console import Console
from rich.text import Text

from serin.cli import live, views
from serin.cli.errors import UnreachableError


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Let three periods pass at once; then the user interrupts."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("serin.cli.live.time.sleep", sleep)
    yield slept
    assert slept == [live.PERIOD_SECONDS] * 3


def read_with_outage() -> Callable[[], str]:
    """Give something, then an outage, then something else."""
    answers: list[str | None] = ["before", None, "after"]

    def read() -> str:
        answer = answers.pop(0)
        if answer is None:
            raise UnreachableError("the cluster does not answer")
        return answer

    return read


@pytest.mark.usefixtures("ticks")
def test_a_terminal_keeps_what_was_read_before_through_an_outage():
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80)

    live.redraw(console, read_with_outage(), Text)

    shown = file.getvalue()
    outage = shown.index("the cluster does not answer; trying again")
    assert shown.index("before") < shown.rindex("before", 0, outage) < outage < shown.index("after")


@pytest.mark.usefixtures("ticks")
def test_lines_go_to_stdout_and_an_outage_to_stderr(capsys):
    live.print_lines(read_with_outage(), lambda found: [found])

    assert capsys.readouterr() == ("before\nafter\n", "the cluster does not answer; trying again\n")


def test_a_table_in_a_pipe_has_whole_lines_without_padding(capsys, owner):
    message = "a long sentence " * 30
    table = views.make_table([owner(message=message)], views.parse_time("2026-01-01T12:00:00Z"), wide=True)

    live.print_table(Console(file=io.StringIO(), width=80), table, 150)

    header, row = capsys.readouterr().out.splitlines()
    assert header.endswith("MESSAGE")
    assert row.endswith(message.rstrip())


def test_a_table_on_a_narrow_terminal_cuts_no_name(owner):
    file = io.StringIO()
    table = views.make_table([owner("a-name-of-some-length")], views.parse_time("2026-01-01T12:00:00Z"))

    live.print_table(Console(file=file, force_terminal=True, color_system=None, width=40), table, 150)

    assert "a-name-of-some-length   True    Canary" in file.getvalue()
