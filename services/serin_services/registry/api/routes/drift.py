"""Drift events: what monitors found, reported and listed."""

import datetime as dt
import uuid
from typing import Annotated, Any, Literal

import fastapi
import pydantic

from serin_services.registry.api.context import Context
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import (
    Answer,
    JsonObject,
    Line,
    ModelPath,
    Moment,
    Number,
    PageAnswer,
    Request,
    Slice,
)
from serin_services.registry.records.catalogue import models
from serin_services.registry.records.learning import drift

router = make_router("drift")

Severity = Literal["low", "medium", "high"]


class NewDriftEvent(Request):
    """What a test found of one feature, or of the target."""

    feature: Line = pydantic.Field(min_length=1, examples=["rsi_14"])
    statistic: Number = pydantic.Field(examples=[0.31])
    p_value: Annotated[Number, pydantic.Field(ge=0, le=1)] = pydantic.Field(examples=[0.003])
    severity: Severity
    version: Line | None = pydantic.Field(default=None, description="The version that was looked at, if it was one.")
    at: pydantic.AwareDatetime | None = pydantic.Field(default=None, description="When it was found; now, if left out.")
    details: JsonObject = pydantic.Field(default_factory=dict)


class DriftAnswer(Answer):
    """A finding."""

    id: uuid.UUID
    model_id: uuid.UUID
    version_id: uuid.UUID | None
    feature: str
    statistic: float
    p_value: float
    severity: str
    details: dict[str, Any]
    at: dt.datetime


@router.post("/models/{model}/drift-events", status_code=201, summary="Report drift")
def report_drift(context: Context, model: ModelPath, body: NewDriftEvent) -> DriftAnswer:
    """Write down what a monitor found of a model's features or target. Needs the role developer."""
    found = models.find(context.session, context.caller, model)
    finding = drift.Finding(**dict(body))
    return DriftAnswer.model_validate(drift.record(context.session, context.caller, found, finding, context.now))


@router.get("/drift-events", summary="List drift")
def list_drift(
    context: Context,
    part: Slice,
    model: Annotated[Line | None, fastapi.Query(description="A model's name or id.")] = None,
    severity: Severity | None = None,
    since: Moment = None,
    until: Moment = None,
) -> PageAnswer[DriftAnswer]:
    """Give what was found of the models that the caller may see, the newest first."""
    filters = drift.Filters(model, severity, since, until)
    page = drift.list_findings(context.session, context.caller, filters, part)
    return PageAnswer(items=[DriftAnswer.model_validate(row) for row in page.items], next=page.next)
