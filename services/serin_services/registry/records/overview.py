"""What the registry holds, in a few numbers."""

import dataclasses

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.records import guards


@dataclasses.dataclass(frozen=True)
class Overview:
    """How many models and versions there are, and how many versions stand in each stage."""

    models: int
    versions: int
    stages: dict[str, int]


def count(session: orm.Session, caller: Caller) -> Overview:
    """Count what the caller may see."""
    guards.require(caller, Operation.READ)
    models = session.scalar(sa.select(sa.func.count(tables.Model.id))) or 0
    version = tables.ModelVersion
    found = session.execute(sa.select(version.stage, sa.func.count(version.id)).group_by(version.stage))
    by_stage = {row.stage: row[1] for row in found}
    return Overview(models, sum(by_stage.values()), {str(stage): by_stage.get(stage, 0) for stage in Stage})
