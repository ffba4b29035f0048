"""Models: made, found by name or id, listed and changed."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.exc import IntegrityError

from serin_services.package import manifest
from serin_services.registry import errors
from serin_services.registry.core.access import PLATFORM, Caller, Operation, Visibility
from serin_services.registry.database import tables
from serin_services.registry.records import audits, guards, heads, labelling, paging


@dataclasses.dataclass(frozen=True)
class Draft:
    """A model to be made; without a visibility it is everyone's for the platform, and the tenant's for any other."""

    name: str
    description: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    visibility: Visibility | None = None


@dataclasses.dataclass(frozen=True)
class Changes:
    """What is to be changed of a model; what is None stays."""

    description: str | None = None
    labels: Mapping[str, str] | None = None


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which models are asked for; what is left out limits nothing."""

    text: str | None = None
    labels: tuple[str, ...] = ()
    visibility: Visibility | None = None
    created_since: dt.datetime | None = None
    created_until: dt.datetime | None = None


def create(session: orm.Session, caller: Caller, draft: Draft, now: dt.datetime) -> tables.Model:
    """Make a model.

    Raises:
        errors.InvalidError: its name cannot be one.
        errors.ForbiddenError: it would be everyone's, and the caller is not of the platform.
        errors.ConflictError: there is one of this name.
    """
    guards.require(caller, Operation.REGISTER)
    _check_name(draft.name)
    visibility = draft.visibility or (Visibility.PLATFORM if caller.tenant == PLATFORM else Visibility.TENANT)
    if visibility is Visibility.PLATFORM and caller.tenant != PLATFORM:
        raise errors.ForbiddenError(f"only tenant {PLATFORM!r} makes models for everyone; you are of {caller.tenant!r}")
    heads.ensure(session, caller.tenant, now)
    model = tables.Model(
        id=uuid.uuid4(),
        tenant_id=caller.tenant,
        name=draft.name,
        owner=caller.subject if visibility is Visibility.USER else "",
        visibility=visibility,
        description=draft.description,
        labels=labelling.check(draft.labels),
        created_at=now,
        created_by=caller.subject,
    )
    session.add(model)
    try:
        session.flush()
    except IntegrityError:
        raise errors.ConflictError(
            f"there is a model {draft.name!r} already; take another name, or use that one"
        ) from None
    audits.append(session, caller, "model.create", model, {"name": model.name, "visibility": str(visibility)}, now)
    return model


def find(session: orm.Session, caller: Caller, reference: str) -> tables.Model:
    """Give a model by its id or name; of several of one name the caller's own, else the tenant's, else the platform's.

    Raises:
        errors.NotFoundError: there is none that the caller may see.
    """
    guards.require(caller, Operation.READ)
    wanted = as_id(reference)
    is_wanted = tables.Model.id == wanted if wanted else tables.Model.name == reference
    found = session.scalars(sa.select(tables.Model).where(is_wanted)).all()
    if not found:
        raise errors.NotFoundError(f"there is no model {reference!r} that you may see")
    return min(found, key=lambda model: (model.visibility is not Visibility.USER, model.tenant_id != caller.tenant))


def list_models(
    session: orm.Session, caller: Caller, filters: Filters, part: paging.Slice
) -> paging.Page[tables.Model]:
    """Give the models that the caller may see, the newest first."""
    guards.require(caller, Operation.READ)
    model = tables.Model
    statement = sa.select(model).where(*labelling.match(model.labels, filters.labels))
    if filters.text is not None:
        text = sa.or_(*(column.icontains(filters.text, autoescape=True) for column in (model.name, model.description)))
        statement = statement.where(text)
    if filters.visibility is not None:
        statement = statement.where(model.visibility == filters.visibility)
    if filters.created_since is not None:
        statement = statement.where(model.created_at >= filters.created_since)
    if filters.created_until is not None:
        statement = statement.where(model.created_at < filters.created_until)
    return paging.paginate(session, statement, (model.created_at, model.id), part)


def change(
    session: orm.Session, caller: Caller, model: tables.Model, changes: Changes, now: dt.datetime
) -> tables.Model:
    """Change what is said about a model; its name and who sees it stay.

    Raises:
        errors.ForbiddenError: it is not the caller's tenant's.
    """
    guards.require(caller, Operation.CHANGE, model)
    if changes.description is not None:
        model.description = changes.description
    if changes.labels is not None:
        model.labels = labelling.check(changes.labels)
    changed = guards.find_changed(model)
    if changed:
        session.flush()
        audits.append(session, caller, "model.change", model, {"changed": changed}, now)
    return model


def _check_name(name: str) -> None:
    problem = manifest.name_problem(name)
    if problem is None and as_id(name):
        problem = f"a model's name cannot look like an id, got {name!r}"
    # The store keeps the users' own models below this name.
    if problem is None and name == "users":
        problem = "a model cannot have the name 'users'"
    if problem:
        raise errors.InvalidError(f"name: {problem}", errors.Fault("name", problem))


def as_id(reference: str) -> uuid.UUID | None:
    """Read an id, where what names a thing is one."""
    try:
        return uuid.UUID(reference) if len(reference) == 36 else None
    except ValueError:
        return None
