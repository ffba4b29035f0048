"""The sending half of an HTTP/2 connection: what goes out, no faster than the client's windows allow (RFC 9113, 5.2)."""

import asyncio
from collections.abc import Callable, Iterable

from serin_services.server.rpc import frames
from serin_services.server.rpc.streams import Stream

pack_head = frames.HEAD.pack


class Sender:
    """Collects frames for one write, and holds back data that the client has no room for.

    `done` is called with each stream whose answer is whole.
    """

    def __init__(self, done: Callable[[Stream], None]) -> None:
        self.transport: asyncio.Transport | None = None
        # What a new stream may send before the client has said more.
        self.first_window = frames.DEFAULT_WINDOW
        self._done = done
        self._window = frames.DEFAULT_WINDOW
        self._frame = frames.DEFAULT_FRAME
        self._out: list[bytes] = []
        self._collecting = False
        self._waiting: dict[int, Stream] = {}

    def collect(self) -> None:
        """Keep what is written until `flush`."""
        self._collecting = True

    def flush(self) -> None:
        """Send what is kept, at once."""
        self._collecting = False
        if self._out:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            if self.transport is not None:
                self.transport.write(data)

    def write(self, data: bytes) -> None:
        """Send bytes, together with what else this turn brings."""
        self._out.append(data)
        if not self._collecting:
            self.flush()

    def reply(self, stream: Stream, block: bytes, data: bytes, trailer: bytes | None) -> None:
        """Send headers, data and the headers that end the stream, each where there is any."""
        if stream.closed:
            return
        number = stream.number
        size = len(data)
        out = pack_head(0, len(block), frames.HEADERS, frames.END_HEADERS, number) + block if block else b""
        if stream.unsent or size > stream.window or size > self._window or size > self._frame:
            self.write(out)
            stream.unsent += data
            stream.trailer = trailer
            self._waiting[number] = stream
            self._pump(stream)
            return
        if size:
            stream.window -= size
            self._window -= size
            out += pack_head(size >> 16, size & 0xFFFF, frames.DATA, 0, number) + data
        if trailer is not None:
            self.write(out + pack_trailer(number, trailer))
            self._done(stream)
        elif out:
            self.write(out)

    def forget(self, stream: Stream) -> None:
        """Send nothing more of a stream."""
        self._waiting.pop(stream.number, None)

    def grow(self, stream: Stream | None, growth: int) -> None:
        """Widen the window of a stream, or of the connection, and go on with what has waited for it.

        Raises:
            frames.ConnectionFault: it would be wider than allowed.
        """
        if stream is not None:
            stream.window = grown(stream.window, growth)
            if stream.unsent:
                self._pump(stream)
            return
        self._window = grown(self._window, growth)
        self._pump_all()

    def follow(self, settings: Iterable[tuple[int, int]], streams: Iterable[Stream]) -> None:
        """Follow the client's settings; another first window changes those of the open streams as well."""
        for key, value in settings:
            if key == frames.MAX_FRAME:
                self._frame = value
            elif key == frames.INITIAL_WINDOW:
                for stream in streams:
                    stream.window = grown(stream.window, value - self.first_window)
                self.first_window = value
        self._pump_all()

    def _pump(self, stream: Stream) -> None:
        """Send what the windows allow of what waits."""
        # At most so much is sent: the view keeps one copy of a large answer from becoming many.
        sent = 0
        with memoryview(stream.unsent) as unsent:
            while (size := min(len(unsent) - sent, stream.window, self._window, self._frame)) > 0:
                stream.window -= size
                self._window -= size
                self.write(frames.pack(frames.DATA, 0, stream.number, bytes(unsent[sent : sent + size])))
                sent += size
        del stream.unsent[:sent]
        if stream.unsent:
            return
        self.forget(stream)
        if stream.trailer is not None:
            self.write(pack_trailer(stream.number, stream.trailer))
            self._done(stream)

    def _pump_all(self) -> None:
        for stream in list(self._waiting.values()):
            self._pump(stream)


def grown(window: int, growth: int) -> int:
    """Give the new size of a window; settings may also shrink it, even below zero."""
    if window + growth > frames.LARGEST_WINDOW:
        raise frames.ConnectionFault(frames.Code.FLOW_CONTROL_ERROR, "a window beyond 2^31-1")
    return window + growth


def pack_trailer(number: int, block: bytes) -> bytes:
    """Write the headers that end a stream."""
    return pack_head(0, len(block), frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, number) + block
