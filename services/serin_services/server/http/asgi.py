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

    def __init__(self, own: application.Application, behind: Application, max_body_bytes: int) -> None:
        self._own = own
        self._behind = behind
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is ours and hand on the rest."""
        if scope["type"] != "http" or not self._own.knows(scope["path"].encode()):
            await self._behind(scope, receive, send)
            return
        body = await self._read(receive)
        if body is None:
            return
        request = make_request(scope, body)
        if len(body) > self._max_body_bytes:
            message = f"body: expected at most {self._max_body_bytes} bytes, got more"
            await send_response(send, request, self._own.fail(413, "TooLarge", message))
            return
        response = self._own.respond(request)
        if response is not None and not isinstance(response, Response):
            response = await response
        if response is not None:
            await send_response(send, request, response)

    async def _read(self, receive: Receive) -> bytes | None:
        """Read a body, no further than is needed to see that it is too large; nothing where the client left."""
        body = bytearray()
        more = True
        while more and len(body) <= self._max_body_bytes:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return bytes(body)


def make_request(scope: Scope, body: bytes) -> Request:
    """Make a request of ASGI's description of one."""
    target = scope.get("raw_path") or scope["path"].encode()
    if query := scope.get("query_string"):
        target += b"?" + query
    return Request(scope["method"].encode(), target, dict(scope["headers"]), body)


async def send_response(send: Send, request: Request, response: Response) -> None:
    """Send a response through a server that is not ours."""
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        *response.headers.items(),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if request.method == b"HEAD" else response.body})
