"""What an endpoint is: how a request becomes a call of the model, how its answer is written, and how a refusal is."""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import msgspec

from serin_services.server import inference, schema
from serin_services.server.http.messages import Request, Response

# A body of more JSON is read by a thread.
LARGE_BYTES = 1 << 20

encode = msgspec.json.Encoder().encode


@dataclasses.dataclass(slots=True)
class Call:
    """The inputs of a request, and how to write the answer to it; `request_id` is one that stood in the body."""

    inputs: tuple[schema.Array, ...]
    write: Callable[[inference.Answer, bytes], Response]
    request_id: bytes | None = None


class Endpoint(Protocol):
    """A way of asking for predictions."""

    def read(self, request: Request) -> Call:
        """Read a request.

        Raises:
            schema.Refusal: with the first thing that is wrong.
        """
        ...

    def is_slow(self, request: Request) -> bool:
        """Whether reading it takes so long that others would wait."""
        ...

    def fail(self, status: int, reason: str, message: str, refusal: schema.Refusal | None = None) -> bytes:
        """Make the body of an answer that is no prediction."""
        ...


def fail(_status: int, reason: str, message: str, refusal: schema.Refusal | None = None) -> bytes:
    """Say what is wrong in `error`, as the Open Inference Protocol has it, and in fields of their own."""
    body = {"error": message, "reason": reason}
    if refusal is not None:
        body |= {"field": refusal.field, "expected": refusal.expected, "got": refusal.got}
    return encode(body)
