"""ASGI both ways: the application behind ours (BentoML's), and ours inside a server that BentoML runs."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import httptools

from serin_services.server.http import application, connection, messages
from serin_services.server.http.messages import Request, Response

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# What a body may have at most is the connection's to check; this is for servers whose connections are not ours.
MAX_BODY_BYTES = 16 * 1024 * 1024


class Behind:
    """Hands requests to an ASGI application and what it sends to the connection."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, request: Request, to: connection.Connection) -> None:
        """Run the application for one request."""
        exchange = Exchange(request, to)
        await self._application(make_scope(request), exchange.receive, exchange.send)
        await exchange.end()


class Exchange:
    """What the application behind receives and sends for one request."""

    def __init__(self, request: Request, to: connection.Connection) -> None:
        self._request = request
        self._to = to
        self._body_given = False
        self._chunked = False
        self._started = False

    async def receive(self) -> Message:
        """Give the body, which has arrived in full, and then that nothing more will come."""
        if self._body_given:
            return {"type": "http.disconnect"}
        self._body_given = True
        return {"type": "http.request", "body": self._request.body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Write the head or a part of the body, no faster than the client reads."""
        if message["type"] == "http.response.start":
            self._started = True
            self._to.write(self._head(message))
        elif message["type"] == "http.response.body" and self._request.method != b"HEAD":
            body = message.get("body", b"")
            more = message.get("more_body", False)
            if self._chunked:
                body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
            self._to.write(body)
            await self._to.drain()

    async def end(self) -> None:
        """Answer in the application's place where it said nothing."""
        if not self._started:
            await self.send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})

    def _head(self, message: Message) -> bytes:
        headers = [(name.lower(), value) for name, value in message.get("headers", ())]
        status = message["status"]
        bodiless = status in {204, 304} or self._request.method == b"HEAD"
        if not bodiless and not any(name == b"content-length" for name, _ in headers):
            self._chunked = True
            headers.append((b"transfer-encoding", b"chunked"))
        if not self._to.keeps(self._request):
            headers.append((b"connection", b"close"))
        lines = [b"%b: %b\r\n" % header for header in headers]
        line = messages.STATUS_LINES.get(status, b"HTTP/1.1 %d \r\n" % status)
        return b"%b%b\r\n" % (line, b"".join(lines))


def make_scope(request: Request) -> Scope:
    """Describe a request as ASGI has it."""
    url = httptools.parse_url(request.target)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": None,
        "client": None,
        "scheme": "http",
        "root_path": "",
        "method": request.method.decode(),
        "path": unquote(url.path.decode()),
        "raw_path": url.path,
        "query_string": url.query or b"",
        "headers": list(request.headers.items()),
        "state": {},
    }


class Front:
    """Our application as one of ASGI, before another."""

    def __init__(self, own: application.Application, behind: Application) -> None:
        self._own = own
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is ours and hand on the rest."""
        if scope["type"] != "http" or not self._own.knows(scope["path"].encode()):
            await self._behind(scope, receive, send)
            return
        request = await read_request(scope, receive)
        if request is None:
            return
        response = self._own.respond(request)
        if response is not None and not isinstance(response, Response):
            response = await response
        if response is not None:
            await send_response(send, request, response)


async def read_request(scope: Scope, receive: Receive) -> Request | None:
    """Read a request from a server that is not ours; nothing where the client left or the body is beyond the limit."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > MAX_BODY_BYTES:
            return None
        more = message.get("more_body", False)
    target = scope.get("raw_path") or scope["path"].encode()
    if query := scope.get("query_string"):
        target += b"?" + query
    return Request(scope["method"].encode(), target, dict(scope["headers"]), b"".join(parts))


async def send_response(send: Send, request: Request, response: Response) -> None:
    """Send a response through a server that is not ours."""
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        *response.headers.items(),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if request.method == b"HEAD" else response.body})
