"""What the terminal shows while it runs: a line for each window, with its ratio to Serin's."""

from . import figures
from .loads import CLOSED, HALF, STRESS, Load
from .measure import Window
from .results import Results

BY_NAME: dict[str, Load] = {load.name: load for load in (*CLOSED, HALF, *STRESS)}


def describe(window: Window, seen: Results) -> str:
    """One window as a line of a table without an end."""
    serin = seen.median(figures.SERIN, window.dialect, window.model, BY_NAME[window.load], figures.cpu)
    ratio = f"{window.cpu / serin:4.1f} x" if serin else "      "
    trouble = f"  [red]{window.errors} errors: {window.error[:80]}[/red]" if window.errors else ""
    return (
        f"{window.model:8} {window.load:17} {window.peer:26} {window.dialect:15}{window.cpu:7.0f} µs {ratio}"
        f"{window.per_second:8.0f}/s {window.p50:8.2f} {window.p99:8.2f} ms {window.memory:4.0f} MB"
        f" client {100 * window.generator:3.0f} %{trouble}"
    )
