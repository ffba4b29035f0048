"""Errors as problem+json (RFC 9457): every kind has its status here, and nothing of the inside is told."""

import dataclasses
import http
from collections.abc import Mapping, Sequence
from typing import Any

import fastapi
from fastapi.exceptions import RequestValidationError
from sqlalchemy import exc
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import compile_path

from serin_services.registry import errors
from serin_services.registry.errors import Fault

MEDIA_TYPE = "application/problem+json"
# So long a client should wait before it asks again for what did not answer, in seconds.
RETRY_SECONDS = 5

STATUSES: dict[type[errors.RegistryError], int] = {
    errors.NotFoundError: 404,
    errors.ForbiddenError: 403,
    errors.InvalidError: 422,
    errors.ConflictError: 409,
    errors.PreconditionError: 412,
    errors.TooLargeError: 413,
    errors.UnavailableError: 503,
}
MAX_FAULTS = 20
_METHODS = {"get", "head", "post", "put", "patch", "delete"}


class RequestError(HTTPException):
    """A request that HTTP itself refuses: its status, a sentence, and headers that go with it."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message, dict(headers or {}))


@dataclasses.dataclass(frozen=True)
class Problem:
    """One answer that says what is wrong."""

    status: int
    detail: str
    faults: Sequence[Fault] = ()
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def to_response(self, request_id: str = "") -> Response:
        """Put it into the form of RFC 9457; the request's id names its line in the log."""
        content: dict[str, Any] = {
            "type": "about:blank",
            "title": http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if request_id:
            content["instance"] = f"urn:serin:request:{request_id}"
        if self.faults:
            content["errors"] = [dataclasses.asdict(fault) for fault in self.faults[:MAX_FAULTS]]
        return JSONResponse(content, self.status, dict(self.headers), MEDIA_TYPE)


def from_registry_error(error: errors.RegistryError) -> Problem:
    """Give the problem that an error of the registry is, by the nearest of its kinds."""
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
    return Problem(status, error.message, error.faults, headers)


# What the framework says in two words.
_SENTENCES = {
    404: "there is nothing at this path; GET /api/v1/openapi.json says what there is",
    405: "this path does not take this method; the header Allow says which ones it takes",
}


def from_http_error(error: HTTPException) -> Problem:
    """Give the problem that a refusal by the framework is."""
    is_bare = error.detail == http.HTTPStatus(error.status_code).phrase
    detail = _SENTENCES.get(error.status_code, error.detail) if is_bare else error.detail
    return Problem(error.status_code, str(detail), headers=error.headers or {})


def from_validation_error(error: RequestValidationError) -> Problem:
    """Give the problem with a fault for each thing that is wrong, by its place; what came is not repeated."""
    faults = [
        Fault(".".join(str(part) for part in item["loc"])[:200], _sentence(item["msg"])) for item in error.errors()
    ]
    detail = "; ".join(f"{fault.where}: {fault.message}" for fault in faults[:3])
    return Problem(422, f"the request is not as the API describes it: {detail}", faults)


def from_data_error(error: exc.DataError) -> Problem:  # noqa: ARG001 - it repeats the data
    """Give the problem that a value is which the database cannot hold, where no form refused it before."""
    return Problem(422, "a text has a NUL in it, or a number is too large: the database cannot keep it")


def install(app: fastapi.FastAPI) -> None:
    """Let the application answer every error as a problem."""
    for kind, make in (
        (errors.RegistryError, from_registry_error),
        (HTTPException, from_http_error),
        (RequestValidationError, from_validation_error),
        (exc.DataError, from_data_error),
    ):
        _handle(app, kind, make)


def _handle(app: fastapi.FastAPI, kind: type[Exception], make: Any) -> None:  # noqa: ANN401 - one maker for each kind
    async def answer(request: fastapi.Request, error: Exception) -> Response:
        problem: Problem = make(error)
        if problem.status == 405:
            # The framework names the methods of the first route of the path alone.
            problem = dataclasses.replace(problem, headers={"Allow": ", ".join(_find_methods(app, request.url.path))})
        return problem.to_response(getattr(request.state, "request_id", ""))

    app.add_exception_handler(kind, answer)


def _find_methods(app: fastapi.FastAPI, path: str) -> list[str]:
    described: dict[str, dict[str, Any]] = app.openapi()["paths"]
    found = [set(methods) for template, methods in described.items() if compile_path(template)[0].match(path)]
    return sorted(method.upper() for method in set().union(*found) & _METHODS) or ["GET", "HEAD"]


def _sentence(text: str) -> str:
    return text.removeprefix("Value error, ")[:500]
