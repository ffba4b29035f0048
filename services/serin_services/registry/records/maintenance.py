"""What is taken away or put away by age, as a table of rules; the registry itself runs them, for all tenants at once.

Rows go in small transactions, so that nobody waits long for one of them and a run that is broken off has done its part.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core.access import SYSTEM
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import sessions, tables
from serin_services.registry.records.catalogue import lifecycle

BATCH = 2_000

# What one transaction of a rule does now, for rows from before a moment: at most so many, and it gives how many they were.
Step = Callable[[orm.Session, dt.datetime, dt.datetime, int], int]


@dataclasses.dataclass(frozen=True)
class Ages:
    """How long what is not kept for ever is kept; predictions say it themselves, each in its row."""

    shadow_results: dt.timedelta = dt.timedelta(days=90)
    retired_versions: dt.timedelta = dt.timedelta(days=180)
    idempotency_keys: dt.timedelta = dt.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Rule:
    """What happens to which rows, and how long after the moment that its step looks at; `what` names that `{age}`."""

    name: str
    what: str
    age: Callable[[Ages], dt.timedelta]
    step: Step


USUAL = Ages()


def _delete(kind: type[tables.Base], age_of: orm.InstrumentedAttribute[dt.datetime]) -> Step:
    """Make the step that takes away rows by one of their times, the oldest first."""
    keys = [getattr(kind, str(column.key)) for column in sa.inspect(kind).primary_key]

    def step(session: orm.Session, _: dt.datetime, until: dt.datetime, limit: int) -> int:
        due = sa.select(*keys).where(age_of < until).order_by(age_of).limit(limit)
        statement = sa.delete(kind).where(sa.tuple_(*keys).in_(due))
        done = session.connection().execute(statement)
        return done.rowcount

    return step


def _archive(session: orm.Session, now: dt.datetime, until: dt.datetime, limit: int) -> int:
    """Put away what was deployed once, was rolled back or superseded, and has not been taken up since."""
    row = tables.ModelVersion
    retired = (row.stage == Stage.DRAFT, row.deployed_at.is_not(None), row.stage_since < until)
    due = session.scalars(sa.select(row).where(*retired).order_by(row.stage_since).limit(limit)).all()
    for version in due:
        why = f"not in use since {version.stage_since:%Y-%m-%d}"
        lifecycle.move(session, SYSTEM, version, Stage.ARCHIVED, why, now)
    return len(due)


def _at_once(_: Ages) -> dt.timedelta:
    return dt.timedelta(0)


RULES: tuple[Rule, ...] = (
    Rule(
        "shadow_results",
        "comparisons of versions in the shadow are dropped after {age}",
        lambda ages: ages.shadow_results,
        _delete(tables.ShadowTestResult, tables.ShadowTestResult.at),
    ),
    Rule(
        "retired_versions",
        "versions that went out of use are archived after {age}",
        lambda ages: ages.retired_versions,
        _archive,
    ),
    Rule(
        "predictions",
        "predictions are dropped when their time is up; the sums over them stay",
        _at_once,
        _delete(tables.Prediction, tables.Prediction.kept_until),
    ),
    Rule(
        "outcomes",
        "outcomes are dropped when their time is up; the sums over them stay",
        _at_once,
        _delete(tables.Outcome, tables.Outcome.kept_until),
    ),
    Rule(
        "idempotency_keys",
        "answers are kept for {age}, to be given again to the same request",
        lambda ages: ages.idempotency_keys,
        _delete(tables.IdempotencyKey, tables.IdempotencyKey.created_at),
    ),
)


def run(database: sessions.Database, now: dt.datetime, ages: Ages = USUAL, *, batch: int = BATCH) -> Mapping[str, int]:
    """Carry out all rules, and give how many rows each reached, by its name.

    It may run in several replicas at once, and be broken off.

    Raises:
        errors.UnavailableError: the database does not answer; what was done before stays done.
        errors.PreconditionError: somebody changed a version while it was archived; run it again.
    """
    return {rule.name: _carry_out(rule, database, now, now - rule.age(ages), batch) for rule in RULES}


def _carry_out(rule: Rule, database: sessions.Database, now: dt.datetime, until: dt.datetime, batch: int) -> int:
    total, reached = 0, batch
    while reached == batch:
        with database.open(SYSTEM) as session:
            reached = rule.step(session, now, until, batch)
        total += reached
    return total
