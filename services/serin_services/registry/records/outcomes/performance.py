"""How versions do: figures over a window, as a series, and what each answered, all made of the hours' sums.

A window is made of whole hours of UTC: those in which it is asked to begin and to end belong to it. What costs time is then
the number of hours, however many predictions lie in them.
"""

import collections
import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core import performance
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.records import guards, paging
from serin_services.registry.records.catalogue import models, versions
from serin_services.registry.records.outcomes import sums

DAY = dt.timedelta(days=1)
# The stages in which a version answers requests, its own or mirrored ones.
ANSWERING = (Stage.STAGING, Stage.CANARY, Stage.PRODUCTION)
# One answer has at most so many hours or days of each version.
MAX_POINTS = 5_000


@dataclasses.dataclass(frozen=True)
class Window:
    """A time from the beginning of an hour up to, and without, the end of one, or now."""

    since: dt.datetime
    until: dt.datetime

    @classmethod
    def make(cls, since: dt.datetime | None, until: dt.datetime | None, now: dt.datetime) -> "Window":
        """Make it of what is asked for, widened to full hours, and ending now at the latest; by default the last 24 hours.

        Raises:
            errors.InvalidError: it ends before it begins.
        """
        last = min(until or now, now)
        first = since or last - DAY
        if last <= first:
            raise errors.InvalidError(
                f"expected a window that ends after it begins and begins before now, got {first.isoformat()} to "
                f"{last.isoformat()}"
            )
        whole = sums.find_hour(last)
        return cls(sums.find_hour(first), min(whole if whole == last else whole + sums.HOUR, now))


@dataclasses.dataclass(frozen=True)
class Performance:
    """What a version did in a window: its sums, and how often it gave each label."""

    version: tables.ModelVersion
    sums: performance.Sums
    labels: Mapping[str, int]
    # Predictions until now, to the second, whatever the window is.
    last_hour: int
    last_day: int


@dataclasses.dataclass(frozen=True)
class Point:
    """The sums of one hour or day, and those of the longer window that ends with it."""

    at: dt.datetime
    sums: performance.Sums
    rolling: performance.Sums | None


def summarise(
    session: orm.Session, caller: Caller, model: str, version: str | None, window: Window, now: dt.datetime
) -> list[Performance]:
    """Give the performance of a model's versions that answered in a window, the newest first, or of one in any case.

    Raises:
        errors.NotFoundError: there is no such model or version, as far as the caller sees.
    """
    guards.require(caller, Operation.READ)
    if version is not None:
        chosen = [versions.find(session, caller, model, version)]
    else:
        chosen = _find_answering(session, models.find(session, caller, model).id, window)
    return measure(session, chosen, window, now)


def list_active(
    session: orm.Session, caller: Caller, window: Window, now: dt.datetime, part: paging.Slice
) -> paging.Page[Performance]:
    """Give the performance of every version that answers requests now, as far as the caller sees, the newest first."""
    guards.require(caller, Operation.READ)
    version = tables.ModelVersion
    chosen = sa.select(version).where(version.stage.in_(ANSWERING)).options(orm.joinedload(version.model))
    page = paging.paginate(session, chosen, (version.created_at, version.id), part)
    return paging.Page(measure(session, page.items, window, now), page.next)


def measure(
    session: orm.Session, chosen: Sequence[tables.ModelVersion], window: Window, now: dt.datetime
) -> list[Performance]:
    """Give the performance of these versions in a window."""
    ids = [version.id for version in chosen]
    by_version, labels = add_up(session, ids, window), count_labels(session, ids, window)
    hour, day = count(session, ids, now - sums.HOUR), count(session, ids, now - DAY)
    return [
        Performance(
            version,
            by_version.get(version.id, performance.Sums()),
            labels.get(version.id, {}),
            hour[version.id],
            day[version.id],
        )
        for version in chosen
    ]


def add_up(session: orm.Session, ids: Iterable[uuid.UUID], window: Window | None) -> dict[uuid.UUID, performance.Sums]:
    """Give each version's sums in a window, or since it first answered."""
    log = tables.PerformanceLog
    added = [sa.func.sum(getattr(log, name)).label(name) for name in sums.NAMES]
    chosen = sa.select(log.version_id, *added).where(log.version_id.in_(list(ids))).group_by(log.version_id)
    if window:
        chosen = chosen.where(log.hour >= window.since, log.hour < window.until)
    return {row.version_id: sums.read(row) for row in session.execute(chosen)}


def count_labels(session: orm.Session, ids: Iterable[uuid.UUID], window: Window) -> dict[uuid.UUID, dict[str, int]]:
    """Give how often each version gave each label, the most frequent first."""
    log = tables.LabelCount
    count = sa.func.sum(log.count).label("total")
    chosen = (
        sa.select(log.version_id, log.label, count)
        .where(log.version_id.in_(list(ids)), log.hour >= window.since, log.hour < window.until)
        .group_by(log.version_id, log.label)
        .order_by(count.desc(), log.label)
    )
    labels: dict[uuid.UUID, dict[str, int]] = collections.defaultdict(dict)
    for row in session.execute(chosen):
        labels[row.version_id][row.label] = int(row.total)
    return labels


def count(session: orm.Session, ids: Iterable[uuid.UUID], since: dt.datetime) -> collections.Counter[uuid.UUID]:
    """Count each version's predictions since a moment, to the second: whole hours by their sums, the first one by its rows."""
    prediction, log, chosen = tables.Prediction, tables.PerformanceLog, list(ids)
    whole = sums.find_hour(since) + sums.HOUR
    rows = (
        sa.select(prediction.version_id, sa.func.count())
        .where(prediction.version_id.in_(chosen), prediction.at >= since, prediction.at < whole)
        .group_by(prediction.version_id)
    )
    hours = (
        sa.select(log.version_id, sa.func.sum(log.predictions))
        .where(log.version_id.in_(chosen), log.hour >= whole)
        .group_by(log.version_id)
    )
    counts: collections.Counter[uuid.UUID] = collections.Counter()
    for statement in (rows, hours):
        for version_id, found in session.execute(statement):
            counts[version_id] += int(found)
    return counts


def follow(
    session: orm.Session,
    caller: Caller,
    version: tables.ModelVersion,
    window: Window,
    step: dt.timedelta,
    behind: dt.timedelta | None,
) -> list[Point]:
    """Give a version's sums hour by hour or day by day, and with `behind` those of the time that ends with each.

    Raises:
        errors.InvalidError: it would be more than MAX_POINTS.
    """
    guards.require(caller, Operation.READ)
    if (window.until - window.since) / step > MAX_POINTS:
        raise errors.InvalidError(f"expected at most {MAX_POINTS} points; ask for days, or for a shorter time")
    start = find_step(window.since, step)
    hours = _read_hours(session, version, Window(start - (behind or dt.timedelta()), window.until))
    steps: dict[dt.datetime, list[performance.Sums]] = collections.defaultdict(list)
    for hour, found in hours.items():
        steps[find_step(hour, step)].append(found)
    # Of a day's hours the last one says what the time behind the day's end is.
    rolling = {find_step(hour, step): found for hour, found in performance.rolling(hours, behind)} if behind else {}
    return [Point(at, performance.total(parts), rolling.get(at)) for at, parts in steps.items() if at >= start]


def find_watched(session: orm.Session, window: Window) -> list[tables.ModelVersion]:
    """Give the versions that answer requests now, and those that did in a window, with their models."""
    version, log = tables.ModelVersion, tables.PerformanceLog
    answered = sa.select(log.version_id).where(log.hour >= window.since, log.hour < window.until)
    chosen = sa.select(version).options(orm.joinedload(version.model))
    return list(session.scalars(chosen.where(version.stage.in_(ANSWERING) | version.id.in_(answered))))


def find_step(at: dt.datetime, step: dt.timedelta) -> dt.datetime:
    """Give the hour or day, of UTC, that an hour lies in."""
    return at.replace(hour=0) if step == DAY else at


def _find_answering(session: orm.Session, model_id: uuid.UUID, window: Window) -> list[tables.ModelVersion]:
    """Give the versions of a model that answered in a window, the newest first."""
    version, log = tables.ModelVersion, tables.PerformanceLog
    answered = sa.select(log.version_id).where(
        log.model_id == model_id, log.hour >= window.since, log.hour < window.until
    )
    chosen = sa.select(version).where(version.id.in_(answered)).options(orm.joinedload(version.model))
    return list(session.scalars(chosen.order_by(version.created_at.desc(), version.id)))


def _read_hours(
    session: orm.Session, version: tables.ModelVersion, window: Window
) -> dict[dt.datetime, performance.Sums]:
    log = tables.PerformanceLog
    chosen = sa.select(log.hour, *(getattr(log, name) for name in sums.NAMES)).where(
        log.version_id == version.id, log.hour >= window.since, log.hour < window.until
    )
    return {row.hour: sums.read(row) for row in session.execute(chosen.order_by(log.hour))}
