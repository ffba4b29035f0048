"""The files of a version: put once, streamed both ways, checked by their digest."""

import datetime as dt
from typing import Annotated

import fastapi
import pydantic
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse

from serin_services.registry import errors
from serin_services.registry.api.context import CallerOf, Context, Services, ServicesOf
from serin_services.registry.api.problems import RequestError
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import Answer, ModelPath, VersionPath
from serin_services.registry.artifacts.store import Stored
from serin_services.registry.core import digests
from serin_services.registry.core.access import Caller
from serin_services.registry.database import tables
from serin_services.registry.records.catalogue import artifacts, versions

router = make_router("artifacts")
PATH = "/models/{model}/versions/{version}/artifacts"
DEFAULT_TYPE = "application/octet-stream"

NamePath = Annotated[
    str,
    fastapi.Path(
        max_length=artifacts.MAX_NAME,
        description="model, model.onnx, scaler, config.json, metadata.json, or a path below logs, package or opaque.",
        examples=["model"],
    ),
]
MediaType = Annotated[
    str, pydantic.StringConstraints(max_length=127, pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(;.*)?$")
]
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_DIGEST = {
    "name": digests.FIELD,
    "in": "header",
    "required": True,
    "description": "The body's sha-256, as in RFC 9530; `Content-Digest` does as well.",
    "schema": {"type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$"},
}


class ArtifactAnswer(Answer):
    """A file of a version."""

    name: str
    sha256: str
    size: int = pydantic.Field(description="In bytes.")
    media_type: str
    encrypted: bool = pydantic.Field(description="Whether it is encrypted at rest.")
    created_at: dt.datetime
    created_by: str


class ArtifactList(Answer):
    """All files of a version."""

    items: list[ArtifactAnswer]


@router.get(PATH, summary="List a version's artifacts")
def list_artifacts(context: Context, model: ModelPath, version: VersionPath) -> ArtifactList:
    """Give the files of a version with their digests and sizes, by name."""
    found = versions.find(context.session, context.caller, model, version)
    rows = artifacts.list_artifacts(context.session, context.caller, found)
    return ArtifactList(items=[ArtifactAnswer.model_validate(row) for row in rows])


@router.put(
    f"{PATH}/{{name:path}}",
    status_code=201,
    summary="Put an artifact",
    responses={200: {"model": ArtifactAnswer, "description": "It is there already, with this content."}},
    openapi_extra={"requestBody": {"required": True, "content": _BINARY}, "parameters": [_DIGEST]},
)
async def put_artifact(
    request: fastapi.Request,
    response: fastapi.Response,
    caller: CallerOf,
    services: ServicesOf,
    model: ModelPath,
    version: VersionPath,
    name: NamePath,
    content_type: Annotated[MediaType, fastapi.Header()] = DEFAULT_TYPE,
) -> ArtifactAnswer:
    """Store a file, which is seen when all of it is there and has the declared digest; it is never overwritten.

    Sent again, it is answered with 200; another content of the same name is refused with 409. Needs the role developer.
    """
    sha256 = _read_digest(request.headers)
    upload = await run_in_threadpool(_plan, services, caller, (model, version), (name, sha256, content_type))
    if isinstance(upload, ArtifactAnswer):
        response.status_code = 200
        await _discard(request)
        return upload
    transfers = request.app.state.transfers
    stored = await transfers.receive(request, upload.place, sha256)
    answer, added = await run_in_threadpool(_enter, services, caller, (model, version), upload, stored)
    response.status_code = 201 if added else 200
    return answer


@router.get(
    f"{PATH}/{{name:path}}",
    summary="Get an artifact",
    response_class=StreamingResponse,
    responses={
        200: {"content": _BINARY, "description": "The file; its ETag is its sha256."},
        304: {"description": "It is the one of `If-None-Match`."},
    },
)
@router.head(f"{PATH}/{{name:path}}", summary="Ask for an artifact's size and digest", response_class=Response)
async def get_artifact(
    request: fastapi.Request,
    caller: CallerOf,
    services: ServicesOf,
    model: ModelPath,
    version: VersionPath,
    name: NamePath,
) -> Response:
    """Give a file; where its bytes are not those that were put, the connection breaks before the end."""
    found = await run_in_threadpool(_find, services, caller, (model, version), name)
    headers = {
        "ETag": f'"{found.sha256}"',
        digests.FIELD: digests.write(found.sha256),
        "Content-Type": found.media_type,
        # Whatever a browser thinks of it: it is no page of this site.
        "Content-Disposition": "attachment",
    }
    if f'"{found.sha256}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    headers["Content-Length"] = str(found.size)
    if request.method == "HEAD":
        return Response(headers=headers)
    transfers = request.app.state.transfers
    opened = await transfers.open(found.key)
    return StreamingResponse(transfers.send(opened), headers=headers)


def _read_digest(headers: Headers) -> str:
    """Give the declared sha256 of a body in hexadecimal.

    Raises:
        RequestError: 415, the body is coded.
        errors.InvalidError: there is none, or there are two that differ.
    """
    if headers.get("content-encoding", "identity") != "identity":
        raise RequestError(415, "expected a body without Content-Encoding: what is stored is what is sent")
    found = {digests.read(value) for name in digests.FIELDS if (value := headers.get(name)) is not None}
    if len(found) != 1 or "" in found:
        message = f"expected {' or '.join(digests.FIELDS)} with sha-256=:…: (base64), the same where both are there"
        raise errors.InvalidError(message, errors.Fault(digests.FIELD, message))
    return found.pop()


def _plan(
    services: Services, caller: Caller, where: tuple[str, str], what: tuple[str, str, str]
) -> artifacts.Upload | ArtifactAnswer:
    with services.database.open(caller, read_only=True) as session:
        found = versions.find(session, caller, *where)
        upload = artifacts.plan(session, caller, found, *what)
        return ArtifactAnswer.model_validate(upload.found) if upload.found else upload


def _enter(
    services: Services, caller: Caller, where: tuple[str, str], upload: artifacts.Upload, stored: Stored
) -> tuple[ArtifactAnswer, bool]:
    with services.database.open(caller) as session:
        found = versions.find(session, caller, *where)
        row, added = artifacts.enter(session, caller, found, upload, stored, services.clock())
        return ArtifactAnswer.model_validate(row), added


def _find(services: Services, caller: Caller, where: tuple[str, str], name: str) -> tables.Artifact:
    with services.database.open(caller, read_only=True) as session:
        found = artifacts.find(session, caller, versions.find(session, caller, *where), name)
        session.expunge(found)
        return found


async def _discard(request: fastapi.Request) -> None:
    """Read what a client sends without need, unless it waits to be asked for it: many read no answer before they are done."""
    if request.headers.get("expect", "").lower() != "100-continue":
        async for _ in request.stream():
            continue
