"""The HTTP side: a raw ASGI application, because a framework's work per request is many times the model's."""

import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from serin.api import names
from serin_services.server import inference, rows, schema, state, telemetry

log = logging.getLogger("serin.server")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 16 * 1024 * 1024
REQUEST_ID = b"x-request-id"
ACCEPTED_ID = re.compile(rb"[\x21-\x7e]{1,128}")

encode = msgspec.json.Encoder().encode


class Prediction(msgspec.Struct, omit_defaults=True):
    """What is answered for one row: of a classification the label, or of a regression the value."""

    label: str | None = None
    confidence: float | None = None
    probabilities: dict[str, float] | None = None
    value: float | None = None


class PredictAnswer(msgspec.Struct):
    """The body of a good answer."""

    model: str
    version: str
    predictions: list[Prediction]


class TooLarge(Exception):  # noqa: N818 - the request is at fault, not the server
    """A body beyond the limit."""


class Disconnected(Exception):  # noqa: N818 - nobody is left to be answered
    """The client went away while it sent its request."""


class PredictApplication:
    """Answers predictions and probes, and hands every other path to the application behind it."""

    def __init__(
        self, current: state.State, model: inference.Inference | None, behind: Application | None = None
    ) -> None:
        self._state = current
        self._model = model
        self._behind = behind
        self._reader = rows.Reader(model.signature.rows) if model and model.signature.rows else None
        self._routes = {"/predict": self._predict, "/livez": self._livez, "/readyz": self._readyz}
        self._version = model.manifest.version.encode() if model else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is ours and hand on the rest."""
        if scope["type"] == "http" and (route := self._routes.get(scope["path"])):
            await route(scope, receive, send)
        elif self._behind:
            await self._behind(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(send, 404, failure("NotFound", f"expected one of {', '.join(self._routes)}"), b"")

    async def _livez(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await self._answer(send, 200, b'{"live":true}', b"")

    async def _readyz(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        body = {"ready": self._state.ready, "reason": self._state.reason, "message": self._state.message}
        if self._model:
            body |= {"model": self._model.manifest.model, "version": self._model.manifest.version}
        await self._answer(send, 200 if self._state.ready else 503, encode(body), b"")

    async def _predict(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = identify(scope)
        if not self._model or not self._reader:
            await self._answer(send, 503, failure(self._state.reason, self._state.message), request_id)
            return
        try:
            status, body, mismatch = await self._respond(self._model, self._reader, scope, receive, request_id)
        except Disconnected:
            return
        # Before the answer goes out, so that whoever has the answer also finds it counted.
        outcome = "ok" if status < 400 else "refused" if status < 500 else "failed"
        seconds = time.perf_counter() - started
        self._model.telemetry.count_request(telemetry.Request("http", outcome, str(status), seconds, mismatch))
        await self._answer(send, status, body, request_id)

    async def _respond(
        self, model: inference.Inference, reader: rows.Reader, scope: Scope, receive: Receive, request_id: bytes
    ) -> tuple[int, bytes, bool]:
        """Give the status, the body, and whether the features were at fault."""
        if scope["method"] != "POST":
            return 405, failure("MethodNotAllowed", f"/predict: expected POST, got {scope['method']}"), False
        try:
            values = reader.read(await read_body(receive))
            return 200, encode(make_answer(model, await model.predict((values,)))), False
        except schema.Refusal as refusal:
            body = {
                "error": str(refusal),
                "reason": refusal.reason,
                "field": refusal.field,
                "expected": refusal.expected,
                "got": refusal.got,
            }
            return 400, encode(body), refusal.mismatch
        except TooLarge:
            return 413, failure("TooLarge", f"body: expected at most {MAX_BODY_BYTES} bytes"), False
        except Disconnected:
            raise
        except Exception:
            log.exception("request %s failed", request_id.decode())
            return (
                500,
                failure("InternalError", f"the prediction failed; the log tells more of {request_id.decode()}"),
                False,
            )

    async def _answer(self, send: Send, status: int, body: bytes, request_id: bytes) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if self._version:
            headers.append((names.VERSION_HEADER.encode(), self._version))
        if request_id:
            headers.append((REQUEST_ID, request_id))
        if status == 405:
            headers.append((b"allow", b"POST"))
        if self._state.phase is state.Phase.DRAINING:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def make_answer(model: inference.Inference, answer: inference.Answer) -> PredictAnswer:
    """Put an answer into words, row by row."""
    scores = answer.outputs[0].tolist()
    if model.classes:
        predictions = [
            Prediction(label, confidence, dict(zip(model.classes, row, strict=True)))
            for label, confidence, row in zip(model.labels(answer), answer.confidences, scores, strict=True)
        ]
    else:
        predictions = [Prediction(value=value) for value in scores]
    return PredictAnswer(model.manifest.model, model.manifest.version, predictions)


def failure(reason: str, message: str) -> bytes:
    """Make the body of an answer that is no prediction."""
    return encode({"error": message, "reason": reason})


def identify(scope: Scope) -> bytes:
    """Take the request's id from its header, or make one, so that an answer and a log line find each other."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID and ACCEPTED_ID.fullmatch(value):
            given: bytes = value
            return given
    return os.urandom(8).hex().encode()


async def read_body(receive: Receive) -> bytes:
    """Read a body up to the limit.

    Raises:
        TooLarge: beyond it.
        Disconnected: the client went away.
    """
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > MAX_BODY_BYTES:
            raise TooLarge
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)
