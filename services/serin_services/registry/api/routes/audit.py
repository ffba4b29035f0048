"""The audit log of the caller's tenant."""

import datetime as dt
from typing import Annotated, Any

import fastapi
import pydantic

from serin_services.registry.api.context import Context
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import Answer, Line, Moment, PageAnswer, Slice
from serin_services.registry.database import tables
from serin_services.registry.records import audits

router = make_router("audit")


class EntryAnswer(Answer):
    """One change, linked to the one before by its hash."""

    seq: int
    at: dt.datetime
    actor: str
    action: str = pydantic.Field(examples=["version.register"])
    object_type: str
    object_id: str
    details: dict[str, Any]
    previous_hash: str
    hash: str


class HeadAnswer(Answer):
    """The end of the chain; kept elsewhere, it shows later whether the chain was rewritten."""

    seq: int
    digest: str


class VerdictAnswer(Answer):
    """What came of checking the chain."""

    ok: bool
    count: int
    broken: int | None = pydantic.Field(description="The number of the first entry that is not what it was.")
    reason: str
    head: HeadAnswer


Filter = Annotated[Line | None, fastapi.Query()]


@router.get("/audit", summary="List the audit log")
def list_audit(
    context: Context,
    part: Slice,
    object_type: Filter = None,
    object_id: Filter = None,
    actor: Filter = None,
    action: Filter = None,
    since: Moment = None,
    until: Moment = None,
) -> PageAnswer[EntryAnswer]:
    """Give every change in the caller's tenant with who, when and what, the newest first. Needs the role admin."""
    filters = audits.Filters(object_type, object_id, actor, action, since, until)
    page = audits.list_entries(context.session, context.caller, filters, part)
    return PageAnswer(items=[_describe(row) for row in page.items], next=page.next)


@router.get("/audit/verify", summary="Verify the audit log")
def verify_audit(context: Context) -> VerdictAnswer:
    """Check the chain of hashes from the first entry to the last. Needs the role admin."""
    return VerdictAnswer.model_validate(audits.verify(context.session, context.caller))


def _describe(row: tables.AuditEntry) -> EntryAnswer:
    return EntryAnswer.model_validate(row)
