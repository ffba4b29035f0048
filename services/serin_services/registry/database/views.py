"""The views, as classes to read through: the rule of who sees what holds for them as for the tables.

Their SQL stands in the migrations. On PostgreSQL they run with the rights of whoever asks, so that its policies hold as well.
"""

import datetime as dt
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables


class View(tables.Base):
    """What all views share: they are no tables, so nothing makes or drops them with those."""

    __abstract__ = True
    metadata = sa.MetaData()


class ActiveModel(tables.OfModel, View):
    """A version in production, with its model's name."""

    __tablename__ = "active_models"

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    owner: orm.Mapped[str]
    version: orm.Mapped[str]
    family: orm.Mapped[str]
    metrics: orm.Mapped[dict[str, Any]]
    artifact_sha256: orm.Mapped[str]
    image: orm.Mapped[str]
    since: orm.Mapped[dt.datetime]
    deployed_at: orm.Mapped[dt.datetime | None]


class ShadowModel(tables.OfModel, View):
    """A version that runs beside production on mirrored traffic, with the newest comparison of the two."""

    __tablename__ = "shadow_models"

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    owner: orm.Mapped[str]
    version: orm.Mapped[str]
    since: orm.Mapped[dt.datetime]
    champion_id: orm.Mapped[uuid.UUID | None]
    compared_at: orm.Mapped[dt.datetime | None]
    figures: orm.Mapped[dict[str, Any] | None]


class RecentDriftEvent(tables.OfModel, View):
    """A drift of the last 7 days, with its model's name."""

    __tablename__ = "recent_drift_events"

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    version_id: orm.Mapped[uuid.UUID | None]
    feature: orm.Mapped[str]
    statistic: orm.Mapped[float]
    p_value: orm.Mapped[float]
    severity: orm.Mapped[str]
    at: orm.Mapped[dt.datetime]


class ModelPerformance(tables.OfModel, View):
    """What a version's predictions of the last 30 days came to."""

    __tablename__ = "model_performance_30d"

    version_id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    version: orm.Mapped[str]
    stage: orm.Mapped[Stage]
    predictions: orm.Mapped[int]
    outcomes: orm.Mapped[int]
    # None without an outcome that can be judged, without a win or loss, and without a loss.
    accuracy: orm.Mapped[float | None]
    win_rate: orm.Mapped[float | None]
    profit_factor: orm.Mapped[float | None]
    mean_seconds: orm.Mapped[float | None]
