"""The prediction log as it can be read: what versions answered, the newest first, and what came of it."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.database import tables
from serin_services.registry.records import guards, paging
from serin_services.registry.records.catalogue import models, versions


@dataclasses.dataclass(frozen=True)
class Found:
    """A page of predictions with what belongs to them: the versions' names, and the outcomes by the predictions' ids."""

    page: paging.Page[tables.Prediction]
    versions: Mapping[uuid.UUID, str]
    outcomes: Mapping[str, tables.Outcome]


def find_all(
    session: orm.Session,
    caller: Caller,
    model: str,
    version: str | None,
    window: tuple[dt.datetime | None, dt.datetime | None],
    part: paging.Slice,
) -> Found:
    """Give a page of a model's predictions, or of one version's, the newest first.

    Raises:
        errors.NotFoundError: there is no such model or version, as far as the caller sees.
    """
    guards.require(caller, Operation.READ)
    prediction = tables.Prediction
    owner = models.find(session, caller, model)
    chosen = sa.select(prediction).where(prediction.model_id == owner.id)
    if version is not None:
        chosen = chosen.where(prediction.version_id == versions.find_in(session, owner, version).id)
    since, until = window
    if since is not None:
        chosen = chosen.where(prediction.at >= since)
    if until is not None:
        chosen = chosen.where(prediction.at < until)
    page = paging.paginate(session, chosen, (prediction.at, prediction.id, prediction.version_id), part)
    ids = {row.version_id for row in page.items}
    named = sa.select(tables.ModelVersion.id, tables.ModelVersion.version).where(tables.ModelVersion.id.in_(ids))
    return Found(page, {row.id: row.version for row in session.execute(named)}, _find_outcomes(session, page.items))


def _find_outcomes(session: orm.Session, predictions: Sequence[tables.Prediction]) -> dict[str, tables.Outcome]:
    """Give the outcomes of one model's predictions, by id."""
    if not predictions:
        return {}
    outcome = tables.Outcome
    chosen = sa.select(outcome).where(
        outcome.model_id == predictions[0].model_id, outcome.id.in_({row.id for row in predictions})
    )
    return {row.id: row for row in session.scalars(chosen)}
