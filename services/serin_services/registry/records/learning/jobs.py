"""Trainings and retrainings: asked for by people and monitors, carried out by whoever trains, and kept with their ends."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core import jobs
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.core.jobs import State, Trigger
from serin_services.registry.database import tables
from serin_services.registry.records import audits, guards, paging
from serin_services.registry.records.catalogue import models, versions

Job = TypeVar("Job", tables.TrainingJob, tables.RetrainingJob)


@dataclasses.dataclass(frozen=True)
class Report:
    """How far a job is, and the number of the version that it made, once it has."""

    state: State
    message: str = ""
    version: str | None = None


def submit(
    session: orm.Session,
    caller: Caller,
    kind: type[Job],
    model: tables.Model,
    parameters: Mapping[str, Any],
    now: dt.datetime,
    trigger: Trigger | None = None,
) -> Job:
    """Ask for a training of a model; a retraining says what asked for it.

    Raises:
        errors.ForbiddenError: the caller may not.
    """
    guards.require(caller, Operation.CHANGE, model)
    row = kind(
        id=uuid.uuid4(),
        tenant_id=model.tenant_id,
        model_id=model.id,
        state=State.PENDING,
        parameters=dict(parameters),
        message="",
        created_at=now,
        created_by=caller.subject,
        **({"trigger": str(trigger)} if trigger else {}),
    )
    session.add(row)
    audits.append(session, caller, "job.submit", row, {"model": model.name, "trigger": str(trigger or "")}, now)
    return row


def find(session: orm.Session, caller: Caller, kind: type[Job], job: uuid.UUID) -> Job:
    """Give a job.

    Raises:
        errors.NotFoundError: there is none that the caller may see.
    """
    guards.require(caller, Operation.READ)
    row = session.scalar(sa.select(kind).where(kind.id == job))
    if row is None:
        raise errors.NotFoundError(f"there is no job {job} that you may see")
    return row


def list_jobs(
    session: orm.Session, caller: Caller, kind: type[Job], model: str | None, state: State | None, part: paging.Slice
) -> paging.Page[Job]:
    """Give jobs, of one model or of all that the caller sees, the newest first.

    Raises:
        errors.NotFoundError: there is no such model.
    """
    guards.require(caller, Operation.READ)
    statement = sa.select(kind)
    if model is not None:
        statement = statement.where(kind.model_id == models.find(session, caller, model).id)
    if state is not None:
        statement = statement.where(kind.state == str(state))
    return paging.paginate(session, statement, (kind.created_at, kind.id), part)


def report(session: orm.Session, caller: Caller, job: Job, told: Report, now: dt.datetime) -> Job:
    """Write down how far a job is.

    Raises:
        errors.ForbiddenError: the caller may not.
        errors.ConflictError: it cannot go there from where it is.
        errors.NotFoundError: there is no such version of the model.
    """
    guards.require(caller, Operation.CHANGE, job)
    guards.lock(session, job)
    source = State(job.state)
    if problem := jobs.find_problem(source, told.state, has_version=told.version is not None):
        raise errors.ConflictError(problem, errors.Fault("state", problem))
    if told.version is not None:
        job.version_id = versions.find(session, caller, str(job.model_id), told.version).id
    job.state, job.message = told.state, told.message
    job.started_at = job.started_at or now
    if not jobs.MOVES[told.state]:
        job.ended_at = now
    details = {"source": str(source), "target": str(told.state), "version": told.version}
    audits.append(session, caller, "job.report", job, details, now)
    return job
