"""Opens a model in a process of its own first, where it can do no harm.

The parsers of XGBoost and LightGBM trust their input: a broken file makes them write where they should not, abort, or
loop for ever, and no exception says so. So a process that has the library, and nothing else to lose, forks a child for
each model; how the child ends is the answer. ONNX Runtime and safetensors refuse what is broken by themselves.
"""

import atexit
import contextlib
import hashlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from serin_services.package import errors

# A model that takes longer to open does not end.
LIMIT_SECONDS = 60
# Memory that opening a model may take: so much, and so many times the size of its file.
MEMORY_BYTES, MEMORY_TIMES = 512 * 1024 * 1024, 16
# The process ends itself when nothing came for so long.
IDLE_SECONDS = 1.0


class Helper:
    """The process that forks a child for each model; started when it is needed, and again when it has ended."""

    def __init__(self) -> None:
        self.stays = True
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, family: str, artifact: bytes, seconds: int) -> dict[str, Any]:
        """Have a model opened, and give what came of it."""
        with self._turn:
            try:
                return self._exchange(family, artifact, seconds)
            except (OSError, ValueError):
                # It ended itself just now.
                self.close()
                return self._exchange(family, artifact, seconds)
            finally:
                if not self.stays:
                    self.close()

    def _exchange(self, family: str, artifact: bytes, seconds: int) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "serin_services.package.sandbox", str(IDLE_SECONDS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            # So that it is gone once it has ended itself.
            threading.Thread(target=self._process.wait, name="serin-sandbox", daemon=True).start()
        given, answers = self._process.stdin, self._process.stdout
        assert given is not None  # noqa: S101 - it was asked for above
        assert answers is not None  # noqa: S101 - it was asked for above
        header = {"family": family, "size": len(artifact), "seconds": seconds}
        given.write(json.dumps(header).encode() + b"\n" + artifact)
        given.flush()
        answer: dict[str, Any] = json.loads(answers.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                assert stream is not None  # noqa: S101 - both were asked for
                stream.close()
        process.wait()


_helper = Helper()
# What has passed, by family and digest: packaging opens the same model several times.
_passed: set[tuple[str, bytes]] = set()
atexit.register(_helper.close)


def leave_early() -> None:
    """Have the process end with its answer: a server asks once, and has better use for 54 MB while it opens the model."""
    _helper.stays = False


def check(family: str, artifact: bytes) -> None:
    """Have the model opened elsewhere first.

    Raises:
        errors.PackageError: the library refuses it, crashes over it, or never ends.
    """
    model = (family, hashlib.sha256(artifact).digest())
    if model in _passed:
        return
    answer = _helper.ask(family, artifact, LIMIT_SECONDS)
    if number := answer.get("signal"):
        what = (
            f"takes longer than {LIMIT_SECONDS} s over it"
            if number == signal.SIGALRM
            else f"ends with signal {number} over it"
        )
        raise errors.PackageError("ModelInvalid", f"{family} {what}; the file is broken: save the model again")
    if reason := answer.get("reason"):
        raise errors.PackageError(reason, answer["message"])
    _passed.add(model)


def serve(idle_seconds: float) -> None:
    """Answer one model after the other, until there is nothing more to do."""
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    while select.select([given], [], [], idle_seconds)[0] and (line := given.readline()):
        header = json.loads(line)
        answer = attempt(header["family"], given.read(header["size"]), header["seconds"])
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def attempt(family: str, artifact: bytes, seconds: int) -> dict[str, Any]:
    """Fork a child that opens the model, and see how it ends."""
    from serin_services.package import families  # noqa: PLC0415 - which imports this module

    chosen = families.FAMILIES[family]
    try:
        library = families.import_library(chosen)
    except errors.PackageError as error:
        return {"reason": error.reason, "message": error.message}
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        limit(seconds, len(artifact))
        silence()
        with os.fdopen(writing, "wb") as said:
            try_out(chosen, library, artifact, said)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        words = said.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    answer: dict[str, Any] = json.loads(words or b'{"signal": 6}')
    return answer


def try_out(family: Any, library: Any, artifact: bytes, said: BinaryIO) -> None:  # noqa: ANN401 - a Family; a module
    """Open the model and score zeros, and write what came of it."""
    import numpy as np  # noqa: PLC0415 - is there already, by the library

    answer: dict[str, str] = {}
    try:
        opened = family.open(library, artifact)
        rows = opened.inspection.inputs[0]
        opened.select(()).predict(np.zeros((2, rows.shape[1]), rows.dtype))
    except errors.PackageError as error:
        answer = {"reason": error.reason, "message": error.message}
    except Exception as error:  # noqa: BLE001 - whatever the library raises
        words = " ".join(str(error).split())[:300]
        answer = {
            "reason": "ModelInvalid",
            "message": f"{family.library} cannot open it: {words}; save the model again and package it again",
        }
    said.write(json.dumps(answer).encode())


def limit(seconds: int, artifact_bytes: int) -> None:
    """Let this process take so long, and so much memory beyond what it has, and leave no core file."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES + MEMORY_TIMES * artifact_bytes
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.alarm(seconds)


def silence() -> None:
    """Send what the library prints to nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)


if __name__ == "__main__":
    serve(float(sys.argv[1]))
