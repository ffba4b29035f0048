"""One HTTP/2 connection of a client (RFC 9113), as far as a server of gRPC needs it, on the event loop.

It reads frames, gives the client room to send and hands on headers and data; a client that takes more than it gives is
sent away. What the streams mean is decided in `calls`.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from serin_services.server.peers import Peers
from serin_services.server.rpc import frames, headers, sending
from serin_services.server.rpc.frames import Code, ConnectionFault
from serin_services.server.rpc.streams import Stream

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
# Clients also ping with their calls, to learn how much is on its way.
PATIENCE_PER_CALL = 2
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

unpack_head = frames.HEAD.unpack_from

MakeStream = Callable[["Connection", int, headers.Headers], Stream]


class Connection(asyncio.Protocol):
    """The protocol of one connection."""

    def __init__(self, make_stream: MakeStream, peers: "Peers[Connection]", now: float) -> None:
        self.sender = sending.Sender(self._finish)
        self._make_stream = make_stream
        self._peers = peers
        self._opened = now
        self._reader = headers.Reader()
        self._streams: dict[int, Stream] = {}
        # Streams that we have ended before the client had, in their order: what it sent meanwhile is let pass.
        self._cut: dict[int, None] = {}
        self._last = 0
        self._rest = b""
        # The stream, flags and beginning of a block of headers that goes on in the next frame.
        self._block: tuple[int, int, bytearray] | None = None
        self._introduced = self._greeted = False
        self._leaving = self._left = False
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

    # What the transport and the server tell.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with our settings."""
        self.sender.transport = cast("asyncio.Transport", transport)
        self._peers.add(self)
        self.sender.write(GREETING)

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell every stream that its client is gone."""
        self.sender.transport = None
        self._peers.discard(self)
        for stream in list(self._streams.values()):
            self._cancel(stream)

    def pause_writing(self) -> None:
        """Take no more requests from a client that does not read its answers."""
        if self.sender.transport is not None:
            self.sender.transport.pause_reading()

    def resume_writing(self) -> None:
        """Take requests again."""
        if self.sender.transport is not None and not self.sender.transport.is_closing():
            self.sender.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Read whole frames and keep what is left for the next time; answers go out together at the end."""
        self.sender.collect()
        try:
            self._read_frames(self._rest + data if self._rest else data)
        except ConnectionFault as fault:
            log.info("a gRPC connection ends: %s", fault)
            self._rest = b""
            self.sender.write(frames.pack_goaway(self._last, fault.code, str(fault)))
            self.close()
        finally:
            self.sender.flush()

    def sweep(self, now: float, seconds: float) -> None:
        """End what takes too long to arrive; called about once a second."""
        self._patience = min(PATIENCE, self._patience + PATIENCE_PER_SECOND)
        if not self._greeted and now - self._opened > GREETING_SECONDS:
            self.close()
        for stream in [each for each in self._streams.values() if not each.half_closed]:
            if now - stream.opened > seconds:
                stream.expire()

    def leave(self) -> None:
        """Ask the client to send no more requests here; what it has sent by the time it knows is still answered."""
        self._leaving = True
        self.sender.write(frames.pack_goaway(frames.STREAM_MASK, Code.NO_ERROR))
        self.sender.write(frames.pack(frames.PING, 0, 0, LEAVING_PING))

    def close(self) -> None:
        """Close at once, after what is already written."""
        self.sender.flush()
        if self.sender.transport is not None:
            self.sender.transport.close()

    def reset(self, stream: Stream, code: Code) -> None:
        """End a stream without an answer."""
        self.sender.write(frames.pack_number(frames.RST_STREAM, stream.number, code))
        self._pass_by(stream)
        self._cancel(stream)

    # The ends of streams.

    def _finish(self, stream: Stream) -> None:
        """Let go of a stream whose answer is whole; the rest of its request is not wanted."""
        if not stream.half_closed:
            self.sender.write(frames.pack_number(frames.RST_STREAM, stream.number, Code.NO_ERROR))
            self._pass_by(stream)
        self._forget(stream)
        self._patience = min(PATIENCE, self._patience + PATIENCE_PER_CALL)

    def _cancel(self, stream: Stream) -> None:
        self._forget(stream)
        stream.cancel()

    def _forget(self, stream: Stream) -> None:
        stream.closed = True
        self._held -= stream.held
        self._streams.pop(stream.number, None)
        self.sender.forget(stream)
        if self._left and not self._streams:
            self.close()

    def _pass_by(self, stream: Stream) -> None:
        if not stream.half_closed:
            self._cut[stream.number] = None
            if len(self._cut) > MAX_STREAMS:
                self._cut.pop(next(iter(self._cut)))

    def _charge(self) -> None:
        """Count a frame that brings no request."""
        self._patience -= 1
        if self._patience < 0:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "too many frames that bring no request")

    # Frames.

    def _read_frames(self, data: bytes) -> None:
        position = 0 if self._introduced else self._read_preface(data)
        if not self._introduced:
            return
        end = len(data)
        while end - position >= frames.HEAD_BYTES:
            high, low, kind, flags, number = unpack_head(data, position)
            size = high << 16 | low
            if size > MAX_FRAME:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"expected frames of at most {MAX_FRAME} bytes")
            begin = position + frames.HEAD_BYTES
            if end - begin < size:
                break
            position = begin + size
            self._handle(kind, flags, number & frames.STREAM_MASK, data[begin:position])
            if self.sender.transport is None or self.sender.transport.is_closing():
                return
        self._rest = data[position:]

    def _read_preface(self, data: bytes) -> int:
        """Give where the frames begin: behind the preface, or behind all that has come while it is not whole."""
        if not frames.PREFACE.startswith(data[: len(frames.PREFACE)]):
            raise ConnectionFault(Code.PROTOCOL_ERROR, "expected HTTP/2 without TLS")
        if len(data) < len(frames.PREFACE):
            self._rest = data
            return len(data)
        self._introduced = True
        return len(frames.PREFACE)

    def _handle(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block is not None and kind != frames.CONTINUATION:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "expected CONTINUATION")
        if not self._greeted and kind != frames.SETTINGS:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "expected SETTINGS first")
        if kind < len(self._on):
            self._on[kind](flags, number, payload)
        else:
            self._charge()

    def _find(self, number: int) -> Stream | None:
        """Find an open stream; nothing for one that has ended, or came when we had said that we leave."""
        stream = self._streams.get(number)
        if stream is None and not self._left and not 0 < number <= self._last:
            raise ConnectionFault(Code.PROTOCOL_ERROR, f"a frame on stream {number}, which is not open")
        return stream

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        if flags & frames.PADDED:
            payload = frames.strip(flags & frames.PADDED, payload)
        self._unread += size
        if self._unread >= CONNECTION_WINDOW // 2:
            self.sender.write(frames.pack_number(frames.WINDOW_UPDATE, 0, self._unread))
            self._unread = 0
        ended = bool(flags & frames.END_STREAM)
        stream = self._find(number)
        if stream is None or stream.half_closed:
            self._let_pass(number, ended=ended)
            return
        stream.length += len(payload)
        if ended:
            stream.half_closed = True
        elif not self._keep(stream, size, len(payload)):
            return
        if ended and not stream.whole:
            self.reset(stream, Code.PROTOCOL_ERROR)
        else:
            stream.receive(payload, ended=ended)

    def _let_pass(self, number: int, *, ended: bool) -> None:
        """Ignore what the client sent before it knew that we had ended the stream, or that we leave."""
        self._charge()
        if number in self._cut:
            if ended:
                del self._cut[number]
        elif not self._left or number <= self._last:
            raise ConnectionFault(Code.STREAM_CLOSED, f"a frame on stream {number}, which has ended")

    def _keep(self, stream: Stream, size: int, kept: int) -> bool:
        """Make room for more of a request that is not whole yet; gives whether there is any."""
        if not kept:
            self._charge()
        stream.held += kept
        self._held += kept
        if self._held > MAX_HELD_BYTES:
            self.reset(stream, Code.ENHANCE_YOUR_CALM)
            return False
        stream.unread += size
        if stream.unread >= STREAM_WINDOW // 2:
            self.sender.write(frames.pack_number(frames.WINDOW_UPDATE, stream.number, stream.unread))
            stream.unread = 0
        return True

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        if not number & 1:
            raise ConnectionFault(Code.PROTOCOL_ERROR, f"HEADERS on stream {number}")
        if flags & (frames.PADDED | frames.HAS_PRIORITY):
            payload = frames.strip_headers(flags, number, payload)
        if flags & frames.END_HEADERS:
            self._open(number, flags, payload)
        else:
            self._block = (number, flags, bytearray(payload))

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != number:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._charge()
        _, first_flags, block = self._block
        block += payload
        if len(block) > headers.MAX_HEADER_BYTES:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "HEADERS: too large")
        if flags & frames.END_HEADERS:
            self._block = None
            self._open(number, first_flags, bytes(block))

    def _open(self, number: int, flags: int, block: bytes) -> None:
        request = self._reader.read(block)
        ended = bool(flags & frames.END_STREAM)
        if number <= self._last:
            self._end_by_trailers(number, request, ended=ended)
            return
        if self._left:
            return
        self._last = number
        stream = self._make_stream(self, number, request)
        stream.window = self.sender.first_window
        stream.half_closed = ended
        stream.expected = request.length
        if len(self._streams) >= MAX_STREAMS or request.fault:
            self._charge()
            self.reset(stream, Code.PROTOCOL_ERROR if request.fault else Code.REFUSED_STREAM)
            return
        self._streams[number] = stream
        stream.begin()
        if ended and not stream.closed:
            self._end(stream)

    def _end(self, stream: Stream) -> None:
        """Tell a stream that its request ends without more data."""
        if stream.whole:
            stream.receive(b"", ended=True)
        else:
            self.reset(stream, Code.PROTOCOL_ERROR)

    def _end_by_trailers(self, number: int, trailers: headers.Headers, *, ended: bool) -> None:
        stream = self._streams.get(number)
        if stream is None or stream.half_closed:
            self._let_pass(number, ended=ended)
        elif not ended or any(name.startswith(b":") for name, _ in trailers.pairs):
            self.reset(stream, Code.PROTOCOL_ERROR)
        else:
            stream.half_closed = True
            self._end(stream)

    def _on_priority(self, _flags: int, number: int, payload: bytes) -> None:
        self._charge()
        frames.check_priority(number, payload)

    def _on_reset(self, _flags: int, number: int, payload: bytes) -> None:
        frames.read_number(payload)
        self._charge()
        self._cut.pop(number, None)
        if stream := self._find(number):
            self._cancel(stream)

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        acknowledged = bool(flags & frames.ACK)
        if number:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "SETTINGS: expected stream 0")
        if acknowledged and payload:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "SETTINGS: expected no settings in an acknowledgement")
        self._charge()
        if not acknowledged:
            self._greeted = True
            self.sender.write(frames.pack(frames.SETTINGS, frames.ACK, 0))
            self.sender.follow(frames.read_settings(payload), self._streams.values())

    def _on_push_promise(self, _flags: int, _number: int, _payload: bytes) -> None:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "PING: expected 8 bytes")
        if number:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "PING: expected stream 0")
        self._charge()
        if not flags & frames.ACK:
            self.sender.write(frames.pack(frames.PING, frames.ACK, 0, payload))
        elif self._leaving and payload == LEAVING_PING:
            self._leave_for_good()

    def _leave_for_good(self) -> None:
        """Say which stream is the last, now that the client knows that we leave; close when all have ended."""
        self._left = True
        self.sender.write(frames.pack_goaway(self._last, Code.NO_ERROR))
        if not self._streams:
            self.close()

    def _on_goaway(self, _flags: int, number: int, _payload: bytes) -> None:
        """The client opens no more streams; those that are open still get their answers."""
        if number:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "GOAWAY: expected stream 0")

    def _on_window_update(self, _flags: int, number: int, payload: bytes) -> None:
        growth = frames.read_number(payload) & frames.STREAM_MASK
        stream = self._find(number) if number else None
        if growth == 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
        if stream is not None and stream.window + growth > frames.LARGEST_WINDOW:
            self.reset(stream, Code.FLOW_CONTROL_ERROR)
        elif stream is not None or number == 0:
            self.sender.grow(stream, growth)
