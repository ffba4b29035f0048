"""What gRPC writes into HTTP/2 (gRPC over HTTP2, PROTOCOL-HTTP2.md): messages, codes, time limits."""

import enum
import zlib
from urllib.parse import quote

from serin_services.server import envelope

# One byte that says whether the message is compressed, four with its length.
PREFIX_BYTES = 5
# Window bits of zlib for each encoding that a client may use; answers are never compressed.
ENCODINGS = {b"gzip": 31, b"deflate": 15}
# What a status message holds as it is; everything else is percent-encoded.
PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class Status(enum.IntEnum):
    """The codes that a call may end with."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class Failure(Exception):  # noqa: N818 - most often the request is at fault
    """A call that ends with a code instead of an answer."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


def pack(message: bytes) -> bytes:
    """Write one message."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def quote_message(message: str) -> bytes:
    """Write a status message as a header value."""
    return quote(message, safe=PLAIN).encode()


def read_timeout(value: bytes) -> float:
    """Read the header grpc-timeout; gives seconds.

    Raises:
        Failure: it is malformed.
    """
    seconds = envelope.read_timeout(value)
    if seconds is None:
        raise Failure(Status.INVALID_ARGUMENT, f"grpc-timeout: expected up to {envelope.TIMEOUT_FORM}")
    return seconds


def split(body: bytes | bytearray, most: int) -> tuple[int, int] | None:
    """Find the first message of a body: where it ends and whether it is compressed; nothing while it is incomplete.

    Raises:
        Failure: it is longer than `most` bytes.
    """
    if len(body) < PREFIX_BYTES:
        return None
    size = int.from_bytes(body[1:PREFIX_BYTES], "big")
    check_size(size, most)
    end = PREFIX_BYTES + size
    return (end, body[0]) if len(body) >= end else None


def decompress(message: bytes, encoding: bytes, most: int) -> bytes:
    """Undo a message's compression, up to a size.

    Raises:
        Failure: it is of another encoding, broken, or longer than `most` bytes.
    """
    if encoding not in ENCODINGS:
        raise Failure(
            Status.UNIMPLEMENTED,
            f"grpc-encoding: expected one of {b', '.join(ENCODINGS).decode()}, got {encoding.decode('latin-1')!r}",
        )
    engine = zlib.decompressobj(ENCODINGS[encoding])
    try:
        plain = engine.decompress(message, most + 1)
    except zlib.error as error:
        raise Failure(Status.INTERNAL, f"the message is no {encoding.decode()}: {error}") from error
    check_size(len(plain), most)
    if not engine.eof:
        raise Failure(Status.INTERNAL, f"the message is no {encoding.decode()}: it ends too early")
    return plain


def check_size(size: int, most: int) -> None:
    """Refuse a message for its size."""
    if size > most:
        raise Failure(Status.RESOURCE_EXHAUSTED, f"message: expected at most {most} bytes")
