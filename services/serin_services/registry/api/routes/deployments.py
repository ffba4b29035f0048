"""Deployments: versions rolled out, what happened to them, and what people ask of the operator."""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import fastapi
import pydantic

from serin_services.registry.api.context import Asked, Context
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import Answer, JsonObject, ModelPath, PageAnswer, Request, Slice, VersionPath
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.records.catalogue import versions
from serin_services.registry.records.rollouts import deployments
from serin_services.registry.records.rollouts.requests import Verb

router = make_router("deployments")

DnsLabel = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
# A ModelDeployment's name (its definition says the same).
ObjectName = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=52)]
RequestId = Annotated[str, fastapi.Path(pattern=r"^[A-Za-z0-9-]{1,64}$", description="The request's id.")]
Filter = Annotated[str | None, fastapi.Query(max_length=63)]
WaitSeconds = Annotated[float, fastapi.Query(ge=0, le=30, description="How long to wait for the answer.")]


class PlacementAnswer(Answer):
    """Where a version stands in the deployment."""

    version: str
    stage: Stage
    since: dt.datetime


class DeploymentAnswer(Answer):
    """A ModelDeployment as it was last seen."""

    id: uuid.UUID
    model: str = pydantic.Field(description="The model's name.")
    model_id: uuid.UUID
    cluster: str
    namespace: str
    name: str
    version: str = pydantic.Field(description="The version that its spec asks for.")
    phase: str
    step: str
    weight: int
    verdict: str
    message: str
    observed_at: dt.datetime
    deleted_at: dt.datetime | None


class DetailAnswer(DeploymentAnswer):
    """A deployment and the versions that stand in it."""

    placements: list[PlacementAnswer]


class EventAnswer(Answer):
    """One thing that happened to a deployment."""

    at: dt.datetime
    kind: str
    version: str
    reason: str
    message: str
    details: dict[str, Any]


class DeployBody(Request):
    """Where a version is to be rolled out, and how."""

    namespace: DnsLabel
    name: ObjectName | None = pydantic.Field(
        default=None, description="The ModelDeployment; the model's name, if left out."
    )
    spec: JsonObject = pydantic.Field(
        default_factory=dict,
        description="Fields of the ModelDeployment's spec: route, strategy, analysis, replicas, progressDeadline, "
        "failedRetention. What is left out stays as it is.",
    )


class PlacedAnswer(Answer):
    """The ModelDeployment that was made or changed; its `id` here comes as soon as the registry has seen it."""

    namespace: str
    name: str
    uid: str
    generation: int
    created: bool


class RequestAnswer(Answer):
    """A request that awaits the operator's answer, which GET …/requests/{request} gives."""

    request: str
    verb: Verb


class OperatorAnswer(Answer):
    """What became of a request."""

    settled: bool
    accepted: bool | None = pydantic.Field(description="null while nobody has looked at it, or where nobody ever will.")
    message: str


@router.get("/deployments", summary="List deployments")
def list_deployments(
    context: Context,
    part: Slice,
    model: Filter = None,
    namespace: Filter = None,
    phase: Filter = None,
    deleted: bool = False,
) -> PageAnswer[DeploymentAnswer]:
    """Give the deployments of the models that the caller may see; those that are gone, too, with `deleted`."""
    filters = deployments.Filters(model, namespace, phase, deleted)
    found = deployments.list_deployments(context.session, context.caller, filters, part)
    names = deployments.read_models(context.session, found.items)
    return PageAnswer[DeploymentAnswer].model_validate(found.map(lambda row: _show(row, names)))


@router.get("/deployments/{deployment}", summary="Read a deployment")
def read_deployment(context: Context, deployment: uuid.UUID) -> DetailAnswer:
    """Give a deployment and where its versions stand."""
    row = _find(context, deployment)
    placements = [
        PlacementAnswer(version=version, stage=placement.stage, since=placement.since)
        for version, placement in deployments.list_placements(context.session, row)
    ]
    shown = _show(row, deployments.read_models(context.session, [row]))
    return DetailAnswer(**shown.model_dump(), placements=placements)


@router.get("/deployments/{deployment}/history", summary="Read a deployment's history")
def list_history(context: Context, deployment: uuid.UUID, part: Slice) -> PageAnswer[EventAnswer]:
    """Give what happened to a deployment, the latest first: phases, steps, verdicts, failures and requests."""
    row = _find(context, deployment)
    found = deployments.list_events(context.session, context.caller, row, part)
    return PageAnswer[EventAnswer].model_validate(found)


@router.post("/models/{model}/versions/{version}/deploy", status_code=202, summary="Deploy a version")
def deploy(context: Context, model: ModelPath, version: VersionPath, body: DeployBody) -> PlacedAnswer:
    """Roll a version out: make its ModelDeployment, or have the one that is there go over to this version."""
    row = versions.find(context.session, context.caller, model, version)
    wish = deployments.Wish(body.namespace, body.name or "", body.spec)
    placed = deployments.deploy(context.session, context.caller, context.services.deployer, row, wish, context.now)
    return PlacedAnswer.model_validate(placed)


@router.post("/deployments/{deployment}/{verb}", status_code=202, summary="Ask something of a deployment")
def ask(
    context: Context,
    deployment: uuid.UUID,
    verb: Literal["promote", "pause", "resume", "rollback", "retry", "stop"],
) -> RequestAnswer:
    """Write the request down for the operator, which carries it out once or refuses it."""
    row = _find(context, deployment)
    asked = deployments.ask(context.session, context.caller, context.services.deployer, row, Verb(verb), context.now)
    return RequestAnswer(request=asked.id, verb=asked.verb)


@router.get("/deployments/{deployment}/requests/{request}", summary="Read the answer to a request")
def read_answer(
    context: Context, deployment: uuid.UUID, request: RequestId, wait_seconds: WaitSeconds = 0.0
) -> OperatorAnswer:
    """Give what became of a request, waiting for it where it is asked for."""
    row = _find(context, deployment)
    answer = deployments.answer(context.session, context.caller, context.services.deployer, row, request, wait_seconds)
    return OperatorAnswer.model_validate(answer)


def _show(row: tables.Deployment, names: Mapping[uuid.UUID, str]) -> DeploymentAnswer:
    columns = {name: getattr(row, name) for name in DeploymentAnswer.model_fields if name != "model"}
    return DeploymentAnswer(model=names[row.model_id], **columns)


def _find(context: Asked, deployment: uuid.UUID) -> tables.Deployment:
    return deployments.find(context.session, context.caller, deployment)
