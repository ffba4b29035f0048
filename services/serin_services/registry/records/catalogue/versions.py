"""Versions: registered with a number that says what changed, found, listed and changed."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.exc import IntegrityError

from serin_services.registry import errors
from serin_services.registry.core import numbering, semver
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.records import audits, guards, labelling
from serin_services.registry.records.catalogue import approvals, drafts, models


@dataclasses.dataclass(frozen=True)
class Decision:
    """The number of a version to be, its parent, and what moves the number and why; no parent for a first version."""

    version: str
    parent: tables.ModelVersion | None
    change: semver.Change


@dataclasses.dataclass(frozen=True)
class Changes:
    """What is to be changed of a version; what is None stays. What it is made of never changes."""

    metrics: Mapping[str, float] | None = None
    labels: Mapping[str, str] | None = None
    # Each can be said once, where it was not known when the version was registered.
    artifact_sha256: str | None = None
    image: str | None = None
    run_id: str | None = None
    trained_at: dt.datetime | None = None


def find(session: orm.Session, caller: Caller, model_reference: str, version: str) -> tables.ModelVersion:
    """Give a version by its model's id or name and its own id or number, with its model.

    Raises:
        errors.NotFoundError: there is none that the caller may see.
    """
    model = models.find(session, caller, model_reference)
    return find_in(session, model, version)


def find_in(session: orm.Session, model: tables.Model, version: str) -> tables.ModelVersion:
    """Give a version of a model by its number or id.

    Raises:
        errors.NotFoundError: there is none.
    """
    row = tables.ModelVersion
    wanted = models.as_id(version)
    is_wanted = row.id == wanted if wanted else row.version == version
    found = session.scalar(sa.select(row).where(row.model_id == model.id, is_wanted).options(orm.joinedload(row.model)))
    if found is None:
        raise errors.NotFoundError(f"model {model.name!r} has no version {version!r}")
    return found


def read_parents(session: orm.Session, found: Sequence[tables.ModelVersion]) -> dict[uuid.UUID, str]:
    """Give the numbers of the parents of versions, by the parents' ids."""
    wanted = {version.parent_id for version in found if version.parent_id}
    if not wanted:
        return {}
    row = tables.ModelVersion
    return {each.id: each.version for each in session.execute(sa.select(row.id, row.version).where(row.id.in_(wanted)))}


def decide(session: orm.Session, caller: Caller, model: tables.Model, draft: drafts.Draft) -> Decision:
    """Say which number a version would get and why, without registering it.

    Raises:
        errors.NotFoundError: there is no such parent.
        errors.InvalidError: the number that was given is none.
        errors.ConflictError: it is too small for what changed, or taken.
    """
    guards.require(caller, Operation.READ)
    taken = _read_numbers(session, model)
    parent = _find_parent(session, model, draft.parent, taken)
    change = semver.decide(drafts.configuration_of(parent), draft.configuration) if parent else None
    before = _parse(parent.version) if parent else None
    if draft.version is None:
        number = numbering.choose(before, taken, change)
    else:
        number = _check_number(draft.version, before, change, taken)
    return Decision(str(number), parent, change or semver.Change(semver.Part.MAJOR, ("it is the first version",)))


def register(
    session: orm.Session, caller: Caller, model: tables.Model, draft: drafts.Draft, now: dt.datetime
) -> tables.ModelVersion:
    """Register a version as a DRAFT.

    Raises:
        errors.ForbiddenError: the caller may not, or the model is not the caller's tenant's.
        errors.ConflictError: the number is too small for what changed, or taken.
    """
    guards.require(caller, Operation.REGISTER, model)
    # So that of two who register at once the second sees the first one's number.
    guards.lock(session, model)
    decision = decide(session, caller, model, draft)
    version = _make(caller, model, draft, decision, now)
    session.add(version)
    try:
        session.flush()
    except IntegrityError:
        raise _taken(decision.version) from None
    details = {"model": model.name, "version": version.version, "change": version.change, "family": version.family}
    audits.append(session, caller, "version.register", version, details, now)
    return version


def change(
    session: orm.Session, caller: Caller, version: tables.ModelVersion, changes: Changes, now: dt.datetime
) -> tables.ModelVersion:
    """Change what is said about a version.

    Raises:
        errors.ForbiddenError: it is not the caller's tenant's.
        errors.ConflictError: what can be said once was said, or an office has spoken on the version as it is.
    """
    guards.require(caller, Operation.CHANGE, version)
    if changes.metrics is not None:
        version.metrics = dict(changes.metrics)
    if changes.labels is not None:
        version.labels = labelling.check(changes.labels)
    for name in ("artifact_sha256", "image", "run_id", "trained_at"):
        if (value := getattr(changes, name)) is not None:
            say_once(version, name, value)
    changed = guards.find_changed(version)
    if set(changed) - {"labels"}:
        approvals.refuse_after_approval(session, version)
    if changed:
        session.flush()
        audits.append(session, caller, "version.change", version, {"changed": changed}, now)
    return version


def say_once(version: tables.ModelVersion, name: str, value: object) -> None:
    """Set what is not known yet; said again the same way, nothing happens.

    Raises:
        errors.ConflictError: it is known, and otherwise.
    """
    known = getattr(version, name)
    if known and known != value:
        raise errors.ConflictError(
            f"{name} of version {version.version} is {known} and never changes, got {value}; register another version",
            errors.Fault(name, f"is {known} already"),
        )
    setattr(version, name, value)


def _make(
    caller: Caller, model: tables.Model, draft: drafts.Draft, decision: Decision, now: dt.datetime
) -> tables.ModelVersion:
    return tables.ModelVersion(
        id=uuid.uuid4(),
        tenant_id=model.tenant_id,
        model_id=model.id,
        version=decision.version,
        stage=Stage.DRAFT,
        stage_since=now,
        change=decision.change.part.name,
        change_reasons=list(decision.change.reasons),
        family=draft.family,
        architecture=dict(draft.architecture),
        hyperparameters=dict(draft.hyperparameters),
        features=list(draft.features),
        feature_version=draft.feature_version,
        target=draft.target,
        data=dict(draft.data),
        metrics=dict(draft.metrics),
        labels=labelling.check(draft.labels),
        parent_id=decision.parent.id if decision.parent else None,
        artifact_sha256=draft.artifact_sha256,
        image=draft.image,
        run_id=draft.run_id,
        trained_at=draft.trained_at,
        created_at=now,
        created_by=caller.subject,
        model=model,
    )


def _read_numbers(session: orm.Session, model: tables.Model) -> list[semver.Version]:
    """Give the numbers that are taken; a version found in the cluster may have a name that is none."""
    texts = session.scalars(sa.select(tables.ModelVersion.version).where(tables.ModelVersion.model_id == model.id))
    return [number for text in texts if (number := _parse(text)) is not None]


def _parse(text: str) -> semver.Version | None:
    try:
        return semver.Version.parse(text)
    except ValueError:
        return None


def _find_parent(
    session: orm.Session, model: tables.Model, given: str | None, taken: Sequence[semver.Version]
) -> tables.ModelVersion | None:
    wanted = given or (str(max(taken)) if taken else None)
    return find_in(session, model, wanted) if wanted else None


def _check_number(
    text: str, parent: semver.Version | None, change: semver.Change | None, taken: Sequence[semver.Version]
) -> semver.Version:
    try:
        given = semver.Version.parse(text)
    except ValueError as error:
        raise errors.InvalidError(f"version: {error}", errors.Fault("version", str(error))) from None
    if given in taken:
        raise _taken(text)
    if problem := numbering.find_problem(given, parent, change):
        message = f"{problem}; leave the number out to be given {numbering.choose(parent, taken, change)}"
        raise errors.ConflictError(message, errors.Fault("version", problem))
    return given


def _taken(version: str) -> errors.ConflictError:
    return errors.ConflictError(
        f"version {version} is registered already and never changes; leave the number out to be given the next one",
        errors.Fault("version", f"{version} is taken"),
    )
