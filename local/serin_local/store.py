"""A cache by content: everything that is built or downloaded stands in a folder named by the hash of its inputs."""

from __future__ import annotations

import fcntl
import hashlib
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence

from . import errors
from .layout import Layout

KEY_LENGTH = 12


def make_key(*inputs: str | bytes) -> str:
    """The hash of all inputs, each by its length first, so that no two lists of inputs read alike."""
    digest = hashlib.sha256()
    for item in inputs:
        data = item.encode() if isinstance(item, str) else item
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()[:KEY_LENGTH]


def make_key_of_files(files: Iterable[pathlib.Path], *inputs: str) -> str:
    """The hash of files (names and contents) and other inputs."""
    parts: list[str | bytes] = [*inputs]
    for file in sorted(files):
        parts += [file.name, file.read_bytes()]
    return make_key(*parts)


def path(layout: Layout, name: str, key: str) -> pathlib.Path:
    """Where the thing of this name and key stands, or would stand."""
    return layout.store / f"{name}-{key}"


def ensure(layout: Layout, name: str, key: str, make: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """The folder of this name and key, made by `make` unless it is there, and never seen half-made.

    Whoever comes second waits: two processes that need the same thing would build it twice and trip over each other.
    """
    target = path(layout, name, key)
    if target.is_dir():
        return target
    layout.store.mkdir(parents=True, exist_ok=True)
    with (layout.store / f".{name}-{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _make_in_place(layout, target, make)
    return target


def _make_in_place(layout: Layout, target: pathlib.Path, make: Callable[[pathlib.Path], None]) -> None:
    draft = layout.work / target.name
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        make(draft)
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def execute(
    layout: Layout,
    step: str,
    argv: Sequence[str],
    advice: str,
    *,
    cwd: pathlib.Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command of a step with its output in the step's log. Raises `ClusterError` with the end of that."""
    layout.build_logs.mkdir(parents=True, exist_ok=True)
    log = layout.build_logs / f"{step.replace(' ', '-')}.log"
    with log.open("ab") as output:
        output.write(f"$ {' '.join(argv)}\n".encode())
        output.flush()
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=cwd, env=env, check=False
        )
    if done.returncode:
        raise errors.ClusterError(step, f"`{argv[0]}` ended with {done.returncode}", advice, log)
