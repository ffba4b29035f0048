"""The real model server as a process of its own, on free ports."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

DEADLINE_SECONDS = 60


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclasses.dataclass
class ServerProcess:
    process: subprocess.Popen[bytes]
    http_port: int
    grpc_port: int
    metrics_port: int
    log: Path
    termination_log: Path

    def call(self, path: str, body: object = None, *, method: str | None = None, **headers: str) -> Answer:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:  # noqa: S310 - its own address
                return Answer(response.status, dict(response.headers), json.loads(response.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), json.loads(error.read()))

    def readiness(self) -> Answer | None:
        try:
            return self.call("/readyz")
        except OSError:
            return None

    def wait_until(self, status: int) -> Answer:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            answer = self.readiness()
            if answer and answer.status == status:
                return answer
            if answer is None and self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"/readyz did not answer {status}; the server wrote:\n{self.log.read_text()}")

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as response:
            return response.read().decode()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(DEADLINE_SECONDS)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start(package: Path, scratch: Path, *command: str, **environment: str) -> ServerProcess:
    http_port, grpc_port, metrics_port = free_ports(3)
    scratch.mkdir(parents=True, exist_ok=True)
    log, termination_log = scratch / "log", scratch / "termination-log"
    termination_log.touch()
    settings = {
        "SERIN_PACKAGE": str(package),
        "SERIN_HOST": "127.0.0.1",
        "SERIN_HTTP_PORT": str(http_port),
        "SERIN_GRPC_PORT": str(grpc_port),
        "SERIN_METRICS_PORT": str(metrics_port),
        "SERIN_TERMINATION_LOG": str(termination_log),
        # Only `bentoml serve` reads these.
        "BENTOML_HOST": "127.0.0.1",
        "BENTOML_PORT": str(http_port),
        "BENTOML_HOME": str(scratch / "bentoml"),
        **environment,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *(command or ("-m", "serin_services.server"))],
            env={**os.environ, **settings},
            cwd=scratch,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return ServerProcess(process, http_port, grpc_port, metrics_port, log, termination_log)
