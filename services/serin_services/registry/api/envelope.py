"""What is around every request: an id, a line in the log, a count, and an answer even when the code fails."""

import logging
import re
import time
import uuid
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serin_services.registry.api.problems import Problem
from serin_services.registry.api.telemetry import NO_ROUTE, Telemetry

log = logging.getLogger("serin.registry.access")

REQUEST_ID = "x-request-id"
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Asked every few seconds: where all is well, they would drown the rest.
PROBES = frozenset({"/livez", "/readyz"})
# What the registry answers is never a page, and never for a cache that several share.
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Envelope:
    """The outermost layer."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Exchange(scope, send, self._telemetry).run(self._app, receive)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, send: Send, telemetry: Telemetry) -> None:
        self._scope = scope
        self._send = send
        self._telemetry = telemetry
        self._status = 0
        given = Headers(scope=scope).get(REQUEST_ID, "")
        self._id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = self._id

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        """Let the application answer, and whatever comes of it be logged and counted."""
        started = time.perf_counter()
        try:
            await app(self._scope, receive, self.send)
        except ClientDisconnect:
            self._status = self._status or 499
        except Exception:
            log.exception("request %s failed", self._id)
            if self._status:
                # The answer has begun: that the server breaks the connection now is all that says it is not whole.
                return
            problem = Problem(500, f"the request failed; the log tells more of {self._id}")
            await problem.to_response(self._id)(self._scope, receive, self.send)
        finally:
            self._record(time.perf_counter() - started)

    async def send(self, message: Message) -> None:
        """Put the headers on the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self._id
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    def _record(self, seconds: float) -> None:
        """Write the line: no query and no header, either may hold a secret, and nothing that could begin another line."""
        method = self._scope["method"] if self._scope["method"] in METHODS else "other"
        route = getattr(self._scope.get("route"), "path", NO_ROUTE)
        caller = self._scope["state"].get("caller")
        who = f"{caller.tenant}/{quote(caller.subject)}" if caller else "-"
        path = quote(self._scope["path"][:512])
        level = logging.DEBUG if path in PROBES and self._status == 200 else logging.INFO
        log.log(level, "%s %s %d %.1f ms %s %s", method, path, self._status, seconds * 1000, who, self._id)
        self._telemetry.count(method, route, self._status, seconds)
