"""One HTTP/2 connection of a client (RFC 9113), as far as a server of gRPC needs it, on the event loop.

It reads frames, keeps the windows of flow control and hands on headers and data; a client that takes more than it gives
is sent away. What the streams mean is decided in `calls`.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from serin_services.server.peers import Peers
from serin_services.server.rpc import frames, headers

log = logging.getLogger("serin.server")

MAX_STREAMS = 256
# What a client may send ahead of being read: for one stream, and for all streams of its connection together.
STREAM_WINDOW = 4 * 1024 * 1024
CONNECTION_WINDOW = 16 * 1024 * 1024
# A body of many rows comes in fewer frames than with the 16 KiB of the start.
MAX_FRAME = 1024 * 1024
# Of the unfinished requests of one connection, in bytes; beyond, further data ends its stream.
MAX_HELD_BYTES = 64 * 1024 * 1024
# Frames that cost us and bring no request (pings, resets, empty data) are paid from this; see CVE-2023-44487.
PATIENCE = 1000
PATIENCE_PER_SECOND = 10
# Until the client has begun to speak HTTP/2.
GREETING_SECONDS = 10.0
LEAVING_PING = b"leaving\0"
SETTINGS = {
    frames.MAX_STREAMS: MAX_STREAMS,
    frames.INITIAL_WINDOW: STREAM_WINDOW,
    frames.MAX_FRAME: MAX_FRAME,
    frames.MAX_HEADER_LIST: headers.MAX_HEADER_BYTES,
}
GREETING = frames.pack_settings(SETTINGS) + frames.pack_number(
    frames.WINDOW_UPDATE, 0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW
)

pack_head = frames.HEAD.pack
unpack_head = frames.HEAD.unpack_from


class Stream:
    """One request and its answer; `calls.Call` says what they mean."""

    __slots__ = ("closed", "half_closed", "held", "number", "opened", "trailer", "unread", "unsent", "window")

    def __init__(self, number: int, opened: float) -> None:
        self.number = number
        self.opened = opened
        self.window = 0
        # Received and not yet given back to the client's window; kept for a request that is not whole yet.
        self.unread = 0
        self.held = 0
        # What waits for the client's window to open, and what ends the stream after it.
        self.unsent = bytearray()
        self.trailer: bytes | None = None
        self.half_closed = False
        self.closed = False

    def begin(self) -> None:
        """Look at the headers; may answer already."""

    def receive(self, data: bytes, *, ended: bool) -> None:
        """Take data, and learn whether it is the last."""

    def expire(self) -> None:
        """Learn that the request did not come whole in time."""

    def cancel(self) -> None:
        """Learn that nobody waits for the answer any more."""


MakeStream = Callable[["Connection", int, headers.Headers], Stream]


class Connection(asyncio.Protocol):
    """The protocol of one connection; `peers` holds those that are open."""

    def __init__(self, make_stream: MakeStream, peers: "Peers[Connection]", now: float) -> None:
        self._make_stream = make_stream
        self._peers = peers
        self._opened = now
        self._transport: asyncio.Transport | None = None
        self._reader = headers.Reader()
        self._streams: dict[int, Stream] = {}
        self._last = 0
        self._rest = b""
        self._block: tuple[int, int, bytearray] | None = None
        self._out: list[bytes] = []
        self._reading = False
        self._greeted = self._introduced = False
        self._leaving = self._left = False
        self._window = self._first_window = frames.DEFAULT_WINDOW
        self._frame = frames.DEFAULT_FRAME
        self._unread = self._held = 0
        self._patience = PATIENCE
        self._on: tuple[Callable[[int, int, bytes], None], ...] = (
            self._on_data,
            self._on_headers,
            self._on_priority,
            self._on_reset,
            self._on_settings,
            self._on_push_promise,
            self._on_ping,
            self._on_goaway,
            self._on_window_update,
            self._on_continuation,
        )

    @property
    def busy(self) -> bool:
        """Whether any request waits for its answer."""
        return bool(self._streams)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with our settings."""
        self._transport = cast("asyncio.Transport", transport)
        self._peers.add(self)
        self._transport.write(GREETING)

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell every stream that its client is gone."""
        self._transport = None
        self._peers.discard(self)
        for stream in list(self._streams.values()):
            self._cancel(stream)

    def pause_writing(self) -> None:
        """Take no more requests from a client that does not read its answers."""
        if self._transport:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Take requests again."""
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Read whole frames and keep what is left for the next time; answers go out together at the end."""
        self._reading = True
        try:
            self._read_frames(self._rest + data if self._rest else data)
        except frames.ConnectionFault as fault:
            self._fail(fault)
        finally:
            self._reading = False
            self._flush()

    def sweep(self, now: float, seconds: float) -> None:
        """End what takes too long to arrive; called about once a second."""
        self._patience = min(PATIENCE, self._patience + PATIENCE_PER_SECOND)
        if not self._introduced and now - self._opened > GREETING_SECONDS:
            self.close()
        for stream in [each for each in self._streams.values() if not each.half_closed]:
            if now - stream.opened > seconds:
                stream.expire()

    def leave(self) -> None:
        """Ask the client to send no more requests here; what it has sent by the time it knows is still answered."""
        self._leaving = True
        self.write(
            frames.pack_goaway(frames.STREAM_MASK, frames.Code.NO_ERROR) + frames.pack(frames.PING, 0, 0, LEAVING_PING)
        )

    def close(self) -> None:
        """Close at once."""
        if self._transport:
            self._transport.close()

    def write(self, data: bytes) -> None:
        """Send bytes, together with what else this turn brings."""
        self._out.append(data)
        if not self._reading:
            self._flush()

    def reply(self, stream: Stream, block: bytes, data: bytes, trailer: bytes | None) -> None:
        """Send headers, data and what ends the stream, each where there is any, as the client's windows allow."""
        if stream.closed:
            return
        number = stream.number
        size = len(data)
        out = pack_head(0, len(block), frames.HEADERS, frames.END_HEADERS, number) + block if block else b""
        if stream.unsent or size > stream.window or size > self._window or size > self._frame:
            self.write(out)
            stream.unsent += data
            stream.trailer = trailer
            self._pump(stream)
            return
        if size:
            stream.window -= size
            self._window -= size
            out += pack_head(size >> 16, size & 0xFFFF, frames.DATA, 0, number) + data
        if trailer is not None:
            self.write(out + pack_trailer(number, trailer))
            self._close_stream(stream)
        elif out:
            self.write(out)

    def reset(self, stream: Stream, code: frames.Code) -> None:
        """End a stream without an answer."""
        self.write(frames.pack_number(frames.RST_STREAM, stream.number, code))
        self._cancel(stream)

    def _flush(self) -> None:
        if self._out:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            if self._transport:
                self._transport.write(data)

    def _pump(self, stream: Stream) -> None:
        """Send what the windows allow of what waits."""
        while stream.unsent and (size := min(len(stream.unsent), stream.window, self._window, self._frame)) > 0:
            stream.window -= size
            self._window -= size
            self.write(frames.pack(frames.DATA, 0, stream.number, bytes(stream.unsent[:size])))
            del stream.unsent[:size]
        if not stream.unsent and stream.trailer is not None:
            self.write(pack_trailer(stream.number, stream.trailer))
            self._close_stream(stream)

    def _close_stream(self, stream: Stream) -> None:
        if not stream.half_closed:
            # The answer is whole; the rest of the request is not wanted.
            self.write(frames.pack_number(frames.RST_STREAM, stream.number, frames.Code.NO_ERROR))
        self._forget(stream)
        self._patience = min(PATIENCE, self._patience + 1)

    def _cancel(self, stream: Stream) -> None:
        self._forget(stream)
        stream.cancel()

    def _forget(self, stream: Stream) -> None:
        stream.closed = True
        self._held -= stream.held
        self._streams.pop(stream.number, None)
        if self._left and not self._streams:
            self._flush()
            self.close()

    def _fail(self, fault: frames.ConnectionFault) -> None:
        log.info("a gRPC connection ends: %s", fault)
        self.write(frames.pack_goaway(self._last, fault.code, str(fault)))
        self._rest = b""
        self._flush()
        self.close()

    def _charge(self) -> None:
        """Count a frame that brings no request."""
        self._patience -= 1
        if self._patience < 0:
            raise frames.ConnectionFault(frames.Code.ENHANCE_YOUR_CALM, "too many frames that bring no request")

    def _read_frames(self, data: bytes) -> None:
        position = 0
        end = len(data)
        if not self._introduced:
            if end < len(frames.PREFACE) and frames.PREFACE.startswith(data):
                self._rest = data
                return
            if not data.startswith(frames.PREFACE):
                raise frames.ConnectionFault(frames.Code.PROTOCOL_ERROR, "expected HTTP/2 without TLS")
            self._introduced = True
            position = len(frames.PREFACE)
        while end - position >= frames.HEAD_BYTES:
            high, low, kind, flags, number = unpack_head(data, position)
            size = high << 16 | low
            if size > MAX_FRAME:
                raise frames.ConnectionFault(frames.Code.FRAME_SIZE_ERROR, f"a frame of {size} bytes")
            begin = position + frames.HEAD_BYTES
            if end - begin < size:
                break
            position = begin + size
            self._handle(kind, flags, number & frames.STREAM_MASK, data[begin:position])
            if self._transport is None or self._transport.is_closing():
                return
        self._rest = data[position:]

    def _handle(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block is not None and kind != frames.CONTINUATION:
            raise frames.ConnectionFault(frames.Code.PROTOCOL_ERROR, "expected CONTINUATION")
        if not self._greeted and kind != frames.SETTINGS:
            raise frames.ConnectionFault(frames.Code.PROTOCOL_ERROR, "expected SETTINGS first")
        if kind < len(self._on):
            self._on[kind](flags, number, payload)
        else:
            self._charge()

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        self._unread += size
        if self._unread >= CONNECTION_WINDOW // 2:
            self.write(frames.pack_number(frames.WINDOW_UPDATE, 0, self._unread))
            self._unread = 0
        stream = self._find(number)
        if stream is None:
            return
        if stream.half_closed:
            self.reset(stream, frames.Code.STREAM_CLOSED)
            return
        if flags & frames.PADDED:
            payload = frames.strip(flags & frames.PADDED, payload)
        ended = bool(flags & frames.END_STREAM)
        if ended:
            stream.half_closed = True
        elif not self._keep(stream, size, len(payload)):
            return
        stream.receive(payload, ended=ended)

    def _keep(self, stream: Stream, size: int, kept: int) -> bool:
        """Make room for more of a request that is not whole yet; gives whether there is any."""
        if not kept:
            self._charge()
        stream.held += kept
        self._held += kept
        if self._held > MAX_HELD_BYTES:
            self.reset(stream, frames.Code.ENHANCE_YOUR_CALM)
            return False
        stream.unread += size
        if stream.unread >= STREAM_WINDOW // 2:
            self.write(frames.pack_number(frames.WINDOW_UPDATE, stream.number, stream.unread))
            stream.unread = 0
        return True

    def _find(self, number: int) -> Stream | None:
        """Find an open stream; nothing for one that has ended, whose frames may still have been on their way."""
        stream = self._streams.get(number)
        if stream is None and not 0 < number <= self._last:
            raise frames.ConnectionFault(frames.Code.PROTOCOL_ERROR, f"a frame on stream {number}, which is not open")
        return stream

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        if not number & 1:
            raise frames.ConnectionFault(frames.Code.PROTOCOL_ERROR, f"HEADERS on stream {number}")
        if flags & (frames.PADDED | frames.HAS_PRIORITY):
            payload = frames.strip(flags, payload)
        if flags & frames.END_HEADERS:
            self._open(number, flags, payload)
        else:
            self._block = (number, flags, bytearray(payload))

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != number:
            raise frames.ConnectionFault(frames.Code.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._charge()
        _, first_flags, block = self._block
        block += payload
        if len(block) > headers.MAX_HEADER_BYTES:
            raise frames.ConnectionFault(frames.Code.ENHANCE_YOUR_CALM, "HEADERS: too large")
        if flags & frames.END_HEADERS:
            self._block = None
            self._open(number, first_flags, bytes(block))

    def _open(self, number: int, flags: int, block: bytes) -> None:
        request = self._reader.read(block)
        ended = bool(flags & frames.END_STREAM)
        if number <= self._last:
            self._end_by_trailers(number, ended=ended)
            return
        if self._left:
            return
        self._last = number
        if len(self._streams) >= MAX_STREAMS:
            self._charge()
            self.write(frames.pack_number(frames.RST_STREAM, number, frames.Code.REFUSED_STREAM))
            return
        stream = self._make_stream(self, number, request)
        stream.window = self._first_window
        stream.half_closed = ended
        self._streams[number] = stream
        stream.begin()
        if ended and not stream.closed:
            stream.receive(b"", ended=True)

    def _end_by_trailers(self, number: int, *, ended: bool) -> None:
        stream = self._streams.get(number)
        if stream is None:
            self._charge()
        elif stream.half_closed or not ended:
            self.reset(stream, frames.Code.PROTOCOL_ERROR)
        else:
            stream.half_closed = True
            stream.receive(b"", ended=True)

    def _on_priority(self, _flags: int, _number: int, payload: bytes) -> None:
        self._charge()
        if len(payload) != 5:
            raise frames.ConnectionFault(frames.Code.FRAME_SIZE_ERROR, "PRIORITY: expected 5 bytes")

    def _on_reset(self, _flags: int, number: int, payload: bytes) -> None:
        frames.read_number(payload)
        self._charge()
        if stream := self._find(number):
            self._cancel(stream)

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        if number or (flags & frames.ACK and payload):
            raise frames.ConnectionFault(frames.Code.PROTOCOL_ERROR, "SETTINGS: expected stream 0, and no ACK of any")
        if flags & frames.ACK:
            return
        self._charge()
        self._greeted = True
        for key, value in frames.read_settings(payload):
            if key == frames.MAX_FRAME:
                self._frame = value
            elif key == frames.INITIAL_WINDOW:
                for stream in self._streams.values():
                    stream.window = grown(stream.window, value - self._first_window)
                self._first_window = value
        self.write(frames.pack(frames.SETTINGS, frames.ACK, 0))
        self._pump_all()

    def _on_push_promise(self, _flags: int, _number: int, _payload: bytes) -> None:
        raise frames.ConnectionFault(frames.Code.PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise frames.ConnectionFault(frames.Code.FRAME_SIZE_ERROR, "PING: expected 8 bytes")
        if number:
            raise frames.ConnectionFault(frames.Code.PROTOCOL_ERROR, "PING: expected stream 0")
        if flags & frames.ACK:
            if self._leaving and payload == LEAVING_PING:
                self._leave_for_good()
            return
        self._charge()
        self.write(frames.pack(frames.PING, frames.ACK, 0, payload))

    def _leave_for_good(self) -> None:
        """Say which stream is the last, now that the client knows that we leave; close when all have ended."""
        self._left = True
        self.write(frames.pack_goaway(self._last, frames.Code.NO_ERROR))
        if not self._streams:
            self._flush()
            self.close()

    def _on_goaway(self, _flags: int, _number: int, _payload: bytes) -> None:
        """The client opens no more streams; those that are open still get their answers."""

    def _on_window_update(self, _flags: int, number: int, payload: bytes) -> None:
        growth = frames.read_number(payload) & frames.STREAM_MASK
        if growth == 0:
            raise frames.ConnectionFault(frames.Code.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
        if number == 0:
            self._window = grown(self._window, growth)
            self._pump_all()
        elif stream := self._find(number):
            stream.window = grown(stream.window, growth)
            self._pump(stream)

    def _pump_all(self) -> None:
        for stream in [each for each in self._streams.values() if each.unsent]:
            self._pump(stream)


def grown(window: int, growth: int) -> int:
    """Give the new size of a window; settings may also shrink it, even below zero."""
    if window + growth > frames.LARGEST_WINDOW:
        raise frames.ConnectionFault(frames.Code.FLOW_CONTROL_ERROR, "a window beyond 2^31-1")
    return window + growth


def pack_trailer(number: int, block: bytes) -> bytes:
    """Write the headers that end a stream."""
    return pack_head(0, len(block), frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, number) + block
