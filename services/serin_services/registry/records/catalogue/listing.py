"""Versions as a list, of one model or across all that the caller may see."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Self

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.records import guards, labelling, paging
from serin_services.registry.records.catalogue import models

_ROW = tables.ModelVersion
Condition = sa.ColumnElement[bool]


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which versions are asked for; what is left out limits nothing."""

    model: str | None = None
    stages: tuple[Stage, ...] = ()
    labels: tuple[str, ...] = ()
    family: str | None = None
    run_id: str | None = None
    created_since: dt.datetime | None = None
    created_until: dt.datetime | None = None
    # Anywhere in the number, the family, the target or who registered it.
    text: str | None = None

    def of(self, model: str) -> Self:
        """Give the same filters for one model's versions."""
        return dataclasses.replace(self, model=model)


# What a list leaves out: it is most of a row, and looked at in one version at a time.
_LEFT_OUT = (_ROW.architecture, _ROW.features, _ROW.data, _ROW.change_reasons)


# The condition that each filter is, where it is given.
_CONDITIONS: dict[str, Callable[[Filters], Condition]] = {
    "stages": lambda filters: _ROW.stage.in_(filters.stages),
    "family": lambda filters: _ROW.family == filters.family,
    "run_id": lambda filters: _ROW.run_id == filters.run_id,
    "created_since": lambda filters: _ROW.created_at >= filters.created_since,
    "created_until": lambda filters: _ROW.created_at < filters.created_until,
    "text": lambda filters: sa.or_(
        *(
            column.icontains(filters.text, autoescape=True)
            for column in (_ROW.version, _ROW.family, _ROW.target, _ROW.created_by)
        )
    ),
}


def list_versions(
    session: orm.Session, caller: Caller, filters: Filters, part: paging.Slice
) -> paging.Page[tables.ModelVersion]:
    """Give versions with their models, the newest first.

    Raises:
        errors.NotFoundError: there is no such model that the caller may see.
    """
    guards.require(caller, Operation.READ)
    left_out = [orm.defer(column, raiseload=True) for column in _LEFT_OUT]
    statement = sa.select(_ROW).options(orm.joinedload(_ROW.model), *left_out)
    statement = statement.where(*labelling.match(_ROW.labels, filters.labels))
    if filters.model is not None:
        statement = statement.where(_ROW.model_id == models.find(session, caller, filters.model).id)
    for name, condition in _CONDITIONS.items():
        if getattr(filters, name):
            statement = statement.where(condition(filters))
    return paging.paginate(session, statement, (_ROW.created_at, _ROW.id), part)
