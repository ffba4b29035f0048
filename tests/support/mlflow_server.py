"""A real MLflow tracking server and model registry: SQLite and a folder below a scratch folder, on a port of its own."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from support import environments
from support.server_process import free_ports

# Its first start makes its tables, which takes the most of this.
DEADLINE_SECONDS = 180
ENVIRONMENT = {
    # It calls nobody, and starts no workers for what is not tried here.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # What it imports takes 20 s to compile; Python may keep that.
    "PYTHONDONTWRITEBYTECODE": "",
}


@dataclasses.dataclass(frozen=True)
class MlflowServer:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:  # noqa: S310 - its own address
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def wait(self) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.is_ready():
                return
            time.sleep(0.1)
        raise AssertionError(f"the MLflow server did not become ready; it wrote:\n{self.log.read_text()}")

    def end(self) -> None:
        # It leads a group of its own: its workers end with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@contextlib.contextmanager
def run(scratch: Path) -> Iterator[MlflowServer]:
    """Run a server as long as the block; what it keeps lies below `scratch`."""
    python = environments.ensure("mlflow")
    (port,) = free_ports(1)
    scratch.mkdir(parents=True, exist_ok=True)
    log = scratch / "mlflow.log"
    command = [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = [
        "--backend-store-uri",
        f"sqlite:///{scratch / 'mlflow.db'}",
        "--artifacts-destination",
        str(scratch / "kept"),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *stores],
            env={**os.environ, **ENVIRONMENT, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"},
            cwd=scratch,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = MlflowServer(process, port, log)
    try:
        server.wait()
        yield server
    finally:
        server.end()
