"""Which endpoint answers a request, with what limits, and how what goes wrong is put into a status."""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable
from urllib.parse import unquote_to_bytes

import httptools

from serin.api import names
from serin_services.server import envelope, inference, schema, state, telemetry, tracing
from serin_services.server.http import endpoints
from serin_services.server.http.endpoints import Call, Endpoint
from serin_services.server.http.messages import Request, Response

log = logging.getLogger("serin.server")

Page = Callable[[], Response]

# An answer of more rows is put into words by a thread.
LARGE_ROWS = 4096
DEADLINE = b"x-request-timeout-ms"
GRPC_DEADLINE = b"grpc-timeout"


@dataclasses.dataclass(slots=True)
class Asked:
    """A request on its way: when it came, who answers it, and its id once it has one."""

    started: float
    request: Request
    endpoint: Endpoint
    request_id: bytes


class Application:
    """The endpoints and pages of one model version; a path that is none of theirs is for whoever stands behind."""

    def __init__(
        self,
        current: state.State,
        model: inference.Inference | None,
        asked: dict[bytes, Endpoint],
        pages: dict[bytes, Page],
        deadline_seconds: float = 0.0,
    ) -> None:
        self._state = current
        self._model = model
        self._endpoints = asked
        self._pages = pages
        self._deadline_seconds = deadline_seconds
        self._ids = envelope.Ids()
        self._version = {names.VERSION_HEADER.encode(): model.manifest.version.encode()} if model else {}

    def respond(self, request: Request) -> Response | Awaitable[Response] | None:
        """Answer a request at once or later, or leave it to whoever stands behind."""
        endpoint = self._endpoints.get(request.target)
        if endpoint is None:
            path = path_of(request.target)
            endpoint = self._endpoints.get(path)
            if endpoint is None:
                return self._show(request, path)
        return self._ask(request, endpoint)

    def knows(self, path: bytes) -> bool:
        """Whether a path is one of ours."""
        return path in self._endpoints or path in self._pages

    def fail(self, status: int, reason: str, message: str) -> Response:
        """Answer what is no request, or one that is not read to its end."""
        error = schema.Limit(reason, message, status)
        return self._refuse(time.perf_counter(), self._ids.make(), endpoints.fail, error)

    def leaving(self) -> bool:
        """Whether no new connection should come here."""
        return self._state.phase is state.Phase.DRAINING

    def _show(self, request: Request, path: bytes) -> Response | None:
        page = self._pages.get(path)
        if page is not None:
            if request.method not in {b"GET", b"HEAD"}:
                return self._wrong_method(request, path, b"GET, HEAD")
            response = page()
        elif self._model is None:
            response = Response(503, endpoints.fail(503, self._state.reason, self._state.message))
        elif path.startswith((b"/v2/", b"/v1/")):
            message = f"path: expected one of this model's, which /docs.json lists, got {path[:200].decode('latin-1')}"
            response = Response(404, endpoints.fail(404, "NotFound", message))
        else:
            return None
        response.headers.update(self._version)
        response.headers[envelope.REQUEST_ID] = envelope.given_id(request.headers) or self._ids.make()
        return response

    def _ask(self, request: Request, endpoint: Endpoint) -> Response | Awaitable[Response]:
        asked = Asked(time.perf_counter(), request, endpoint, envelope.given_id(request.headers) or b"")
        model = self._model
        try:
            if request.method != b"POST":
                return self._wrong_method(request, path_of(request.target), b"POST")
            if model is None:
                return self._fail(asked, schema.Limit(self._state.reason, self._state.message, 503))
            deadline = self._deadline(request.headers)
            if endpoint.is_slow(request):
                return self._answer_later(asked, model, deadline)
            call = endpoint.read(request)
            if not model.answers_now(call.inputs):
                return self._answer_later(asked, model, deadline, call)
            answer = model.predict_now(call.inputs)
            return self._finish(asked, model, call, answer, call.write(answer, self._name(asked, call)))
        except Exception as error:  # noqa: BLE001 - each becomes an answer
            return self._fail(asked, error)

    async def _answer_later(
        self, asked: Asked, model: inference.Inference, deadline: float | None, call: Call | None = None
    ) -> Response:
        """Predict what others should not wait for; a thread reads and writes where that takes long."""
        try:
            if call is None:
                call = await asyncio.to_thread(asked.endpoint.read, asked.request)
            request_id = self._name(asked, call)
            answer = await model.predict(call.inputs, deadline)
            if answer.rows > LARGE_ROWS:
                response = await asyncio.to_thread(call.write, answer, request_id)
            else:
                response = call.write(answer, request_id)
            return self._finish(asked, model, call, answer, response)
        except Exception as error:  # noqa: BLE001 - each becomes an answer
            return self._fail(asked, error)

    def _name(self, asked: Asked, call: Call) -> bytes:
        """Give a request the id of its header, else of its body, else a new one."""
        asked.request_id = asked.request_id or call.request_id or self._ids.make()
        return asked.request_id

    def _finish(
        self, asked: Asked, model: inference.Inference, call: Call, answer: inference.Answer, response: Response
    ) -> Response:
        """Put the headers on a good answer, and let it be counted and seen."""
        response.headers.update(self._version)
        response.headers[envelope.REQUEST_ID] = asked.request_id
        # Before the answer goes out, so that whoever has the answer also finds it counted.
        seconds = time.perf_counter() - asked.started
        model.telemetry.count_request(telemetry.Request("http", "ok", "200", seconds))
        if model.watch is not None:
            headers = list(asked.request.headers.items())
            trace = model.watch.see("http", asked.request_id, call.inputs, answer, seconds, headers)
            if trace:
                response.headers[envelope.TRACE_RESPONSE] = trace.encode()
        return response

    def _fail(self, asked: Asked, error: Exception) -> Response:
        request_id = asked.request_id or self._ids.make()
        response = self._refuse(asked.started, request_id, asked.endpoint.fail, error)
        if self._model is not None and self._model.watch is not None:
            seconds, headers = time.perf_counter() - asked.started, list(asked.request.headers.items())
            code, failed = str(response.status), is_failure(response.status)
            ended = tracing.Request("http", request_id, seconds, headers, code=code, failed=failed)
            if trace := self._model.watch.miss(ended):
                response.headers[envelope.TRACE_RESPONSE] = trace.encode()
        return response

    def _refuse(self, started: float, request_id: bytes, make_body: Callable[..., bytes], error: Exception) -> Response:
        """Say what is wrong, and count it."""
        response = self._explain(error, make_body, request_id)
        response.headers.update(self._version)
        response.headers[envelope.REQUEST_ID] = request_id
        if self._model is not None:
            outcome = "failed" if is_failure(response.status) else "refused"
            mismatch = isinstance(error, schema.Refusal) and error.mismatch
            seconds = time.perf_counter() - started
            counted = telemetry.Request("http", outcome, str(response.status), seconds, mismatch)
            self._model.telemetry.count_request(counted)
        return response

    def _explain(self, error: Exception, make_body: Callable[..., bytes], request_id: bytes) -> Response:
        if isinstance(error, schema.Refusal):
            return Response(error.status, make_body(error.status, error.reason, str(error), error))
        if isinstance(error, schema.Limit):
            response = Response(error.http_status, make_body(error.http_status, error.reason, error.message))
            if error.retry_after is not None:
                response.headers[b"retry-after"] = b"%d" % error.retry_after
            return response
        log.error("request %s failed", request_id.decode(), exc_info=error)
        message = f"the prediction failed; the log tells more of {request_id.decode()}"
        return Response(500, make_body(500, "InternalError", message))

    def _wrong_method(self, request: Request, path: bytes, allowed: bytes) -> Response:
        came = f"{request.method.decode()} {path.decode('latin-1')}"
        response = self.fail(405, "MethodNotAllowed", f"method: expected {allowed.decode()}, got {came}")
        response.headers[b"allow"] = allowed
        return response

    def _deadline(self, headers: dict[bytes, bytes]) -> float | None:
        """Give the moment, on the event loop's clock, at which the client waits no longer."""
        seconds = self._deadline_seconds or None
        if DEADLINE in headers or GRPC_DEADLINE in headers:
            asked = asked_seconds(headers)
            seconds = min(asked, seconds) if seconds else asked
        return None if seconds is None else asyncio.get_running_loop().time() + seconds


def is_failure(status: int) -> bool:
    """Whether the server is to blame."""
    return status >= 500


def asked_seconds(headers: dict[bytes, bytes]) -> float:
    """Read how long the client waits, in milliseconds or in gRPC's form (100m is a tenth of a second)."""
    if DEADLINE in headers:
        text = headers[DEADLINE]
        if text.isdigit() and len(text) <= 8:
            return int(text) / 1000
        raise wrong_deadline(DEADLINE, "milliseconds, at most 8 digits", text)
    seconds = envelope.read_timeout(headers[GRPC_DEADLINE])
    if seconds is None:
        raise wrong_deadline(GRPC_DEADLINE, f"at most {envelope.TIMEOUT_FORM}", headers[GRPC_DEADLINE])
    return seconds


def wrong_deadline(name: bytes, expected: str, got: bytes) -> schema.Refusal:
    """Refuse a deadline that cannot be read."""
    came = repr(got[:40].decode("latin-1"))
    return schema.Refusal("InvalidRequest", name.decode(), expected, came, mismatch=False)


def path_of(target: bytes) -> bytes:
    """Give the decoded path of a request's target."""
    try:
        path: bytes = httptools.parse_url(target).path or b"/"
    except httptools.HttpParserInvalidURLError:
        return target
    return unquote_to_bytes(path) if b"%" in path else path
