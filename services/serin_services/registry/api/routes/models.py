"""Models: made, listed, found and changed."""

import datetime as dt
import uuid
from typing import Annotated

import fastapi
import pydantic

from serin_services.package.manifest import ModelName
from serin_services.registry.api import etags
from serin_services.registry.api.context import Context
from serin_services.registry.api.etags import IfMatch
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import (
    Answer,
    LabelQuery,
    Labels,
    ModelPath,
    Moment,
    PageAnswer,
    Request,
    Search,
    Slice,
    Text,
)
from serin_services.registry.core.access import Visibility
from serin_services.registry.database import tables
from serin_services.registry.records.catalogue import models

router = make_router("models")


class NewModel(Request):
    """A model to be made."""

    name: ModelName = pydantic.Field(examples=["momentum"])
    description: Text = ""
    labels: Labels = pydantic.Field(default_factory=dict)
    visibility: Visibility | None = pydantic.Field(
        default=None,
        description="Who sees it: everyone (only the platform's), the tenant (the default), or only who makes it.",
    )


class ModelChanges(Request):
    """What is to be changed; what is left out stays."""

    description: Text | None = None
    labels: Labels | None = pydantic.Field(default=None, description="All labels anew.")


class ModelAnswer(Answer):
    """A model."""

    id: uuid.UUID
    name: str
    tenant: str
    owner: str = pydantic.Field(description="The user whose private model it is, or empty.")
    visibility: Visibility
    description: str
    labels: dict[str, str]
    created_at: dt.datetime
    created_by: str
    revision: int = pydantic.Field(description="Counts the changes; the ETag.")


def describe(model: tables.Model) -> ModelAnswer:
    """Put a model into the form of an answer."""
    return ModelAnswer(
        id=model.id,
        name=model.name,
        tenant=model.tenant_id,
        owner=model.owner,
        visibility=model.visibility,
        description=model.description,
        labels=model.labels,
        created_at=model.created_at,
        created_by=model.created_by,
        revision=model.revision,
    )


@router.get("/models", summary="List the models that the caller may see")
def list_models(
    context: Context,
    part: Slice,
    q: Search = None,
    labels: LabelQuery = [],  # noqa: B006 - FastAPI copies it
    visibility: Visibility | None = None,
    created_since: Moment = None,
    created_until: Moment = None,
) -> PageAnswer[ModelAnswer]:
    """Give the models of the platform, the tenant and the caller, the newest first."""
    filters = models.Filters(q, tuple(labels), visibility, created_since, created_until)
    page = models.list_models(context.session, context.caller, filters, part).map(describe)
    return PageAnswer(items=list(page.items), next=page.next)


@router.post("/models", status_code=201, summary="Make a model")
def create_model(context: Context, body: NewModel, response: fastapi.Response) -> ModelAnswer:
    """Make a model, which then has versions. Needs the role developer."""
    draft = models.Draft(body.name, body.description, body.labels, body.visibility)
    model = models.create(context.session, context.caller, draft, context.now)
    etags.put(response, model)
    response.headers["Location"] = f"/api/v1/models/{model.id}"
    return describe(model)


@router.get("/models/{model}", summary="Find a model")
def get_model(context: Context, model: ModelPath, response: fastapi.Response) -> ModelAnswer:
    """Give a model; of several of one name the caller's own, else the tenant's, else the platform's."""
    found = models.find(context.session, context.caller, model)
    etags.put(response, found)
    return describe(found)


@router.patch("/models/{model}", summary="Change a model", responses=etags.RESPONSES)
def change_model(
    context: Context,
    model: ModelPath,
    revision: IfMatch,
    body: Annotated[ModelChanges, fastapi.Body()],
    response: fastapi.Response,
) -> ModelAnswer:
    """Change what is said about a model. Needs the role developer and `If-Match`."""
    found = models.find(context.session, context.caller, model)
    etags.check(found, revision)
    changes = models.Changes(body.description, body.labels)
    changed = models.change(context.session, context.caller, found, changes, context.now)
    etags.put(response, changed)
    return describe(changed)
