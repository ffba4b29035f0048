"""A connection of uvicorn that holds a client to its time and measure before there is a request.

uvicorn waits for ever for the rest of a request's head, and keeps whatever comes of it.
"""

import asyncio
import enum

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serin_services.registry.settings import Settings

# Far more than a token, a cursor and all that a proxy adds.
MAX_HEAD_BYTES = 64 * 1024
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class State(enum.Enum):
    """What a connection is in the middle of."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()


class Connection(HttpToolsProtocol):
    """One connection; a timer runs while a head, or the rest of a body that is answered already, is awaited."""

    head_seconds = 10.0
    _timer: asyncio.TimerHandle | None = None
    _state = State.IDLE
    _head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        # The envelope writes a line of its own, in which no query stands: uvicorn's would have it.
        self.access_log = False
        super().connection_made(transport)  # type: ignore[arg-type] # uvicorn takes no other
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, and end the connection where it is more of a head than anyone needs."""
        before = self._state
        if before is State.IDLE:
            self._start_timer()
        super().data_received(data)
        is_more = before is State.HEAD and self._state is State.HEAD
        self._head_bytes = self._head_bytes + len(data) if is_more else 0
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._state = State.HEAD
        self._start_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that its head is there; what takes long from here on is the gate's to judge."""
        self._state = State.BODY
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that all of it is there."""
        self._state = State.IDLE
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait a while for the rest of a body that is answered already, so that the client reads the answer."""
        super().on_response_complete()
        if self._state is State.BODY:
            self._start_timer()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self._end)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()


def make_protocol(settings: Settings) -> type[Connection]:
    """Make the class of connections for these settings."""
    return type("Connection", (Connection,), {"head_seconds": settings.header_seconds})
