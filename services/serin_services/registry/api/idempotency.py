"""Idempotency by key: a POST that is sent again with its `Idempotency-Key` is answered again and not carried out again.

The key's row is written in the same transaction as the change and before it. So whoever sends the same key meanwhile
waits for that transaction, a change without its answer cannot stay behind, and one that failed leaves the key free.
"""

import datetime as dt
import hashlib
import re

import sqlalchemy as sa
from sqlalchemy import orm
from starlette.requests import Request
from starlette.responses import Response

from serin_services.registry import errors
from serin_services.registry.core.access import Caller
from serin_services.registry.database import tables
from serin_services.registry.database.upserts import insert_missing
from serin_services.registry.records import heads

HEADER = "Idempotency-Key"
# Marks an answer that was given before.
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# Headers of an answer that are given again with it; the rest is each answer's own.
_KEPT = ("content-type", "etag", "location")
_ROW = tables.IdempotencyKey


class Replay(Exception):  # noqa: N818 - it is no error
    """This request was answered before: with this."""

    def __init__(self, response: Response) -> None:
        super().__init__("replayed")
        self.response = response


def read_key(request: Request) -> str | None:
    """Give the key of a request, where it has one that counts.

    Raises:
        errors.InvalidError: it is no key.
    """
    key = request.headers.get(HEADER)
    if key is None or request.method != "POST":
        return None
    if not _KEY.fullmatch(key):
        message = "expected 1 to 255 ASCII characters that can be seen"
        raise errors.InvalidError(f"{HEADER}: {message}", errors.Fault(HEADER, message))
    return key


def digest(request: Request, body: bytes) -> str:
    """Give what tells one request from another: method, path, query and body."""
    head = "\n".join([request.method, request.url.path, request.url.query, request.headers.get("content-type", "")])
    return hashlib.sha256(head.encode() + b"\n" + body).hexdigest()


def begin(
    session: orm.Session, caller: Caller, key: str, request: str, now: dt.datetime, lifetime: dt.timedelta
) -> None:
    """Take a key for a request, after whoever has it at the moment.

    Raises:
        Replay: the request was carried out, with its answer.
        errors.ConflictError: the key was used for another request.
    """
    heads.ensure(session, caller.tenant, now)
    mine = (_ROW.tenant_id == caller.tenant, _ROW.subject == caller.subject, _ROW.key == key)
    session.execute(
        sa.delete(_ROW).where(*mine, _ROW.created_at < now - lifetime), execution_options={"synchronize_session": False}
    )
    values = {"request": request, "status": 0, "headers": {}, "body": "", "created_at": now}
    if insert_missing(session, _ROW, tenant_id=caller.tenant, subject=caller.subject, key=key, **values):
        return
    found = session.scalars(sa.select(_ROW).where(*mine)).one()
    if found.request != request:
        raise errors.ConflictError(
            f"{HEADER}: {key!r} was used for another request; take a new key for a new request",
            errors.Fault(HEADER, "was used for another request"),
        )
    raise Replay(Response(found.body, found.status, {**found.headers, REPLAYED: "true"}))


def finish(session: orm.Session, caller: Caller, key: str, response: Response) -> None:
    """Keep the answer with the key, in the transaction that made it."""
    found = session.get(_ROW, (caller.tenant, caller.subject, key))
    if found is not None:
        found.status = response.status_code
        found.headers = {name: response.headers[name] for name in _KEPT if name in response.headers}
        found.body = bytes(response.body).decode()
        session.flush()
