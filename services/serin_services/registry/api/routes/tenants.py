"""Tenants, and who is calling."""

import datetime as dt
from typing import Annotated

import fastapi
import pydantic

from serin_services.registry.api.context import CallerOf, Context
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import Answer, Request
from serin_services.registry.database import tables
from serin_services.registry.records import tenants

router = make_router("tenants")

Office = Annotated[
    str,
    pydantic.StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
    pydantic.Field(examples=["technical-lead"]),
]
TenantPath = Annotated[str, fastapi.Path(max_length=128, pattern=r"^[A-Za-z0-9._-]+$", examples=["alpha"])]


class TenantSettings(Request):
    """What a tenant asks for."""

    sign_off: list[Office] = pydantic.Field(
        max_length=8,
        description="The offices that must approve a version before production, each by another person.",
        examples=[["technical-lead", "risk-manager"]],
    )


class TenantAnswer(Answer):
    """A tenant."""

    id: str
    sign_off: list[str]
    created_at: dt.datetime


class CallerAnswer(Answer):
    """Who is calling, as the token says."""

    subject: str
    tenant: str
    role: str = pydantic.Field(examples=["developer"])
    offices: list[str]


class TenantList(Answer):
    """The tenants that the caller is of."""

    items: list[TenantAnswer]


@router.get("/me", summary="Ask who is calling")
def get_me(caller: CallerOf) -> CallerAnswer:
    """Give what the registry reads from the caller's token."""
    return CallerAnswer(
        subject=caller.subject, tenant=caller.tenant, role=caller.role.name.lower(), offices=sorted(caller.offices)
    )


@router.get("/tenants", summary="List tenants")
def list_tenants(context: Context) -> TenantList:
    """Give the tenants that the caller is of."""
    return TenantList(
        items=[_describe(row) for row in tenants.list_tenants(context.session, context.caller, context.now)]
    )


@router.get("/tenants/{tenant}", summary="Find a tenant")
def get_tenant(context: Context, tenant: TenantPath) -> TenantAnswer:
    """Give the caller's tenant and what it asks for."""
    return _describe(tenants.find(context.session, context.caller, tenant, context.now))


@router.put("/tenants/{tenant}", summary="Set what a tenant asks for")
def put_tenant(context: Context, tenant: TenantPath, body: TenantSettings) -> TenantAnswer:
    """Say which offices must approve a version before production. Needs the role admin."""
    return _describe(tenants.ask_sign_off(context.session, context.caller, tenant, body.sign_off, context.now))


def _describe(row: tables.Tenant) -> TenantAnswer:
    return TenantAnswer.model_validate(row)
