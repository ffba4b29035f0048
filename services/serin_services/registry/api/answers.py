"""The forms in which versions, and what is found out about them, go out."""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any, Self

import pydantic

from serin_services.registry.api.schemas import Answer
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.records.catalogue import comparing


class VersionSummary(Answer):
    """A version in a list."""

    id: uuid.UUID
    model: str
    model_id: uuid.UUID
    tenant: str
    version: str
    stage: Stage
    stage_since: dt.datetime
    change: str = pydantic.Field(description="MAJOR, MINOR or PATCH, against the parent.")
    family: str
    hyperparameters: dict[str, Any]
    feature_version: str
    target: str
    metrics: dict[str, float]
    labels: dict[str, str]
    parent: str | None
    artifact_sha256: str
    image: str
    run_id: str
    trained_at: dt.datetime | None
    deployed_at: dt.datetime | None
    archived_at: dt.datetime | None
    created_at: dt.datetime
    created_by: str
    revision: int = pydantic.Field(description="Counts the changes; the ETag.")

    @classmethod
    def of(cls, row: tables.ModelVersion, parents: Mapping[uuid.UUID, str]) -> Self:
        """Put a version into the form of an answer."""
        named = {
            "model": row.model.name,
            "tenant": row.tenant_id,
            "parent": parents.get(row.parent_id) if row.parent_id else None,
        }
        return cls(**named, **{name: getattr(row, name) for name in cls.model_fields if name not in named})


class VersionAnswer(VersionSummary):
    """All that is known of a version."""

    change_reasons: list[str]
    architecture: dict[str, Any]
    features: list[dict[str, Any]]
    data: dict[str, Any]


class TransitionAnswer(Answer):
    """A move that was made."""

    source: Stage
    target: Stage
    at: dt.datetime
    by: str
    why: str
    deployment_id: uuid.UUID | None


class ChangeAnswer(Answer):
    """Which part of the number moves, and why."""

    part: str
    reasons: list[str]


class DecisionAnswer(Answer):
    """Which number a version would get."""

    version: str
    parent: str | None
    change: ChangeAnswer


class ComparisonAnswer(Answer):
    """What two versions differ in."""

    old: str
    new: str
    change: ChangeAnswer
    configuration: list[dict[str, Any]]
    features: dict[str, list[Any]]
    data: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    history: dict[str, list[dict[str, Any]]]


class NodeAnswer(Answer):
    """A version in a lineage."""

    id: uuid.UUID
    version: str
    parent_id: uuid.UUID | None
    stage: Stage
    change: str


class LineageAnswer(Answer):
    """Versions, parents before children; of one version, the numbers it comes from (nearest first) and that come from it."""

    nodes: list[NodeAnswer]
    ancestors: list[str]
    descendants: list[str]

    @classmethod
    def of(cls, found: comparing.Lineage) -> Self:
        """Put a lineage into the form of an answer."""
        return cls.model_validate(found)
