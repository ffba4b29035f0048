"""One HTTP/1.1 connection (RFC 9112): each request answered in its turn, and no client waited for without end.

ASGI servers make a task, a dictionary and several messages of each request, which is more work than the
prediction of a small model; here a request is answered inside the call that brings its last byte. Requests of one
connection are answered one after the other, in their order.
"""

import asyncio
import collections
import dataclasses
import logging
from collections.abc import Awaitable, Callable

from serin_services.server.http import messages, parsing
from serin_services.server.http.messages import Request, Response
from serin_services.server.peers import Peers

log = logging.getLogger("serin.server")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# What has been refused is listened to for so long, so that the client reads the answer before its bytes are reset.
LINGER_SECONDS = 2
# Up to here one copy and one write cost less than two writes.
COPIED_BYTES = 65536
# At most so long between two looks at all connections for one that is too slow.
SWEEP_SECONDS = 1.0

# Answers a request at once, or later, or not at all: then the application behind it does.
Respond = Callable[[Request], Response | Awaitable[Response] | None]
Failure = Callable[[int, str, str], Response]


@dataclasses.dataclass
class Site:
    """What all connections of one server share; times are in seconds."""

    respond: Respond
    # Makes the response to a request that is none: status, reason, message.
    fail: Failure
    # Answers what is not ours, given the request, its path and the connection to write to.
    behind: Callable[[Request, "Connection"], Awaitable[None]] | None
    # Whether connections should end with the next answer.
    leaving: Callable[[], bool]
    max_body_bytes: int
    read_seconds: float
    idle_seconds: float
    connections: "Peers[Connection]" = dataclasses.field(default_factory=Peers)
    tasks: set[asyncio.Task[None]] = dataclasses.field(default_factory=set)
    # A clock that stands still between sweeps and costs nothing to read.
    now: float = 0.0
    timer: asyncio.TimerHandle | None = None

    def sweep(self) -> None:
        """End the connections that have been too slow, and look again later while there are any."""
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        for connection in self.connections:
            connection.check(self.now)
        self.timer = loop.call_later(self.sweep_seconds, self.sweep) if self.connections else None

    @property
    def sweep_seconds(self) -> float:
        """How long to wait between two looks."""
        return min(SWEEP_SECONDS, self.read_seconds, self.idle_seconds)


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._loop = asyncio.get_running_loop()
        self._parser = parsing.Parser(site.max_body_bytes, self._accept, self._ask_for_body)
        self._transport: asyncio.Transport | None = None
        self._since = site.now
        # Requests, and the refusal that ends the connection, that wait for the answers before theirs.
        self._queue: collections.deque[Request | Response] = collections.deque()
        self._busy = False
        self._blocked: asyncio.Event | None = None
        self._paused = False
        self._deaf = False
        self._last = False
        # Whether a client waits to be asked for its body.
        self._asks = False

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen."""
        self._transport = transport  # type: ignore[assignment] # of a stream
        site = self._site
        if site.timer is None:
            site.now = self._loop.time()
            site.timer = self._loop.call_later(site.sweep_seconds, site.sweep)
        site.connections.add(self)
        self._since = site.now

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget what was under way; whoever waits to write is let go."""
        self._site.connections.discard(self)
        self._queue.clear()
        self._transport = None
        self._deaf = True
        self.resume_writing()

    def eof_received(self) -> bool:
        """Stay until the requests that have arrived are answered."""
        if self._deaf or not (self._busy or self._queue):
            return False
        self._deaf = self._last = True
        return True

    def pause_writing(self) -> None:
        """Answer nothing more until the client has read."""
        self._blocked = asyncio.Event()
        self._since = self._site.now

    def resume_writing(self) -> None:
        """Go on with what has waited."""
        if self._blocked is not None:
            self._blocked.set()
            self._blocked = None
            self._go_on()

    def data_received(self, data: bytes) -> None:
        """Parse what came, and answer each request that is complete."""
        if self._deaf:
            return
        if not self._parser.mid_request:
            self._since = self._site.now
        try:
            self._parser.feed(data)
        except parsing.Refused as refused:
            self._refuse(*refused.answer)
        if self._queue and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _accept(self, request: Request) -> None:
        """Answer a request that is complete, or let it wait for those before it."""
        self._asks = False
        self._since = self._site.now
        if self._deaf:
            return
        if self._busy or self._queue or self._blocked is not None:
            self._queue.append(request)
        else:
            self._answer(request)

    def _ask_for_body(self) -> None:
        self._asks = True
        self._invite()

    # What the server wants.

    def leave(self) -> None:
        """Close once what has begun to arrive is answered."""
        self._last = True
        if not (self._busy or self._queue or self._parser.mid_request):
            self.close()

    def check(self, now: float) -> None:
        """End a connection that is idle, reads or sends too slowly."""
        if self._transport is None or self._busy:
            return
        seconds = now - self._since
        if self._deaf:
            if seconds > LINGER_SECONDS and self._blocked is None:
                self._transport.abort()
        elif self._blocked is None and self._parser.mid_request and seconds > self._site.read_seconds:
            message = f"request: expected all of it within {self._site.read_seconds:g} s, got a part"
            self._refuse(408, "RequestTimeout", message)
        elif self._blocked is None and not self._parser.mid_request and seconds > self._site.idle_seconds:
            self.close()
        if self._blocked is not None and seconds > self._site.read_seconds:
            self._transport.abort()

    # Answers.

    def write(self, data: bytes) -> None:
        """Send bytes, unless nobody is left."""
        if self._transport is not None:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has read enough."""
        while self._blocked is not None:
            await self._blocked.wait()

    @property
    def lost(self) -> bool:
        """Whether the client is gone."""
        return self._transport is None

    def keeps(self, request: Request) -> bool:
        """Whether the connection goes on after the answer to this request."""
        if not request.keep_alive:
            return False
        return bool(self._queue) or not (self._last or self._site.leaving())

    def _answer(self, request: Request) -> None:
        response = self._site.respond(request)
        if type(response) is Response:
            self._send(request, response)
        else:
            self._busy = True
            task = self._loop.create_task(self._answer_later(request, response))  # type: ignore[arg-type] # see above
            self._site.tasks.add(task)
            task.add_done_callback(self._site.tasks.discard)

    async def _answer_later(self, request: Request, response: Awaitable[Response] | None) -> None:
        try:
            if response is not None:
                self._send(request, await response)
            elif self._site.behind is None:
                self._send(request, self._site.fail(404, "NotFound", "path: expected one of /docs.json, got another"))
            else:
                await self._site.behind(request, self)
                self._end_of_answer(keep_alive=self.keeps(request))
        except Exception:
            log.exception("a request to %s failed", request.target[:200])
            self._last = True
            self.close()
        finally:
            self._busy = False
            self._go_on()

    def _send(self, request: Request, response: Response) -> None:
        transport = self._transport
        if transport is None:
            return
        keep_alive = self.keeps(request)
        head = make_head(response, keep_alive=keep_alive)
        if request.method == b"HEAD":
            transport.write(head)
        elif len(response.body) > COPIED_BYTES:
            transport.writelines((head, response.body))
        else:
            transport.write(head + response.body)
        self._end_of_answer(keep_alive=keep_alive)

    def _end_of_answer(self, *, keep_alive: bool) -> None:
        if keep_alive:
            self._since = self._site.now
        else:
            self._queue.clear()
            self.close()

    def _go_on(self) -> None:
        """Answer what has waited, and read on once nothing does."""
        queue = self._queue
        while queue and not self._busy and self._blocked is None and self._transport is not None:
            item = queue.popleft()
            if type(item) is Request:
                self._answer(item)
            else:
                self._send_refusal(item)  # type: ignore[arg-type] # the other of the two
        if self._paused and not queue and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
        self._invite()
        if self._last and self._deaf and not (queue or self._busy):
            self.close()

    def _refuse(self, status: int, reason: str, message: str) -> None:
        """Answer a request that is not read to its end, after those before it, and hear nothing more."""
        self._deaf = True
        refusal = self._site.fail(status, reason, message)
        if self._busy or self._queue or self._blocked is not None:
            self._queue.append(refusal)
        else:
            self._send_refusal(refusal)

    def _send_refusal(self, response: Response) -> None:
        transport = self._transport
        if transport is None:
            return
        transport.write(make_head(response, keep_alive=False) + response.body)
        self._since = self._site.now
        # A close now would reset the connection while the client still sends, and take the answer with it.
        if transport.can_write_eof():
            transport.write_eof()

    def close(self) -> None:
        """Close at once."""
        self._deaf = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def _invite(self) -> None:
        """Ask for the body of a request whose client waits to be asked, once the answers before it are sent."""
        if self._asks and not (self._busy or self._queue):
            self._asks = False
            self.write(CONTINUE)


def make_head(response: Response, *, keep_alive: bool) -> bytes:
    """Write the status line and headers."""
    return b"%bcontent-type: %b\r\ncontent-length: %d\r\n%b%b\r\n" % (
        messages.STATUS_LINES[response.status],
        response.content_type,
        len(response.body),
        b"".join([b"%b: %b\r\n" % header for header in response.headers.items()]),
        b"" if keep_alive else b"connection: close\r\n",
    )
