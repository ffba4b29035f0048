"""Starting processes, knowing them again, and ending exactly those.

A process id alone says little: ids are used again. So each process is known by id and start time, and carries a mark
in its environment that its children (containerd's shims) inherit. The mark finds the ones whose starter was killed
before it could write them down.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence

from .components import Component
from .layout import Layout

MARK = "SERIN_LOCAL_CLUSTER"
PROC = pathlib.Path("/proc")
POLL_SECONDS = 0.05
_writing = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Process:
    """A process that was started here: `started` is its start time in clock ticks since boot."""

    name: str
    pid: int
    started: int


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it is gone or is only waiting to be reaped."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def alive(process: Process) -> bool:
    """Whether this very process still runs."""
    return start_time(process.pid) == process.started


def program(process: Process) -> pathlib.Path | None:
    """The file that a process runs; None when it is gone."""
    if not alive(process):
        return None
    try:
        return (PROC / str(process.pid) / "exe").readlink()
    except OSError:  # gone meanwhile
        return None


def read(layout: Layout) -> list[Process]:
    """The processes that were written down, alive or not."""
    try:
        rows = json.loads(layout.processes.read_text())
    except (
        FileNotFoundError,
        json.JSONDecodeError,
    ):  # an `up` that was killed while it wrote: the mark still finds them
        return []
    return [Process(row["name"], row["pid"], row["started"]) for row in rows]


def start(layout: Layout, component: Component, path: str) -> Process:
    """Start a component in a session of its own, its output going to its log, and write it down."""
    log = layout.log / f"{component.name}.log"
    environment = {**os.environ, "PATH": path, MARK: str(layout.cluster)}
    with log.open("wb") as output:
        child = subprocess.Popen(
            component.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=layout.run,
            env=environment,
            start_new_session=True,
        )
    process = Process(component.name, child.pid, start_time(child.pid) or 0)
    # It is to outlive us, so nobody here waits for its end; `_wait_gone` reaps it if it ends before we do.
    child.returncode = 0
    with _writing:
        _write(layout, [*(other for other in read(layout) if other.name != process.name), process])
    return process


def _write(layout: Layout, processes: Iterable[Process]) -> None:
    temporary = layout.processes.with_suffix(".new")
    temporary.write_text(json.dumps([dataclasses.asdict(process) for process in processes], indent=1))
    temporary.replace(layout.processes)


def marked(layout: Layout) -> list[Process]:
    """Every living process that carries this cluster's mark, written down or not."""
    wanted = f"{MARK}={layout.cluster}".encode()
    found = []
    for folder in PROC.glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # gone meanwhile
            continue
        started = start_time(int(folder.name))
        if wanted in environment and started is not None and int(folder.name) != os.getpid():
            found.append(Process(_name(folder), int(folder.name), started))
    return found


def _name(folder: pathlib.Path) -> str:
    try:
        return pathlib.Path((folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")).name
    except OSError:
        return folder.name


def stop(processes: Sequence[Process], seconds: float) -> None:
    """End processes: ask, wait up to `seconds`, then insist. An id that is another's by now is left alone."""
    for process in processes:
        _send(process, signal.SIGTERM)
    if _wait_gone(processes, seconds):
        return
    for process in processes:
        _send(process, signal.SIGKILL)
    _wait_gone(processes, 10)


def _send(process: Process, number: signal.Signals) -> None:
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        # The handle stays with the process it was opened on, so the id cannot change hands after this check.
        if alive(process):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def _wait_gone(processes: Sequence[Process], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        for process in processes:
            with contextlib.suppress(ChildProcessError):  # not our child: somebody else reaps it
                os.waitpid(process.pid, os.WNOHANG)
        if not any(alive(process) for process in processes):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)


def memory(roots: Sequence[Process]) -> int:
    """Memory in bytes of these processes and all below them, pods included; shared pages are counted once."""
    children: dict[int, list[int]] = {}
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    pending, seen = [process.pid for process in roots if alive(process)], set[int]()
    while pending:
        pid = pending.pop()
        if pid not in seen:
            seen.add(pid)
            pending += children.get(pid, [])
    return sum(_proportional(pid) for pid in seen)


def _proportional(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # gone meanwhile
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
