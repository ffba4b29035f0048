"""Progress on the terminal: a line for each step with its time; plain lines where nobody watches."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import rich.console
import rich.progress


class Progress:
    """Shows the steps that run, several at once, and how long each took. Steps may be entered from any thread."""

    def __init__(self, console: rich.console.Console | None = None) -> None:
        self.console = console or rich.console.Console(stderr=True, soft_wrap=True)
        self.times: dict[str, float] = {}
        self._live: rich.progress.Progress | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def shown(self) -> Iterator[Progress]:
        """Show spinners while the block runs, where there is a terminal."""
        if not self.console.is_terminal:
            yield self
            return
        columns = (
            rich.progress.SpinnerColumn(),
            rich.progress.TextColumn("{task.description}"),
            rich.progress.TimeElapsedColumn(),
        )
        with rich.progress.Progress(*columns, console=self.console, transient=True) as live:
            self._live = live
            try:
                yield self
            finally:
                self._live = None

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show one step while the block runs, then a line with its time."""
        task = self._live.add_task(name, total=None) if self._live else None
        begin = time.monotonic()
        outcome = "failed"
        try:
            yield
            outcome = "done"
        finally:
            seconds = time.monotonic() - begin
            if self._live and task is not None:
                self._live.remove_task(task)
            self._finish(name, outcome, seconds)

    def say(self, text: str) -> None:
        """Print one line beside the steps."""
        self.console.print(text, highlight=False, markup=False)

    def _finish(self, name: str, outcome: str, seconds: float) -> None:
        with self._lock:
            self.times[name] = seconds
        mark = "✓" if outcome == "done" else "✗"
        self.say(f"{mark} {name} {seconds:6.1f} s")
