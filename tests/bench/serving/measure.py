"""One window of load against one server: the generator's counts, and the server's processor time meanwhile."""

import dataclasses
import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from . import processes
from .dialects import Dialect, Request
from .loads import Load
from .models import Array, Model

# float32 sums of a few hundred trees, and of a network on another order of additions.
TOLERANCE = 1e-3
LARGEST_MESSAGE = 64 << 20


@dataclasses.dataclass(frozen=True)
class Window:
    """What was measured: times in ms, CPU in µs per request, memory in MB."""

    peer: str
    dialect: str
    model: str
    load: str
    requests: int
    errors: int
    error: str
    per_second: float
    cpu: float
    p50: float
    p99: float
    p999: float
    memory: float
    # The generator's share of its core: near 1, it was the limit.
    generator: float
    waiting: int


@dataclasses.dataclass(frozen=True)
class Asking:
    """A dialect, spoken to one server about one model."""

    peer: str
    dialect: Dialect
    model: Model
    server: processes.Server

    @property
    def address(self) -> str:
        """Where this dialect is spoken."""
        ports = self.server.ports
        return f"127.0.0.1:{ports.grpc if self.dialect.transport == 'grpc' else ports.http}"

    def ask_once(self, request: Request) -> Array:
        """Ask by another client than the generator. Raises `NotServedError` for anything but a good answer."""
        if self.dialect.transport == "grpc":
            options = [("grpc.max_receive_message_length", LARGEST_MESSAGE)]
            with grpc.insecure_channel(self.address, options) as channel:
                try:
                    return self.dialect.read(channel.unary_unary(request.path)(request.body, timeout=60), {})
                except grpc.RpcError as error:
                    raise processes.NotServedError(f"{error.code().name}: {error.details()}") from error
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request("POST", request.path, request.body, dict(request.headers))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise processes.NotServedError(f"{answer.status}: {body[:300]!r}")
        return self.dialect.read(body, dict(answer.headers))

    def check(self, rows: int, expected: Array) -> None:
        """Hold an answer against the library's: a server that answers something else is not compared."""
        got = self.ask_once(self.dialect.ask(self.model, self.model.inputs[:rows])).ravel()
        wanted = expected[:rows].ravel()
        if got.shape != wanted.shape or not np.allclose(got, wanted, atol=TOLERANCE, rtol=TOLERANCE):
            raise processes.NotServedError(f"answers {got[:3]}, expected {wanted[:3]}")


def run(asking: Asking, load: Load, generator: Path, scratch: Path, rate: float = 0.0) -> Iterator[Window]:
    """Load a server and give a window for each interval of the load."""
    request = asking.dialect.ask(asking.model, asking.model.inputs[: load.rows])
    body = scratch / "body"
    body.write_bytes(request.body)
    headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
    argv = [str(generator), "-protocol", asking.dialect.transport, "-address", asking.address, "-path", request.path]
    argv += ["-headers", headers, "-body", str(body), "-connections", str(load.connections), "-rate", str(rate)]
    argv += ["-warm-up", f"{load.warm_up}s", "-interval", f"{load.seconds}s", "-intervals", str(load.intervals)]
    used = 0.0
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for text in process.stdout:
            now = asking.server.cpu_seconds()
            line = json.loads(text)
            if line["event"] == "interval":
                yield make_window(asking, load, line, now - used)
            used = now
    if process.returncode:
        raise processes.NotServedError(f"the generator ended with {process.returncode}")


def make_window(asking: Asking, load: Load, line: dict[str, Any], cpu_seconds: float) -> Window:
    """Put the generator's line and the server's figures together."""
    requests = line["requests"]
    return Window(
        peer=asking.peer,
        dialect=asking.dialect.name,
        model=asking.model.kind.name,
        load=load.name,
        requests=requests,
        errors=line["errors"],
        error=line.get("error", ""),
        per_second=requests / line["seconds"],
        cpu=cpu_seconds / requests * 1e6 if requests else float("nan"),
        p50=line["latency"]["p50"] / 1000,
        p99=line["latency"]["p99"] / 1000,
        p999=line["latency"]["p999"] / 1000,
        memory=asking.server.memory(),
        generator=line["busy"],
        waiting=line["waiting"],
    )
