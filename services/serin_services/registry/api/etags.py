"""ETags: a change says which state it was made from, so that nobody overwrites what they have not seen (RFC 9110, 13.1)."""

import re
from typing import Annotated, Any

import fastapi

from serin_services.registry import errors
from serin_services.registry.api.problems import RequestError
from serin_services.registry.api.schemas import Problem
from serin_services.registry.database import tables

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description, "content": {"application/problem+json": {}}}
    for status, description in ((412, "It has changed since."), (428, "`If-Match` is missing."))
}
_OURS = re.compile(r'"([1-9][0-9]{0,17})"')
_ANY = re.compile(r'(W/)?"[\x21\x23-\x7e]*"')


def read_if_match(
    if_match: Annotated[
        str | None,
        fastapi.Header(description="The ETag of the state that the change was made from.", examples=['"1"']),
    ] = None,
) -> int | None:
    """Read the revision that a change was made from; None for `*`, whatever there is.

    Raises:
        RequestError: 428, there is no header.
        errors.InvalidError: it is no ETag.
        errors.PreconditionError: it is none of the registry's, so it is not that of what is there.
    """
    if if_match is None:
        raise RequestError(428, 'a change needs the ETag that a GET gave, as If-Match: "…", or * for whatever is there')
    if if_match.strip() == "*":
        return None
    found = _OURS.fullmatch(if_match.strip())
    if found is None and not _ANY.fullmatch(if_match.strip()):
        message = f'expected an ETag as a GET gave it, "…" with the quotes, got {if_match[:80]!r}'
        raise errors.InvalidError(f"If-Match: {message}", errors.Fault("If-Match", message))
    if found is None:
        raise errors.PreconditionError(f"If-Match: {if_match[:80]!r} is not the ETag of what is there; read it again")
    return int(found[1])


IfMatch = Annotated[int | None, fastapi.Depends(read_if_match)]
Revised = tables.Model | tables.ModelVersion


def check(row: Revised, revision: int | None) -> None:
    """Refuse a change that was made from another state.

    Raises:
        errors.PreconditionError: the row has changed since.
    """
    if revision is not None and row.revision != revision:
        raise errors.PreconditionError(f'it is at revision "{row.revision}" now and was at "{revision}": read it again')


def put(response: fastapi.Response, row: Revised) -> None:
    """Give the row's ETag with the answer."""
    response.headers["ETag"] = f'"{row.revision}"'
