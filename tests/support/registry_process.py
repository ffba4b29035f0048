"""The registry as a process of its own, which can be killed and started again on what it kept."""

import dataclasses
import datetime as dt
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import jwt
import requests

from serin_services.registry.client import Client
from support.server_process import free_ports

DEADLINE_SECONDS = 120
ISSUER = "tests"
AUDIENCE = "serin-registry"
PREFIX = "SERIN_REGISTRY_"


@dataclasses.dataclass
class RegistryProcess:
    """One registry: where it listens, what it is told, and the process while it runs."""

    settings: Mapping[str, str]
    log: Path
    port: int
    metrics_port: int
    secret: str = dataclasses.field(default_factory=lambda: secrets.token_hex(32), repr=False)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        given = {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "METRICS_PORT": str(self.metrics_port),
            "JWT_ALGORITHM": "HS256",
            "JWT_SECRET": self.secret,
            "JWT_ISSUER": ISSUER,
            "JWT_AUDIENCE": AUDIENCE,
            "RATE": "1000000/minute",
            "ADDRESS_RATE": "1000000/minute",
            **self.settings,
        }
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "serin_services.registry.main"],
                env={**os.environ, **{f"{PREFIX}{name}": value for name, value in given.items()}},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def wait(self) -> None:
        """Wait until it answers that it is ready."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline and self.process and self.process.poll() is None:
            if self.is_ready():
                return
            time.sleep(0.05)
        raise AssertionError(f"the registry did not become ready; it wrote:\n{self.log.read_text()[-8000:]}")

    def kill(self) -> None:
        """End it as a power cut would: at once, and without a word to anybody."""
        if self.process:
            self.process.kill()
            self.process.wait(30)

    def stop(self) -> int:
        """Ask it to end, and give its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def token(self, role: str = "developer", tenant: str = "desk", offices: Sequence[str] = ()) -> str:
        """Sign a token of somebody who holds these offices, as an identity provider would."""
        now = dt.datetime.now(dt.UTC)
        claims: dict[str, object] = {"sub": "ann", "tenant": tenant, "role": role, "offices": list(offices)}
        claims |= {"iss": ISSUER, "aud": AUDIENCE, "iat": now}
        return jwt.encode({**claims, "exp": now + dt.timedelta(hours=4)}, self.secret, algorithm="HS256")

    def client(
        self, role: str = "developer", tenant: str = "desk", offices: Sequence[str] = (), *, attempts: int = 4
    ) -> Client:
        return Client(self.url, self.token(role, tenant, offices), attempts=attempts)


def make(settings: Mapping[str, str], scratch: Path) -> RegistryProcess:
    """Make a registry with free ports; it is started by its own method."""
    port, metrics_port = free_ports(2)
    scratch.mkdir(parents=True, exist_ok=True)
    return RegistryProcess(settings, scratch / "registry.log", port, metrics_port)
