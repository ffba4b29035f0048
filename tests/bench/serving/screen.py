"""What the terminal shows while it runs: a line for each window, with its ratio to Serin's."""

from .loads import CLOSED, HALF, SOAK, Load
from .measure import Window
from .results import Results

BY_NAME: dict[str, Load] = {load.name: load for load in (*CLOSED, HALF, SOAK)}


def describe(window: Window, seen: Results) -> str:
    """One window as a line."""
    serin = seen.median("Serin", window.dialect, window.model, BY_NAME[window.load], lambda w: w.cpu)
    ratio = f"{window.cpu / serin:5.1f} ×" if serin else "      –"
    trouble = f"  [red]{window.errors} errors: {window.error}[/red]" if window.errors else ""
    return (
        f"{window.model:9} {window.load:16} {window.peer:26} {window.dialect:16}"
        f"{window.cpu:9.0f} µs CPU {ratio} {window.per_second:9.1f}/s  p50 {window.p50:8.2f}  p99 {window.p99:8.2f} ms"
        f"  {window.memory:5.0f} MB  generator {100 * window.generator:3.0f} %{trouble}"
    )
