"""versitygw, a real S3 server over a folder: built from its pinned Go modules, and run on a loopback port."""

import contextlib
import dataclasses
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from serin_local import layout, store
from serin_services.registry.artifacts import bucket
from support import server_process

MODULE = Path(__file__).parent / "versitygw"
PROGRAM = "github.com/versity/versitygw/cmd/versitygw"
ADVICE = "check that Go is installed (`go version`) and reaches its modules (`go env GOPROXY`); then run it again"
DEADLINE_SECONDS = 60
BUCKET = "artifacts"


def build() -> Path:
    """Give the program, built where it is not in the cache."""
    home = layout.default()

    def make(draft: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            source = shutil.copytree(MODULE, Path(scratch) / "source")
            argv = [
                "go",
                "build",
                "-mod=readonly",
                "-trimpath",
                "-ldflags",
                "-s -w",
                "-o",
                str(draft / "versitygw"),
                PROGRAM,
            ]
            store.execute(home, "build versitygw", argv, ADVICE, cwd=source, env={**os.environ, "CGO_ENABLED": "0"})

    return store.ensure(home, "versitygw", store.make_key_of_files(MODULE.iterdir()), make) / "versitygw"


@dataclasses.dataclass
class Server:
    """An S3 server that can be killed and started again on its port and folder."""

    program: Path
    folder: Path
    address: bucket.Address
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the server writes."""
        return self.folder / "log"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        # A folder at the top is a bucket.
        data = self.folder / "data"
        (data / self.address.bucket).mkdir(parents=True, exist_ok=True)
        environment = {
            "ROOT_ACCESS_KEY": self.address.access_key,
            "ROOT_SECRET_KEY": self.address.secret_key,
            "PATH": os.environ["PATH"],
        }
        host = self.address.endpoint.removeprefix("http://")
        argv = [self.program, "--port", host, "--keep-alive", "--health", "/health", "--quiet", "posix", data]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, env=environment, cwd=self.folder, stdout=log, stderr=log)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline and self.process and self.process.poll() is None:
            with contextlib.suppress(requests.ConnectionError):
                requests.get(f"{self.address.endpoint}/health", timeout=5).raise_for_status()
                return
            time.sleep(0.02)
        raise AssertionError(f"versitygw does not answer; it wrote:\n{self.log.read_text()}")

    def add_bucket(self) -> bucket.Address:
        """Make one more bucket, which is empty; gives its address."""
        address = dataclasses.replace(self.address, bucket=f"{self.address.bucket}-{secrets.token_hex(4)}")
        (self.folder / "data" / address.bucket).mkdir()
        return address

    def kill(self) -> None:
        """End the server as a power cut would: at once, and without a word to anybody."""
        if self.process:
            self.process.kill()
            self.process.wait(DEADLINE_SECONDS)

    def files(self) -> list[Path]:
        """All files that lie in the bucket's folder: what the server keeps aside included."""
        return [file for file in (self.folder / "data" / self.address.bucket).rglob("*") if file.is_file()]


def make_address() -> bucket.Address:
    """An address on a free port, with new credentials."""
    (port,) = server_process.free_ports(1)
    return bucket.Address(BUCKET, f"http://127.0.0.1:{port}", secrets.token_hex(8), secrets.token_hex(16))


@contextlib.contextmanager
def run(folder: Path) -> Iterator[Server]:
    """Give a running server of the folder, with an empty bucket and credentials of its own; it ends with the block."""
    server = Server(build(), folder, make_address())
    try:
        server.start()
        yield server
    finally:
        server.kill()
