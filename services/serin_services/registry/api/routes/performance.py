"""Performance: figures of versions over a window and as a series, made of what came of their predictions."""

import datetime as dt
from typing import Annotated, Literal

import fastapi
import pydantic

from serin_services.registry.api.context import Context
from serin_services.registry.api.figures import Figures, VersionPerformance
from serin_services.registry.api.filters import Moment, Periods, VersionFilter
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import Answer, ModelPath, PageAnswer, Slice, VersionPath
from serin_services.registry.records.catalogue import versions
from serin_services.registry.records.outcomes import performance
from serin_services.registry.records.outcomes.performance import Window

router = make_router("performance")

STEPS = {"hour": dt.timedelta(hours=1), "day": dt.timedelta(days=1)}


class PerformanceAnswer(Answer):
    """Versions' performance in a window, which begins with a full hour of UTC."""

    since: dt.datetime
    until: dt.datetime
    versions: list[VersionPerformance]


class PointAnswer(Answer):
    """One hour or day, of UTC."""

    at: dt.datetime
    figures: Figures
    rolling: Figures | None = pydantic.Field(description="Of the time of `rolling_hours` that ends with it.")


class HistoryAnswer(Answer):
    """A version's performance over time; hours or days without predictions are left out."""

    since: dt.datetime
    until: dt.datetime
    by: str
    points: list[PointAnswer]


@router.get("/performance", summary="Read all active versions' performance")
def list_performance(
    context: Context, part: Slice, since: Moment = None, until: Moment = None, periods: Periods = None
) -> PageAnswer[VersionPerformance]:
    """Give the performance of every version that answers requests now, by default over the last 24 hours."""
    window = Window.make(since, until, context.now)
    found = performance.list_active(context.session, context.caller, window, context.now, part)
    return PageAnswer[VersionPerformance].model_validate(found.map(lambda row: VersionPerformance.of(row, periods)))


@router.get("/models/{model}/performance", summary="Read a model's performance")
def read_performance(
    context: Context,
    model: ModelPath,
    version: VersionFilter = None,
    since: Moment = None,
    until: Moment = None,
    periods: Periods = None,
) -> PerformanceAnswer:
    """Give the performance of a model's versions that answered in a window, by default the last 24 hours."""
    window = Window.make(since, until, context.now)
    found = performance.summarise(context.session, context.caller, model, version, window, context.now)
    return PerformanceAnswer(
        since=window.since,
        until=window.until,
        versions=[VersionPerformance.of(row, periods) for row in found],
    )


@router.get("/models/{model}/versions/{version}/performance", summary="Read a version's performance over time")
def read_history(
    context: Context,
    model: ModelPath,
    version: VersionPath,
    since: Moment = None,
    until: Moment = None,
    by: Literal["hour", "day"] = "hour",
    rolling_hours: Annotated[int | None, fastapi.Query(ge=1, le=2160)] = None,
) -> HistoryAnswer:
    """Give a version's figures hour by hour or day by day, and with `rolling_hours` those of the time that ends with each."""
    window = Window.make(since, until, context.now)
    row = versions.find(context.session, context.caller, model, version)
    behind = dt.timedelta(hours=rolling_hours) if rolling_hours else None
    points = performance.follow(context.session, context.caller, row, window, STEPS[by], behind)
    return HistoryAnswer(since=window.since, until=window.until, by=by, points=[_describe(point) for point in points])


def _describe(point: performance.Point) -> PointAnswer:
    rolling = Figures.of(point.rolling) if point.rolling else None
    return PointAnswer(at=point.at, figures=Figures.of(point.sums), rolling=rolling)
