"""The HTTP side of the model server on a free port, in a thread of the test's own process."""

import asyncio
import contextlib
import dataclasses
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import prometheus_client

from serin_services.package import manifest
from serin_services.server import inference, settings, signature, state, telemetry
from serin_services.server.http import connection, site

FILE = manifest.File(path="model.onnx", role="artifact", size=1, sha256="0" * 64)


def make_document(**fields: Any) -> manifest.Manifest:
    """A manifest of a model that is given as code."""
    given = {"model": "waves", "version": "2.0", "family": "xgboost", "task": "tensors", "files": [FILE], **fields}
    return manifest.Manifest(**given)


def make_model(
    document: manifest.Manifest, predict: Any, max_rows: int = 100_000, parts: inference.Parts | None = None
) -> inference.Inference:
    """A model at work whose predictor is a function of arrays."""

    class Predictor:
        @staticmethod
        def predict(*inputs: np.ndarray) -> tuple[np.ndarray, ...]:
            return predict(*inputs)

    counters = telemetry.Telemetry(document, "0" * 64, prometheus_client.CollectorRegistry())
    accepted = signature.Signature(document, max_rows)
    return inference.Inference(document, accepted, Predictor(), counters, parts or inference.Parts())


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclasses.dataclass
class Served:
    """A running site."""

    port: int
    state: state.State
    site: connection.Site
    model: inference.Inference | None

    def call(self, path: str, body: object = None, *, method: str | None = None, **headers: str) -> Answer:
        """Ask once, on a connection of its own."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(asked):
            method = method or ("GET" if data is None else "POST")
            asked.request(method, path, data, {name.replace("_", "-"): value for name, value in headers.items()})
            response = asked.getresponse()
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )

    def raw(self, *parts: bytes, half_close: bool = True) -> bytes:
        """Send bytes and give everything that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connected:
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    connected.sendall(part)
                if half_close:
                    connected.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(ConnectionError):
                while came := connected.recv(65536):
                    received += came
            return received


@contextlib.contextmanager
def serve(model: inference.Inference | None, behind: Any = None, **changes: Any) -> Iterator[Served]:
    """Serve a model until the block ends; the changes are of settings or of the site."""
    own = {field.name for field in dataclasses.fields(settings.Settings)}
    options = settings.Settings(**{name: value for name, value in changes.items() if name in own})
    current = state.State()
    current.serve()
    made = site.make_site(options, current, model, behind)
    for name in changes.keys() - own:
        setattr(made, name, changes[name])
    loop = asyncio.new_event_loop()
    started: list[asyncio.Server] = []
    ready = threading.Event()

    async def run() -> None:
        started.append(await loop.create_server(lambda: connection.Connection(made), "127.0.0.1", 0))
        ready.set()
        await stopped.wait()
        started[0].close()
        for each in list(made.connections):
            each.leave()
        if made.timer:
            made.timer.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
        while made.connections:
            for each in list(made.connections):
                each.check(float("inf"))
            await asyncio.sleep(0.005)

    stopped = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert ready.wait(20)
        yield Served(started[0].sockets[0].getsockname()[1], current, made, model)
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(20)
        loop.close()
