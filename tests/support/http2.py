"""A client of raw HTTP/2 frames, wired straight to the server's connection: what no library would send can be sent."""

import asyncio
import dataclasses
from collections.abc import Mapping

import hpack

from serin_services.server import peers
from serin_services.server.rpc import calls, connection, frames, messages

ECHO = b"/test.Echo/Echo"
REQUEST = {
    b":method": b"POST",
    b":scheme": b"http",
    b":path": ECHO,
    b"content-type": b"application/grpc",
    b"te": b"trailers",
}
START = frames.PREFACE + frames.pack(frames.SETTINGS, 0, 0)
OPEN = frames.END_HEADERS
WHOLE = frames.END_HEADERS | frames.END_STREAM


@dataclasses.dataclass(frozen=True)
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes


class Pipe(asyncio.Transport):
    """Keeps what the server writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Client:
    """One connection to a server of the given methods; an echo, where none are given."""

    def __init__(self, methods: Mapping[bytes, calls.Method] | None = None, most: int = 1024 * 1024) -> None:
        echo = {ECHO: calls.Unary(lambda _call, message: message)}
        router = calls.Router(methods or echo, calls.HEAD, most)
        self.peers: peers.Peers[connection.Connection] = peers.Peers()
        self.pipe = Pipe()
        self.server = connection.Connection(router.open, self.peers, 0.0)
        self.server.connection_made(self.pipe)
        self._decoder = hpack.Decoder()

    def send(self, *parts: bytes) -> list[Frame]:
        """Send bytes and give the frames that come back."""
        self.server.data_received(b"".join(parts))
        return self.frames()

    def frames(self) -> list[Frame]:
        """Take the frames that have come back."""
        found, position, data = [], 0, bytes(self.pipe.written)
        while position < len(data):
            high, low, kind, flags, stream = frames.HEAD.unpack_from(data, position)
            begin = position + frames.HEAD_BYTES
            position = begin + (high << 16 | low)
            found.append(Frame(kind, flags, stream, data[begin:position]))
        self.pipe.written.clear()
        return found

    def headers(self, found: list[Frame], stream: int = 1) -> dict[bytes, bytes]:
        """Give the header fields of a stream, those that end it among them."""
        blocks = [frame.payload for frame in found if frame.kind == frames.HEADERS and frame.stream == stream]
        return {name: value for block in blocks for name, value in self._decoder.decode(block, raw=True)}

    def lose(self) -> None:
        """End the connection as a client that has gone."""
        self.server.connection_lost(None)


def headers(stream: int = 1, flags: int = OPEN, **changes: bytes | None) -> bytes:
    """Make a frame of request headers; a change to nothing leaves a field out."""
    fields = {**REQUEST, **{name.replace("_", "-").encode(): value for name, value in changes.items()}}
    block = hpack.Encoder().encode([(name, value) for name, value in fields.items() if value is not None])
    return frames.pack(frames.HEADERS, flags, stream, block)


def data(message: bytes, stream: int = 1, flags: int = frames.END_STREAM) -> bytes:
    """Make a frame with one message."""
    return frames.pack(frames.DATA, flags, stream, messages.pack(message))


def body(found: list[Frame], stream: int = 1) -> bytes:
    """Give the data of a stream."""
    return b"".join(frame.payload for frame in found if frame.kind == frames.DATA and frame.stream == stream)


def ending(found: list[Frame]) -> tuple[str, frames.Code] | None:
    """Give which end came first, a stream's or the connection's, with its code."""
    for frame in found:
        if frame.kind == frames.RST_STREAM:
            return "stream", frames.Code(frames.read_number(frame.payload))
        if frame.kind == frames.GOAWAY:
            return "connection", frames.Code(int.from_bytes(frame.payload[4:8], "big"))
    return None
