"""What the versions of a model have to do with one another: two side by side, and where each comes from."""

import dataclasses
import uuid

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core import differences
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.core.lineage import Graph
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.records import guards
from serin_services.registry.records.catalogue import drafts, versions

# Of each version's history, so many of the last moves are shown beside the other's.
_MOVES = 200


@dataclasses.dataclass(frozen=True)
class Node:
    """A version in the lineage of its model."""

    id: uuid.UUID
    version: str
    parent_id: uuid.UUID | None
    stage: Stage
    change: str


@dataclasses.dataclass(frozen=True)
class Lineage:
    """Versions with parents before children; of one version, those it comes from and those that come from it."""

    nodes: tuple[Node, ...]
    ancestors: tuple[str, ...] = ()
    descendants: tuple[str, ...] = ()


def compare(
    session: orm.Session, caller: Caller, old: tables.ModelVersion, new: tables.ModelVersion
) -> differences.Comparison:
    """Compare two versions: what they are made of, how they did, and what became of them."""
    guards.require(caller, Operation.READ)
    return differences.compare(_snapshot(session, old), _snapshot(session, new))


def trace(session: orm.Session, caller: Caller, model: tables.Model, version: str | None = None) -> Lineage:
    """Give the lineage of a model's versions, or of one of them.

    Raises:
        errors.NotFoundError: there is no such version.
    """
    guards.require(caller, Operation.READ)
    row = tables.ModelVersion
    columns = (row.id, row.version, row.parent_id, row.stage, row.change)
    found = session.execute(sa.select(*columns).where(row.model_id == model.id))
    nodes = {each.id: Node(*each) for each in found}
    graph = Graph[uuid.UUID]({node.id: [node.parent_id] if node.parent_id else [] for node in nodes.values()})
    ordered = tuple(nodes[identity] for identity in graph.order())
    if version is None:
        return Lineage(ordered)
    wanted = versions.find_in(session, model, version).id
    before, after = graph.ancestors(wanted), graph.descendants(wanted)
    kept = {wanted, *before, *after}
    return Lineage(
        tuple(node for node in ordered if node.id in kept),
        tuple(nodes[identity].version for identity in before),
        tuple(nodes[identity].version for identity in after),
    )


def _snapshot(session: orm.Session, version: tables.ModelVersion) -> differences.Snapshot:
    move = tables.Transition
    moves = session.scalars(
        sa.select(move).where(move.version_id == version.id).order_by(move.at.desc(), move.id).limit(_MOVES)
    )
    history = tuple(
        differences.Line(each.at, f"{each.source} → {each.target} by {each.by}: {each.why}") for each in moves
    )
    return differences.Snapshot(version.version, drafts.configuration_of(version), version.metrics, history)
