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
from serin_services.registry.records import lifecycle

BATCH = 2_000

# What one transaction of a rule does, for rows that are due at a moment: at most so many, and it gives how many they were.
Step = Callable[[orm.Session, dt.datetime, int], int]


@dataclasses.dataclass(frozen=True)
class Rule:
    """What happens to which rows, and how long after the moment that its step looks at."""

    name: str
    what: str
    age: dt.timedelta
    step: Step


def _delete(kind: type[tables.Base], age_of: orm.InstrumentedAttribute[dt.datetime]) -> Step:
    """Make the step that takes away rows by one of their times, the oldest first."""
    keys = [getattr(kind, str(column.key)) for column in sa.inspect(kind).primary_key]

    def step(session: orm.Session, until: dt.datetime, limit: int) -> int:
        due = sa.select(*keys).where(age_of < until).order_by(age_of).limit(limit)
        statement = sa.delete(kind).where(sa.tuple_(*keys).in_(due))
        done = session.connection().execute(statement)
        return done.rowcount

    return step


def _archive(session: orm.Session, until: dt.datetime, limit: int) -> int:
    """Put away what was deployed once, was rolled back or superseded, and has not been taken up since."""
    row = tables.ModelVersion
    retired = (row.stage == Stage.DRAFT, row.deployed_at.is_not(None), row.stage_since < until)
    due = session.scalars(sa.select(row).where(*retired).order_by(row.stage_since).limit(limit)).all()
    for version in due:
        why = f"not in use since {version.stage_since:%Y-%m-%d}"
        lifecycle.move(session, SYSTEM, version, Stage.ARCHIVED, why, until + ARCHIVED_AFTER)
    return len(due)


ARCHIVED_AFTER = dt.timedelta(days=180)
_AT_ONCE = dt.timedelta(0)

RULES: tuple[Rule, ...] = (
    Rule(
        "shadow_results",
        "comparisons of versions in the shadow are dropped after 90 days",
        dt.timedelta(days=90),
        _delete(tables.ShadowTestResult, tables.ShadowTestResult.at),
    ),
    Rule("retired_versions", "versions that went out of use are archived after 180 days", ARCHIVED_AFTER, _archive),
    Rule(
        "predictions",
        "predictions are dropped when their time is up; the sums over them stay",
        _AT_ONCE,
        _delete(tables.Prediction, tables.Prediction.kept_until),
    ),
    Rule(
        "outcomes",
        "outcomes are dropped when their time is up; the sums over them stay",
        _AT_ONCE,
        _delete(tables.Outcome, tables.Outcome.kept_until),
    ),
    Rule(
        "idempotency_keys",
        "answers are kept for a day, to be given again to the same request",
        dt.timedelta(days=1),
        _delete(tables.IdempotencyKey, tables.IdempotencyKey.created_at),
    ),
)


def run(database: sessions.Database, now: dt.datetime, *, batch: int = BATCH) -> Mapping[str, int]:
    """Carry out all rules, and give how many rows each reached, by its name.

    It may run in several replicas at once, and be broken off.

    Raises:
        errors.UnavailableError: the database does not answer; what was done before stays done.
        errors.PreconditionError: somebody changed a version while it was archived; run it again.
    """
    return {rule.name: _carry_out(rule, database, now, batch) for rule in RULES}


def _carry_out(rule: Rule, database: sessions.Database, now: dt.datetime, batch: int) -> int:
    total, reached = 0, batch
    while reached == batch:
        with database.open(SYSTEM) as session:
            reached = rule.step(session, now - rule.age, batch)
        total += reached
    return total
