"""Malformed gRPC of every layer: each call ends with a status that is the client's fault, and the server goes on.

`SERIN_FUZZ=100000` sends as many instead of a few hundred.
"""

import os
import random
from collections.abc import Callable

import numpy as np
import pytest

from serin_services.package import manifest
from serin_services.server import state
from serin_services.server.oip import open_inference_pb2 as oip
from serin_services.server.rpc import frames, headers, messages, service
from support import http2, http_site

WANTED = int(os.environ.get("SERIN_FUZZ", "600"))
SEED = int(os.environ.get("SERIN_FUZZ_SEED", "1"))
DOCUMENT = http_site.make_document(
    task="binary",
    classes=("down", "up"),
    inputs=(
        manifest.Tensor(
            name="rows",
            dtype="float32",
            shape=(-1, 3),
            features=(
                manifest.Feature(name="a", dtype="int64"),
                manifest.Feature(name="b", allow_nan=True),
                manifest.Feature(name="c"),
            ),
        ),
    ),
    outputs=(manifest.Tensor(name="probabilities", dtype="float32", shape=(-1, 2)),),
)
INFER = b"/inference.GRPCInferenceService/ModelInfer"
FAULTS = {
    messages.Status.INVALID_ARGUMENT,
    messages.Status.NOT_FOUND,
    messages.Status.UNIMPLEMENTED,
    messages.Status.RESOURCE_EXHAUSTED,
}
DATATYPES = ["FP32", "FP64", "FP16", "INT64", "UINT8", "BOOL", "BYTES", "", "fp32", "INT128"]
SHAPES = [[1, 3], [2, 3], [3], [0, 3], [1, -3], [2**62, 2**62], [], [1] * 20, [-1], [1, 3, 1]]


def predict(values: np.ndarray) -> tuple[np.ndarray, ...]:
    return (np.full((len(values), 2), 0.5, "float32"),)


def odd_request(chance: random.Random) -> bytes:
    """Make a message of the right kind with odd contents."""
    request = oip.ModelInferRequest(model_name=chance.choice(["waves", "", "other"]), id=chance.choice(["", "7", "\0"]))
    for _ in range(chance.choice([0, 1, 1, 1, 3])):
        tensor = request.inputs.add(
            name=chance.choice(["rows", "a", "b", "c", ""]),
            datatype=chance.choice(DATATYPES),
            shape=chance.choice(SHAPES),
        )
        if chance.random() < 0.2:
            tensor.parameters["features"].string_param = chance.choice(
                ['["a", "b", "c"]', "[", "[[1]]", "[" * 9000, "{}"]
            )
        if chance.random() < 0.5:
            tensor.contents.fp32_contents.extend(
                chance.choices([1.0, 0.5, float("nan"), float("inf"), -1e38], k=chance.choice([0, 3, 6]))
            )
    for _ in range(chance.choice([0, 0, 1, 2])):
        request.raw_input_contents.append(chance.randbytes(chance.choice([0, 1, 12, 24])))
    if chance.random() < 0.2:
        request.outputs.add(name=chance.choice(["label", "probabilities", "colour"]))
    whole: bytes = request.SerializeToString()
    return messages.pack(damage(whole, chance) if chance.random() < 0.4 else whole)


def odd_frame(chance: random.Random) -> bytes:
    """Make a body whose message is framed wrongly, compressed wrongly, or cut."""
    return damage(odd_request(chance), chance)


def damage(data: bytes, chance: random.Random) -> bytes:
    """Flip, cut, double or insert some bytes."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(made) + 1)
        end = min(len(made), place + chance.randint(0, 8))
        made[place:end] = chance.choice(
            [b"", bytes([chance.randrange(256)]), chance.randbytes(4), bytes(made[place:end]) * 2]
        )
    return bytes(made)


KINDS = {"tensors": odd_request, "messages": odd_frame}


@pytest.fixture
def client() -> http2.Client:
    current = state.State()
    current.serve()
    made = http2.Client(service.InferenceService(current, http_site.make_model(DOCUMENT, predict)).methods(), 65536)
    made.send(http2.START, frames.pack_number(frames.WINDOW_UPDATE, 0, 2**31 - 1 - frames.DEFAULT_WINDOW))
    return made


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
async def test_malformed_calls_are_the_clients_fault(
    make: Callable[[random.Random], bytes], client: http2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - not for secrets
    refused = 0
    for number in range(1, WANTED // len(KINDS)):
        stream = 2 * number + 1
        body = make(chance)
        found = client.send(
            http2.headers(stream, **{":path": INFER}), frames.pack(frames.DATA, frames.END_STREAM, stream, body)
        )
        status = messages.Status(int(client.headers(found, stream)[b"grpc-status"]))
        assert status in FAULTS | {messages.Status.OK}, (body, status, caplog.text)
        refused += status in FAULTS
    assert refused > WANTED // len(KINDS) // 2
    assert not caplog.records


BLOCKS = headers.literal(b"a", b"b") + b"\x82\x86\x84"


async def test_malformed_bytes_end_their_connection_at_most() -> None:
    chance = random.Random(SEED)  # noqa: S311 - not for secrets
    whole = (
        http2.START
        + b"".join(http2.headers(n) + http2.data(b"hello", n) for n in (1, 3))
        + frames.pack(1, 5, 5, BLOCKS)
    )
    for _ in range(WANTED):
        client = http2.Client()
        found = client.send(damage(whole, chance) if chance.random() < 0.9 else http2.START + chance.randbytes(99))
        assert client.pipe.closed == any(frame.kind == frames.GOAWAY for frame in found)
        client.lose()
        assert not client.server.busy
