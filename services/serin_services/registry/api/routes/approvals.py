"""Sign-off: what offices say to a version."""

import datetime as dt
import uuid

import pydantic

from serin_services.registry.api.context import Context
from serin_services.registry.api.routes.tenants import Office
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import Answer, ModelPath, Reason, Request, VersionPath
from serin_services.registry.records.catalogue import approvals, versions

router = make_router("approvals")
PATH = "/models/{model}/versions/{version}/approvals"


class NewApproval(Request):
    """What an office says; its last word counts."""

    office: Office
    approved: bool
    why: Reason = pydantic.Field(examples=["drawdown within limits over the whole backtest"])


class ApprovalAnswer(Answer):
    """What an office said."""

    id: uuid.UUID
    office: str
    approved: bool
    at: dt.datetime
    by: str
    why: str


class ApprovalList(Answer):
    """All that offices said to a version, in order, and what is missing for it to go into production."""

    items: list[ApprovalAnswer]
    missing: list[str]


@router.get(PATH, summary="List a version's approvals")
def list_approvals(context: Context, model: ModelPath, version: VersionPath) -> ApprovalList:
    """Give what offices said to a version, and what is missing for it to go into production."""
    found = versions.find(context.session, context.caller, model, version)
    rows = approvals.list_approvals(context.session, context.caller, found)
    missing = approvals.find_missing(context.session, found)
    return ApprovalList(items=[ApprovalAnswer.model_validate(row) for row in rows], missing=missing)


@router.post(PATH, status_code=201, summary="Approve or refuse a version")
def approve_version(context: Context, model: ModelPath, version: VersionPath, body: NewApproval) -> ApprovalAnswer:
    """Say for an office yes or no to a version as it is now; what it holds cannot change any more after a yes.

    Needs the role approver, and the office in the token's claim `offices`.
    """
    found = versions.find(context.session, context.caller, model, version)
    row = approvals.approve(
        context.session,
        context.caller,
        found,
        body.office,
        approved=body.approved,
        why=body.why,
        now=context.now,
    )
    return ApprovalAnswer.model_validate(row)
