"""What came of predictions as metrics, read from the sums on record when Prometheus asks.

A counter in memory would begin anew with each process, and each replica would count what it took itself. The sums are in the
database, never go back and outlive the predictions, so every replica tells the same true counts.
"""

import dataclasses
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

import prometheus_client.registry
from prometheus_client import core as prometheus

from serin_services.registry import errors
from serin_services.registry.core import metrics, performance
from serin_services.registry.core.access import SYSTEM
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from serin_services.registry.records.outcomes.performance import Window, add_up, find_watched

log = logging.getLogger("serin.registry")

Sums = performance.Sums


@dataclasses.dataclass(frozen=True)
class Watched:
    """A version's labels, its sums of all time, and those of the last 24 hours."""

    labels: Sequence[str]
    ever: Sums
    lately: Sums


# Each counter with its help, the label that it adds, and how often each value of that label came.
COUNTERS: Mapping[str, tuple[str, str, Callable[[Sums], Mapping[str, int]]]] = {
    metrics.OUTCOMES: (
        "Outcomes joined to a prediction, by whether it was right.",
        metrics.CORRECT,
        lambda sums: {
            "true": sums.correct,
            "false": sums.judged - sums.correct,
            "unknown": sums.outcomes - sums.judged,
        },
    ),
    metrics.RETURNS: (
        "Outcomes with a return, by its sign.",
        metrics.RESULT,
        lambda sums: {
            "win": sums.wins,
            "loss": sums.losses,
            "even": sums.returned - sums.wins - sums.losses,
        },
    ),
}
SHARES: Mapping[str, tuple[str, Callable[[Sums], performance.Share | None]]] = {
    metrics.ROLLING_ACCURACY: ("Share of right predictions of the last 24 hours.", performance.accuracy),
    metrics.ROLLING_WIN_RATE: ("Share of wins of the predictions of the last 24 hours.", performance.win_rate),
}
RATIOS: Mapping[str, tuple[str, Callable[[Sums], float | None]]] = {
    metrics.ROLLING_SHARPE: ("Mean return over its deviation, of the last 24 hours.", performance.sharpe),
    metrics.ROLLING_PROFIT_FACTOR: ("Gross gain over gross loss, of the last 24 hours.", performance.profit_factor),
}


class Outcomes(prometheus_client.registry.Collector):
    """Exports what is on record of the versions that answer requests, or did in the last 24 hours."""

    def __init__(self, database: Database, clock: Callable[[], dt.datetime]) -> None:
        self._database = database
        self._clock = clock

    def collect(self) -> Iterator[prometheus.Metric]:
        """Give all series; none while the database does not answer, because another number would be a wrong one."""
        try:
            watched = self._read()
        except errors.UnavailableError as error:
            log.warning("outcomes cannot be read for a scrape: %s", error)
            return
        yield _count_predictions(watched)
        yield from _count_outcomes(watched)
        yield from _measure(watched)

    def _read(self) -> list[Watched]:
        now = self._clock()
        with self._database.open(SYSTEM, read_only=True) as session:
            window = Window.make(None, None, now)
            versions = find_watched(session, window)
            ids = [version.id for version in versions]
            ever, lately = add_up(session, ids, None), add_up(session, ids, window)
        return [
            Watched(_name(version), ever.get(version.id, Sums()), lately.get(version.id, Sums()))
            for version in versions
        ]


def _name(version: tables.ModelVersion) -> list[str]:
    model = version.model
    return [model.tenant_id, model.owner, model.name, version.version]


def _count_predictions(watched: Sequence[Watched]) -> prometheus.Metric:
    family = prometheus.CounterMetricFamily(
        metrics.RECORDED_PREDICTIONS, "Predictions on record.", labels=metrics.VERSION_LABELS
    )
    for each in watched:
        family.add_metric(each.labels, each.ever.predictions)
    return family


def _count_outcomes(watched: Sequence[Watched]) -> Iterator[prometheus.Metric]:
    for name, (text, label, count) in COUNTERS.items():
        family = prometheus.CounterMetricFamily(name, text, labels=(*metrics.VERSION_LABELS, label))
        for each in watched:
            for value, number in count(each.ever).items():
                family.add_metric([*each.labels, value], number)
        yield family


def _measure(watched: Sequence[Watched]) -> Iterator[prometheus.Metric]:
    """Give the gauges; what is undefined has no series, so that a rollout waits for it instead of judging by it."""
    for name, (text, make) in SHARES.items():
        family = prometheus.GaugeMetricFamily(name, text, labels=(*metrics.VERSION_LABELS, metrics.BOUND))
        for each in watched:
            if share := make(each.lately):
                for bound in metrics.BOUNDS:
                    family.add_metric([*each.labels, bound], getattr(share, bound))
        yield family
    for name, (text, measure) in RATIOS.items():
        family = prometheus.GaugeMetricFamily(name, text, labels=metrics.VERSION_LABELS)
        for each in watched:
            if (value := measure(each.lately)) is not None:
                family.add_metric(each.labels, value)
        yield family
