"""The bare library call on the servers' core: timed once for the tables, and in turn with a server for shares of it."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import environments, processes
from .models import Model

# Gives microseconds by form and number of rows.
Time = Callable[[], dict[str, dict[str, float]]]


@contextlib.contextmanager
def open_library(model: Model, rows: Sequence[int], answers: Path) -> Iterator[Time]:
    """Have the model opened in a process that times calls whenever it is asked, and writes the answers to all inputs."""
    forms = {model.kind.family: model.artifact, **({"onnx": model.onnx} if model.onnx else {})}
    pairs = ",".join(f"{form}={path}" for form, path in forms.items())
    pinned = ("taskset", "-c", str(processes.SERVER_CORE), "env", "OMP_NUM_THREADS=1")
    script = str(environments.APPS / "library.py")
    given = (str(model.folder / model.kind.inputs), pairs, ",".join(map(str, rows)), str(answers))
    argv = [*pinned, sys.executable, script, *given]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def time() -> dict[str, dict[str, float]]:
            assert process.stdin
            assert process.stdout
            process.stdin.write("\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise processes.NotServedError("the bare call failed; its own words are above")
            found: dict[str, dict[str, float]] = json.loads(line)
            return found

        yield time
