"""The moves of a version through its lifecycle: made by the table of `core/stages.py` alone, each with who, when and why."""

import dataclasses
import datetime as dt
import uuid

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core import stages
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.core.stages import Mover, Stage
from serin_services.registry.database import tables
from serin_services.registry.records import audits, guards, paging

_DEPLOYED = {Stage.STAGING, Stage.CANARY, Stage.PRODUCTION}


@dataclasses.dataclass(frozen=True)
class Cause:
    """What in the cluster made a move: in which deployment, when, and a key made of what happened, to see doubles by."""

    key: str
    deployment_id: uuid.UUID
    at: dt.datetime


def move(
    session: orm.Session,
    caller: Caller,
    version: tables.ModelVersion,
    target: Stage,
    why: str,
    now: dt.datetime,
    cause: Cause | None = None,
) -> tables.Transition | None:
    """Move a version, as a caller asks for it or, with a cause, as the cluster has done it.

    Gives nothing where a move of the same cause was recorded before.

    Raises:
        errors.ForbiddenError: the caller may not.
        errors.ConflictError: there is no such move, or only the cluster makes it.
    """
    guards.require(caller, Operation.CHANGE, version)
    # Of two moves at once the second is judged by what the first one left.
    guards.lock(session, version)
    if cause and _is_recorded(session, cause.key):
        return None
    source = version.stage
    try:
        stages.move(source, target, Mover.CLUSTER if cause else Mover.CALLER)
    except stages.IllegalMoveError as error:
        raise errors.ConflictError(str(error), errors.Fault("target", str(error))) from None
    at = cause.at if cause else now
    _apply(version, target, at)
    row = tables.Transition(
        id=uuid.uuid4(),
        tenant_id=version.tenant_id,
        model_id=version.model_id,
        version_id=version.id,
        deployment_id=cause.deployment_id if cause else None,
        key=cause.key if cause else None,
        source=source,
        target=target,
        at=at,
        by=caller.subject,
        why=why,
    )
    session.add(row)
    details = {"version": version.version, "source": str(source), "target": str(target), "why": why}
    audits.append(session, caller, "version.move", version, details, now)
    return row


def list_transitions(
    session: orm.Session, caller: Caller, version: tables.ModelVersion, part: paging.Slice
) -> paging.Page[tables.Transition]:
    """Give the moves of a version, the last one first."""
    guards.require(caller, Operation.READ)
    row = tables.Transition
    return paging.paginate(session, sa.select(row).where(row.version_id == version.id), (row.at, row.id), part)


def _is_recorded(session: orm.Session, key: str) -> bool:
    return session.scalar(sa.select(tables.Transition.id).where(tables.Transition.key == key)) is not None


def _apply(version: tables.ModelVersion, target: Stage, at: dt.datetime) -> None:
    if target in _DEPLOYED and version.stage not in _DEPLOYED:
        version.deployed_at = at
    version.archived_at = at if target is Stage.ARCHIVED else None
    version.stage, version.stage_since = target, at
