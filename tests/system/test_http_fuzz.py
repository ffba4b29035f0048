"""Malformed requests of every layer: each is answered with a 4xx, none with a failure, and the server goes on.

`SERIN_FUZZ=100000` sends as many instead of a few hundred; it prints how many were refused and how.
"""

import collections
import io
import json
import os
import random
import re
import socket
import time
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from serin_services.package import manifest
from support import http_site

WANTED = int(os.environ.get("SERIN_FUZZ", "400"))
SEED = int(os.environ.get("SERIN_FUZZ_SEED", "1"))
FEATURES = (
    manifest.Feature(name="a", dtype="int64"),
    manifest.Feature(name="b", allow_nan=True),
    manifest.Feature(name="c"),
)
ROWS = http_site.make_document(
    task="binary",
    classes=("down", "up"),
    inputs=(manifest.Tensor(name="rows", dtype="float32", shape=(-1, 3), features=FEATURES),),
    outputs=(manifest.Tensor(name="probabilities", dtype="float32", shape=(-1, 2)),),
)
SERIES = http_site.make_document(
    task="quantile",
    quantiles=(0.1, 0.9),
    inputs=(manifest.Tensor(name="past", dtype="float32", shape=(-1, 2, 2)),),
    outputs=(manifest.Tensor(name="future", dtype="float32", shape=(-1, 2, 2)),),
)
ODD = [None, True, -1, 0, 1e308, 2**70, "", "x", "\0", [], {}, [[]], [None], {"": 0}, "\ud800", 1e-400, "NaN"]
CHUNK = 16

Body = tuple[str, bytes, dict[str, str]]


def table() -> pa.Table:
    return pa.table({"a": [1, 2], "b": [0.5, None], "c": [1.0, 2.0]})


def arrow() -> bytes:
    target = io.BytesIO()
    with ipc.new_stream(target, table().schema) as stream:
        stream.write_table(table())
    return target.getvalue()


def parquet_file() -> bytes:
    target = io.BytesIO()
    parquet.write_table(table(), target)
    return target.getvalue()


def binary() -> Body:
    given = {"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}
    header = json.dumps({"inputs": [given]}).encode()
    body = header + np.ones(3, "<f4").tobytes()
    return "/v2/models/waves/infer", body, {"inference-header-content-length": str(len(header))}


INFER = {
    "inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}],
    "outputs": [{"name": "label"}],
}
FORECAST = {
    "model": "waves",
    "inputs": [{"type": "multivariate_time_series", "name": "s", "series": [[1, 2], [3, 4]], "frequency": "D"}],
    "options": {"horizon": 1},
}
DOCUMENTS: list[tuple[str, object]] = [
    ("/predict", {"rows": [{"a": 1, "b": 2.5, "c": 3}, [1, None, 3]]}),
    ("/v2/models/waves/infer", INFER),
]
SERIES_DOCUMENTS: list[tuple[str, object]] = [
    ("/predict", {"rows": [[[1, 2], [3, 4]]]}),
    ("/v1/timeseries/forecast", FORECAST),
]
BYTES: list[Body] = [
    binary(),
    ("/predict", b"a,b,c\n1,2,3\n4,,6\n", {"content-type": "text/csv"}),
    ("/predict", arrow(), {"content-type": "application/vnd.apache.arrow.stream"}),
    ("/predict", parquet_file(), {"content-type": "application/vnd.apache.parquet"}),
]


def change(value: object, chance: random.Random) -> object:
    """Put something odd into one place of a document."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        if chance.random() < 0.2:
            return {(key + "x" if other == key else other): item for other, item in value.items()}
        return {**value, key: change(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        if chance.random() < 0.3:
            return value[:place] + value[place + 1 :]
        return [*value[:place], change(value[place], chance), *value[place + 1 :]]
    return chance.choice(ODD)


def damage(data: bytes, chance: random.Random) -> bytes:
    """Flip, cut, double or insert some bytes."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(made) + 1)
        end = min(len(made), place + chance.randint(0, 8))
        part = chance.choice([b"", bytes([chance.randrange(256)]), chance.randbytes(4), bytes(made[place:end]) * 2])
        made[place:end] = part
    return bytes(made)


def request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def wrong_documents(documents: list[tuple[str, object]]) -> Callable[[random.Random], bytes]:
    def make(chance: random.Random) -> bytes:
        path, document = chance.choice(documents)
        body = json.dumps(change(document, chance)).encode()
        return request(path, damage(body, chance) if chance.random() < 0.2 else body, {})

    return make


def wrong_bytes(chance: random.Random) -> bytes:
    # Tables are read by a process that many of these end, and the next one takes a while to start.
    ((path, body, headers),) = chance.choices(BYTES, weights=(10, 10, 1, 1))
    return request(path, damage(body, chance), headers)


def wrong_wire(chance: random.Random) -> bytes:
    path, document = chance.choice(DOCUMENTS)
    whole = request(path, json.dumps(document).encode(), {"x-request-id": "r", "Connection": "keep-alive"})
    if chance.random() < 0.1:
        return chance.randbytes(chance.randint(1, 400))
    head = whole.index(b"\r\n\r\n") + 4
    return damage(whole[:head], chance) + whole[head:]


def ask(served: http_site.Served, requests: list[bytes]) -> list[int]:
    """Send requests on one connection and give the statuses; a server that hangs ends this with a timeout."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as client:
        received = b""
        try:
            client.sendall(b"".join(requests))
            client.shutdown(socket.SHUT_WR)
            while came := client.recv(1 << 16):
                received += came
        except ConnectionResetError:
            pass
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([2-5]\d\d) ", received)]


@pytest.fixture(scope="module")
def rows() -> Iterator[http_site.Served]:
    def predict(values: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.full((len(values), 2), 0.5, "float32"),)

    with http_site.serve(http_site.make_model(ROWS, predict), max_body_bytes=65536) as served:
        yield served


@pytest.fixture(scope="module")
def series() -> Iterator[http_site.Served]:
    with http_site.serve(http_site.make_model(SERIES, lambda past: (past,)), max_body_bytes=65536) as served:
        yield served


# What is made, by which server it is refused, its share of all, and whether many may stand on one connection.
KINDS = {
    "documents of rows": (wrong_documents(DOCUMENTS), "rows", 0.4, True),
    "documents of sequences": (wrong_documents(SERIES_DOCUMENTS), "series", 0.2, True),
    "binary tensors and tables": (wrong_bytes, "rows", 0.2, True),
    "HTTP": (wrong_wire, "rows", 0.2, False),
}


@pytest.mark.parametrize(("make", "server", "share", "many"), KINDS.values(), ids=KINDS)
def test_malformed_requests_are_refused(
    make: Callable[[random.Random], bytes],
    server: str,
    share: float,
    many: bool,
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
) -> None:
    served: http_site.Served = request.getfixturevalue(server)
    chance = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    statuses: collections.Counter[int] = collections.Counter()
    started = time.monotonic()
    while sum(count for status, count in statuses.items() if status >= 400) < WANTED * share:
        sent = [make(chance) for _ in range(CHUNK if many else 1)]
        answered = ask(served, sent)
        assert not any(status >= 500 for status in answered), sent
        assert not many or len(answered) == len(sent), sent
        statuses.update(answered)
        capfd.readouterr()

    assert served.call("/livez").status == 200
    with capfd.disabled():
        if "SERIN_FUZZ" in os.environ:
            print(f"\n{server}: {dict(sorted(statuses.items()))} in {time.monotonic() - started:.0f} s")
