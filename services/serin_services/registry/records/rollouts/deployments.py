"""Deployments: what runs where, what happened to it, and what people want of it.

The registry writes to the cluster first and to the log second: what was asked for and not logged is found by the follower,
with the caller's name on the object, while what was logged and never asked for would be a lie.
"""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.core.events import Kind
from serin_services.registry.database.tables import Deployment, Model, ModelVersion, Placement, RolloutEvent, Tenant
from serin_services.registry.records import audits, guards, heads, paging
from serin_services.registry.records.catalogue import approvals, models
from serin_services.registry.records.rollouts.requests import (
    FORWARD,
    OPERATIONS,
    Answer,
    Asked,
    Cluster,
    Order,
    Placed,
    Refused,
    Verb,
)

# Fields of a ModelDeployment's spec that a caller may set. `template` is not one: who may write pod settings may run anything
# as any service account of the namespace, which is a right of the cluster and none of the registry's to give.
SPEC_FIELDS = frozenset({"route", "strategy", "analysis", "replicas", "progressDeadline", "failedRetention"})


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which deployments are asked for; what is left out limits nothing."""

    model: str | None = None
    namespace: str | None = None
    phase: str | None = None
    deleted: bool = False


@dataclasses.dataclass(frozen=True)
class Wish:
    """Where a version is to be deployed, and with which settings."""

    namespace: str
    # The model's name where it is empty.
    name: str = ""
    spec: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def list_deployments(
    session: orm.Session, caller: Caller, filters: Filters, part: paging.Slice
) -> paging.Page[Deployment]:
    """Give the deployments of the models that the caller may see, by namespace and name, backwards."""
    guards.require(caller, Operation.READ)
    statement = sa.select(Deployment)
    if not filters.deleted:
        statement = statement.where(Deployment.deleted_at.is_(None))
    if filters.model is not None:
        statement = statement.where(Deployment.model_id == models.find(session, caller, filters.model).id)
    for name in ("namespace", "phase"):
        if (wanted := getattr(filters, name)) is not None:
            statement = statement.where(getattr(Deployment, name) == wanted)
    return paging.paginate(session, statement, (Deployment.namespace, Deployment.name, Deployment.id), part)


def find(session: orm.Session, caller: Caller, deployment: uuid.UUID) -> Deployment:
    """Give one deployment.

    Raises:
        errors.NotFoundError: there is none that the caller may see.
    """
    guards.require(caller, Operation.READ)
    row = session.scalar(sa.select(Deployment).where(Deployment.id == deployment))
    if row is None:
        raise errors.NotFoundError(f"there is no deployment {deployment} that you may see")
    return row


def read_models(session: orm.Session, found: Sequence[Deployment]) -> dict[uuid.UUID, str]:
    """Give the names of the models of deployments, by the models' ids."""
    wanted = sa.select(Model.id, Model.name).where(Model.id.in_({deployment.model_id for deployment in found}))
    return {row.id: row.name for row in session.execute(wanted)}


def list_placements(session: orm.Session, deployment: Deployment) -> list[tuple[str, Placement]]:
    """Give where the versions of a deployment stand, each by its name."""
    wanted = (
        sa.select(Placement, ModelVersion.version)
        .join(ModelVersion, ModelVersion.id == Placement.version_id)
        .where(Placement.deployment_id == deployment.id)
        .order_by(Placement.since)
    )
    return [(version, placement) for placement, version in session.execute(wanted)]


def list_events(
    session: orm.Session, caller: Caller, deployment: Deployment, part: paging.Slice
) -> paging.Page[RolloutEvent]:
    """Give what happened to a deployment, the latest first."""
    guards.require(caller, Operation.READ)
    statement = sa.select(RolloutEvent).where(RolloutEvent.deployment_id == deployment.id)
    return paging.paginate(session, statement, (RolloutEvent.at, RolloutEvent.key), part)


def deploy(
    session: orm.Session, caller: Caller, cluster: Cluster | None, version: ModelVersion, wish: Wish, now: dt.datetime
) -> Placed:
    """Have a version rolled out: make its ModelDeployment, or change the one that is there.

    A rollout that nobody holds ends in production, so that the sign-off comes first where the tenant asks for one.

    Raises:
        errors.ForbiddenError: the caller's role is not enough, or the model is another tenant's.
        errors.ConflictError: an office has not signed off, or the version has no image.
        errors.InvalidError: the API server refuses the object, with its sentence.
        errors.UnavailableError: the cluster does not answer, or there is none.
    """
    guards.require(caller, Operation.DEPLOY, version)
    approvals.require_sign_off(session, version)
    if not version.image:
        raise errors.ConflictError(
            f"version {version.version} has no image: build it with `serin build`, then set the version's `image`"
        )
    _check_spec(wish.spec)
    model = models.find(session, caller, str(version.model_id))
    placed = _require(cluster).deploy(
        Order(
            tenant=caller.tenant,
            by=caller.subject,
            model=model.name,
            model_id=model.id,
            version=version.version,
            image=version.image,
            namespace=wish.namespace,
            name=wish.name or model.name,
            spec=wish.spec,
        )
    )
    details = {**dataclasses.asdict(placed), "version": version.version, "spec": dict(wish.spec)}
    audits.append(session, caller, "version.deploy", version, details, now)
    return placed


def ask(
    session: orm.Session, caller: Caller, cluster: Cluster | None, deployment: Deployment, verb: Verb, now: dt.datetime
) -> Asked:
    """Ask the operator for something; its answer comes later, by the request's id.

    Raises:
        errors.ForbiddenError: the caller's role is not enough, or the model is another tenant's.
        errors.ConflictError: an office has not signed off, or the deployment is gone.
        errors.UnavailableError: the cluster does not answer, or there is none.
    """
    guards.require(caller, OPERATIONS[verb], deployment)
    if deployment.deleted_at is not None:
        raise errors.ConflictError(
            f"deployment {deployment.namespace}/{deployment.name} is gone since {deployment.deleted_at}"
        )
    if verb in FORWARD:
        _require_sign_off(session, deployment)
    asked = _require(cluster).ask(
        deployment.namespace, deployment.name, deployment.uid, verb, uuid.uuid4().hex[:12], caller.subject
    )
    audits.append(session, caller, f"deployment.{verb}", deployment, {"request": asked.id}, now)
    return asked


def answer(
    session: orm.Session, caller: Caller, cluster: Cluster | None, deployment: Deployment, request: str, wait: float
) -> Answer:
    """Give the operator's answer to a request, waiting for it so many seconds; one that others followed is on record.

    Raises:
        errors.NotFoundError: there is no such object any more.
        errors.UnavailableError: the cluster does not answer, or there is none.
    """
    guards.require(caller, Operation.READ)
    kind = sa.select(RolloutEvent).where(RolloutEvent.deployment_id == deployment.id, RolloutEvent.kind == Kind.REQUEST)
    recorded = next((event for event in session.scalars(kind) if event.details.get("id") == request), None)
    if recorded is not None:
        return Answer(True, bool(recorded.details["accepted"]), recorded.message)
    return _require(cluster).answer(Asked(deployment.namespace, deployment.name, Verb.STOP, request), wait)


def stop(
    session: orm.Session, caller: Caller, cluster: Cluster | None, namespace: str, now: dt.datetime
) -> list[Asked | Refused]:
    """Stop every rollout of the caller's tenant, in one namespace or in all: an emergency.

    What there is to stop is read from the cluster: in an emergency, what is on record may lag behind.

    Raises:
        errors.ForbiddenError: the caller's role is not enough.
        errors.UnavailableError: the cluster does not answer, or there is none.
    """
    guards.require(caller, Operation.STOP)
    request = uuid.uuid4().hex[:12]
    results = _require(cluster).stop(caller.tenant, namespace, request, caller.subject)
    heads.ensure(session, caller.tenant, now)
    told = [f"{result.namespace}/{result.name}" for result in results if isinstance(result, Asked)]
    refused = {f"{result.namespace}/{result.name}": result.message for result in results if isinstance(result, Refused)}
    details = {"namespace": namespace, "request": request, "asked": told, "refused": refused}
    audits.append(session, caller, "stop", session.get_one(Tenant, caller.tenant), details, now)
    return results


def _require(cluster: Cluster | None) -> Cluster:
    if cluster is None:
        raise errors.UnavailableError("this registry is connected to no cluster: set SERIN_REGISTRY_CLUSTER")
    return cluster


def _require_sign_off(session: orm.Session, deployment: Deployment) -> None:
    wanted = sa.select(ModelVersion).where(
        ModelVersion.model_id == deployment.model_id, ModelVersion.version == deployment.version
    )
    version = session.scalar(wanted)
    if version is not None:
        approvals.require_sign_off(session, version)


def _check_spec(spec: Mapping[str, Any]) -> None:
    faults = [errors.Fault(f"spec.{name}", _explain(name)) for name in sorted(set(spec) - SPEC_FIELDS)]
    if faults:
        raise errors.InvalidError("; ".join(f"{fault.where}: {fault.message}" for fault in faults), *faults)


def _explain(name: str) -> str:
    if name in {"model", "version", "image"}:
        return "it is the version's own; leave it out"
    return f"expected one of {', '.join(sorted(SPEC_FIELDS))}; set anything else with kubectl, and it stays"
