"""Arrow IPC streams and Parquet files: read by a process of its own, written by ours.

`arrow_process` says why. It is started with the first such request and ended when none has come for a while, so that a
pod that never gets one does without.
"""

import io
import json
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np

from serin_services.server import schema
from serin_services.server.schema import Array, Refusal

IDLE_SECONDS = 10.0
# Longer than the largest table takes on a slow machine.
READ_SECONDS = 60.0


class Reader:
    """Reads tables, one after the other; may be called from any thread but the event loop's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: threading.Timer | None = None

    def read(self, model: schema.Schema, form: str, body: bytes) -> Array:
        """Give the rows of a table whose columns are the features, in any order.

        Raises:
            schema.Refusal: with the first thing that is wrong.
        """
        with self._lock:
            if self._idle is not None:
                self._idle.cancel()
            answer, numbers = self._ask(model, form, body)
            self._idle = threading.Timer(IDLE_SECONDS, self.end)
            self._idle.daemon = True
            self._idle.start()
        if "wrong" in answer:
            reason, field, expected, got = answer["wrong"]
            raise Refusal(reason, field, expected, got, mismatch=reason != "InvalidRequest")
        model.check_names(answer["columns"], "columns")
        model.check_count(answer["rows"], "rows")
        return model.fit(np.frombuffer(numbers, "<f8").reshape(answer["rows"], model.width))

    def end(self) -> None:
        """End the process, unless a table is being read."""
        if self._lock.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _ask(self, model: schema.Schema, form: str, body: bytes) -> tuple[dict[str, Any], bytes]:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = start()
        watchdog = threading.Timer(READ_SECONDS, process.kill)
        watchdog.start()
        asked = {"format": form, "size": len(body), "columns": model.names, "max_rows": model.max_rows}
        try:
            assert process.stdin  # noqa: S101 - both are pipes
            assert process.stdout  # noqa: S101
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.write(body)
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            wanted = 0 if "wrong" in answer or set(answer["columns"]) != set(model.names) else answer["rows"]
            numbers = process.stdout.read(wanted * model.width * 8)
        except (OSError, ValueError):
            # It died of the table: what it said is no whole answer.
            self._drop()
            return {"wrong": ["InvalidRequest", "body", f"a table as {form}", "one that cannot be read"]}, b""
        finally:
            watchdog.cancel()
        return answer, numbers

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe:
                    pipe.close()
            except OSError:
                # What was not yet written has nobody to go to.
                continue
        process.wait()


def start() -> subprocess.Popen[bytes]:
    """Start the process that reads."""
    return subprocess.Popen(
        [sys.executable, "-m", "serin_services.server.http.arrow_process"],
        # Each thread of it would reserve memory that nothing uses.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def write(columns: dict[str, Array | list[str]], form: str) -> bytes:
    """Write a table."""
    import arro3.io  # noqa: PLC0415 - see the module
    from arro3.core import Array as Arrow  # noqa: PLC0415
    from arro3.core import DataType, Table  # noqa: PLC0415

    made: dict[str, Any] = {
        name: Arrow(values, DataType.string()) if isinstance(values, list) else Arrow.from_numpy(values)
        for name, values in columns.items()
    }
    target = io.BytesIO()
    table = Table.from_pydict(made)
    if form == "arrow":
        arro3.io.write_ipc_stream(table, target)
    else:
        arro3.io.write_parquet(table, target)
    return target.getvalue()
