"""Failures that a person is to read: which step, what happened, the end of its log, and what to do."""

from __future__ import annotations

import pathlib

TAIL_LINES = 15


class ClusterError(Exception):
    """A step of the local cluster failed; `str()` is the whole message for the terminal."""

    def __init__(self, step: str, problem: str, advice: str, log: pathlib.Path | None = None) -> None:
        self.step = step
        self.problem = problem
        self.advice = advice
        self.log = log
        self.tail = tail(log) if log else ""
        super().__init__(self._message())

    def _message(self) -> str:
        lines = [f"{self.step}: {self.problem}"]
        if self.tail:
            lines += [f"last lines of {self.log}:", *(f"  | {line}" for line in self.tail.splitlines())]
        return "\n".join([*lines, f"what to do: {self.advice}"])


def tail(path: pathlib.Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log; empty when there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 64 * 1024))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
