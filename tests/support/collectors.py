"""What a prediction log writes: records of small models, and a real endpoint that answers as it is told to."""

import dataclasses
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from serin_services.package import manifest
from serin_services.server.predictions import addresses, records, writer

NOON = 1795262400.25  # 2026-11-21T12:00:00.25Z
FILES = (manifest.File(path="model.ubj", role="artifact", size=1, sha256="0" * 64),)

CLASSIFIER = manifest.Manifest(
    model="momentum",
    version="1.2.0",
    family="xgboost",
    task="binary",
    inputs=(
        manifest.Tensor(
            name="rows",
            dtype="float32",
            shape=(-1, 2),
            features=(manifest.Feature(name="age"), manifest.Feature(name="income", allow_nan=True)),
        ),
    ),
    outputs=(manifest.Tensor(name="probabilities", dtype="float32", shape=(-1, 2)),),
    classes=("down", "up"),
    files=FILES,
)
SEQUENCE = manifest.Manifest(
    model="patches",
    version="3",
    family="xgboost",
    task="tensors",
    inputs=(
        manifest.Tensor(name="series", dtype="float32", shape=(-1, -1, 2)),
        manifest.Tensor(name="static", dtype="int64", shape=(-1,)),
    ),
    outputs=(manifest.Tensor(name="forecast", dtype="float32", shape=(-1, 3)),),
    files=FILES,
)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def record(request_id: str = "r-1", rows: int = 1, **fields: object) -> records.Record:
    """A record of the classifier whose every row differs: age is the row's number."""
    values = np.stack([np.arange(rows), np.arange(rows) + 0.5], axis=1).astype("float32")
    given: dict[str, object] = {
        "id": request_id.encode(),
        "protocol": "http",
        "time": NOON,
        "seconds": 0.002,
        "inputs": (values,),
        "outputs": (np.full((rows, 2), (0.25, 0.75), dtype="float32"),),
        "chosen": [1] * rows,
        "confidences": [0.75] * rows,
    }
    return records.Record(**given | fields)


def sequence_record(request_id: str, rows: int, steps: int) -> records.Record:
    """A record of the model of sequences, with so many time steps."""
    series = np.arange(rows * steps * 2, dtype="float32").reshape(rows, steps, 2)
    outputs = np.arange(rows * 3, dtype="float32").reshape(rows, 3)
    return records.Record(
        request_id.encode(),
        "grpc",
        NOON,
        0.002,
        (series, np.arange(rows)),
        (outputs,),
        headers=[("traceparent", PARENT)],
    )


def log_to(address: str, *offered: records.Record, document: manifest.Manifest = CLASSIFIER) -> writer.PredictionLog:
    """Log some records to an address and close the log."""
    log = writer.PredictionLog(addresses.open_sink(address, document), 1, 1 << 26)
    for each in offered:
        log.offer(each)
    log.close(30)
    return log


@dataclasses.dataclass
class Collector:
    """An HTTP endpoint: `answers` are given one after the other, the last for ever; None hangs until the end.

    The header Hang-Up closes the connection afterwards without having said so.
    """

    answers: list[tuple[int, dict[str, str]] | None]
    requests: list[tuple[dict[str, str], bytes]] = dataclasses.field(default_factory=list)
    taken: list[dict[str, object]] = dataclasses.field(default_factory=list)
    released: threading.Event = dataclasses.field(default_factory=threading.Event)
    arrived: threading.Event = dataclasses.field(default_factory=threading.Event)
    port: int = 0

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.taken]

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.requests.append((dict(handler.headers), body))
        self.arrived.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            self.released.wait()
            handler.close_connection = True
            return
        status, headers = answer
        if status < 300 and "json" in handler.headers["Content-Type"]:
            self.taken += json.loads(body)
        handler.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.close_connection |= "Hang-Up" in headers


@contextmanager
def collecting(*answers: int | tuple[int, dict[str, str]] | None) -> Iterator[Collector]:
    """Run an endpoint on a port of its own; a number is a status without headers."""
    collector = Collector([(each, {}) if isinstance(each, int) else each for each in answers or (200,)])

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            collector.answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        collector.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            collector.released.set()
            server.shutdown()
            thread.join()
