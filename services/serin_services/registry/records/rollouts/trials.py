"""Trials: versions that stand in the shadow of a deployment, the champion beside each, and what is asked of them."""

import dataclasses
import datetime as dt
import uuid

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.records import guards
from serin_services.registry.records.catalogue import models, versions
from serin_services.registry.records.rollouts import deployments
from serin_services.registry.records.rollouts.requests import Asked, Cluster, Placed, Verb


@dataclasses.dataclass(frozen=True)
class Pair:
    """A version, the champion that it is held against, and since when they stand beside each other, if they do."""

    challenger: tables.ModelVersion
    champion: tables.ModelVersion
    since: dt.datetime | None


@dataclasses.dataclass(frozen=True)
class Staging:
    """How long at least a version stays in the shadow, as Kubernetes writes it, and the share of traffic it is shown."""

    duration: str = "24h"
    mirror_percent: int = 100


@dataclasses.dataclass(frozen=True)
class Trial:
    """A version in the shadow of one deployment, since when, and the champion beside it, if there is one."""

    deployment: tables.Deployment
    challenger: tables.ModelVersion
    since: dt.datetime
    champion: tables.ModelVersion | None


def find_trials(
    session: orm.Session, caller: Caller, model: str | None = None, version: str | None = None
) -> list[Trial]:
    """Give the trials that are running, of one model or version or of all that the caller sees, the newest first.

    Raises:
        errors.NotFoundError: there is no such model or version, as far as the caller sees.
    """
    guards.require(caller, Operation.READ)
    placement = tables.Placement
    chosen = sa.select(placement).where(placement.stage == Stage.STAGING)
    if model is not None and version is not None:
        chosen = chosen.where(placement.version_id == versions.find(session, caller, model, version).id)
    elif model is not None:
        chosen = chosen.where(placement.model_id == models.find(session, caller, model).id)
    staged = session.scalars(chosen.order_by(placement.since.desc(), placement.version_id)).all()
    champions = _find_champions(session, {row.deployment_id for row in staged})
    known = _load_versions(session, {row.version_id for row in staged} | set(champions.values()))
    deployments = _load_deployments(session, {row.deployment_id for row in staged})
    return [
        Trial(
            deployments[row.deployment_id],
            known[row.version_id],
            row.since,
            known[champions[row.deployment_id]] if row.deployment_id in champions else None,
        )
        for row in staged
    ]


def find_trial(session: orm.Session, caller: Caller, model: str, version: str) -> Trial:
    """Give the newest trial of a version.

    Raises:
        errors.NotFoundError: there is no such version.
        errors.ConflictError: it is in no deployment's shadow.
    """
    if trials := find_trials(session, caller, model, version):
        return trials[0]
    raise errors.ConflictError(
        f"version {version} of {model} is in no deployment's STAGING now; deploy it to one first"
    )


def find_pair(session: orm.Session, caller: Caller, model: str, version: str, champion: str | None) -> Pair:
    """Give a version and the one to hold it against: the named one, the champion of its trial, or the one in production.

    Raises:
        errors.NotFoundError: there is no such model or version.
        errors.ConflictError: there is no champion, or there are several that could be meant.
        errors.InvalidError: the champion would be the version itself.
    """
    challenger = versions.find(session, caller, model, version)
    trial = next((each for each in find_trials(session, caller, model, version) if each.champion), None)
    since = trial.since if trial else None
    if champion is not None:
        named = versions.find(session, caller, model, champion)
        if named.id == challenger.id:
            raise errors.InvalidError(f"champion: expected another version than {version} itself")
        return Pair(challenger, named, since)
    if trial is not None and trial.champion is not None:
        return Pair(challenger, trial.champion, since)
    return Pair(challenger, _find_production(session, challenger), since)


def _find_production(session: orm.Session, challenger: tables.ModelVersion) -> tables.ModelVersion:
    """Give the one version of the model that is in production, besides this one."""
    row = tables.ModelVersion
    chosen = sa.select(row).where(
        row.model_id == challenger.model_id, row.stage == Stage.PRODUCTION, row.id != challenger.id
    )
    found = session.scalars(chosen.order_by(row.version)).all()
    if len(found) != 1:
        names = ", ".join(each.version for each in found) or "none"
        raise errors.ConflictError(
            f"expected one version in production beside {challenger.version}, found {names}; name the champion"
        )
    return found[0]


def deploy(
    session: orm.Session,
    caller: Caller,
    cluster: Cluster | None,
    version: tables.ModelVersion,
    wish: deployments.Wish,
    staging: Staging,
    now: dt.datetime,
) -> Placed:
    """Have a version rolled out, beginning in the shadow for at least so long; it goes on from there by its strategy.

    Raises:
        errors.RegistryError: what `deployments.deploy` raises.
    """
    spec = dict(wish.spec)
    strategy = dict(spec.get("strategy") or {})
    canary = dict(strategy.get("canary") or {})
    canary["staging"] = {"duration": staging.duration, "mirrorPercent": staging.mirror_percent}
    spec["strategy"] = strategy | {"canary": canary}
    return deployments.deploy(session, caller, cluster, version, dataclasses.replace(wish, spec=spec), now)


def ask(
    session: orm.Session, caller: Caller, cluster: Cluster | None, trial: Trial, verb: Verb, now: dt.datetime
) -> Asked:
    """Ask the operator to end a trial: to promote its version or to roll it back.

    Raises:
        errors.RegistryError: what `deployments.ask` raises.
    """
    return deployments.ask(session, caller, cluster, trial.deployment, verb, now)


def _find_champions(session: orm.Session, deployments: set[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """Give the version in production of each deployment that has one."""
    placement = tables.Placement
    chosen = sa.select(placement.deployment_id, placement.version_id).where(
        placement.deployment_id.in_(deployments), placement.stage == Stage.PRODUCTION
    )
    return {row.deployment_id: row.version_id for row in session.execute(chosen)}


def _load_versions(session: orm.Session, ids: set[uuid.UUID]) -> dict[uuid.UUID, tables.ModelVersion]:
    version = tables.ModelVersion
    chosen = sa.select(version).where(version.id.in_(ids)).options(orm.joinedload(version.model))
    return {row.id: row for row in session.scalars(chosen)}


def _load_deployments(session: orm.Session, ids: set[uuid.UUID]) -> dict[uuid.UUID, tables.Deployment]:
    return {row.id: row for row in session.scalars(sa.select(tables.Deployment).where(tables.Deployment.id.in_(ids)))}
