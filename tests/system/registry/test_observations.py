"""Observations are written down so that repetition changes nothing and loss falsifies nothing that comes after it."""

import datetime as dt
import itertools
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serin_services.registry.core.access import SYSTEM
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from serin_services.registry.records.rollouts import observations
from serin_services.registry.records.rollouts.observations import Observation
from support.histories import number, play
from support.rollouts import at

Record = tuple[dict[str, Stage], dict[str, Stage], list[str], list[str | None]]
# What is on record of a whole history, by its number.
wholes: dict[int, Record] = {}
CLOCK = (at(10_000_000) + dt.timedelta(seconds=n) for n in itertools.count())


def record(database: Database, objects: Sequence[dict[str, Any]]) -> None:
    for found in objects:
        with database.open(SYSTEM) as session:
            observations.record(session, Observation("c", "desk", found), next(CLOCK))


def read(database: Database) -> Record:
    """Give stages, placements, and the keys of events and moves."""
    version, placement = tables.ModelVersion, tables.Placement
    with database.open(SYSTEM, read_only=True) as session:
        stages = {row.version: row.stage for row in session.scalars(sa.select(version))}
        joined = sa.select(version.version, placement.stage).join(version, version.id == placement.version_id)
        places = {row[0]: row[1] for row in session.execute(joined)}
        events = list(session.scalars(sa.select(tables.RolloutEvent.key)))
        moves = list(session.scalars(sa.select(tables.Transition.key)))
    return stages, places, events, moves


def follow(template: Path, objects: Sequence[dict[str, Any]]) -> Record:
    """Give what is on record after these observations."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(template, f"{folder}/registry.db")
        database = Database(f"sqlite:///{folder}/registry.db")
        record(database, objects)
        found = read(database)
        database.close()
    return found


HISTORIES = [
    number(play(*actions))
    for actions in (
        ("*3", "apply v2", "*9", "apply v3", "*9"),
        ("*3", "apply v2", "*3", "alert fires", "*2", "alert ends", "ask retry", "*9"),
        ("*3", "apply v2", "*3", "ask pause", "*1", "ask resume", "*1", "ask stop", "*2"),
        ("*3", "apply v2", "*6", "apply v1", "*9"),
        ("*3", "apply v2", "*3", "apply v3", "*9"),
    )
]
LONGEST = max(len(objects) for objects in HISTORIES)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    which=st.integers(0, len(HISTORIES) - 1),
    comes=st.lists(st.booleans(), min_size=LONGEST, max_size=LONGEST),
    again=st.lists(st.integers(0, LONGEST - 1), max_size=5),
)
def test_whatever_is_lost_or_doubled_the_end_is_true_and_nothing_is_told_twice(
    sqlite_template: Path, which: int, comes: list[bool], again: list[int]
) -> None:
    objects = HISTORIES[which]
    # Some never come, some come again, a little late; the last one comes.
    seen = [i for i in range(len(objects)) if comes[i]]
    echoes = [i for i in again if i in seen]
    if which not in wholes:
        wholes[which] = follow(sqlite_template, objects)
    stages, places, events, _ = wholes[which]
    partly = [objects[i] for i in (*seen, *echoes, len(objects) - 1, *echoes)]
    few_stages, few_places, few_events, few_moves = follow(sqlite_template, partly)
    assert few_places == places
    # A version that came and went unseen may be unknown, but of those that are known the stage is true.
    assert few_stages.items() <= stages.items()
    assert set(few_events) <= set(events)
    assert len(set(few_events)) == len(few_events)
    assert len(set(few_moves)) == len(few_moves)
