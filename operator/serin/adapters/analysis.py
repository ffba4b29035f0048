"""Measures a rollout: follows its counters in Prometheus and has the core judge them."""

import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from serin.adapters import prometheus
from serin.api import metrics
from serin.core import evidence
from serin.core.evidence import Assessment, Counter, Counts, Criterion, Verdict
from serin.core.model import Analysis, Revision, State
from serin.core.phases import Phase
from serin.render.plans import Query

Key = tuple[str, str]
# How far before the step's start to look for a counter's last value; five minutes cover ten scrapes of 30 s.
LOOKBACK_SECONDS = 300.0
# Overlap of two reads, so that a sample that was late is not missed; samples seen twice are counted once.
OVERLAP_SECONDS = 15.0
# Samples older than this say nothing of now: the servers are not scraped any more.
STALE_SECONDS = 120.0


@dataclass(frozen=True)
class Question:
    """What is asked of the measurements of one object."""

    key: Key
    state: State
    criteria: tuple[Criterion, ...]
    queries: tuple[Query, ...]
    minimum: float

    @property
    def measured(self) -> Revision | None:
        """The revision under test, or the one that is leaving."""
        return self.state.candidate or self.state.leaving

    @property
    def bounds(self) -> tuple[float, ...]:
        """The latency bounds that are counted, in seconds."""
        return tuple(c.maximum for c in self.criteria if c.kind is evidence.Kind.LATENCY and c.maximum is not None)


@dataclass
class _Followed:
    """The counters of one object since a time."""

    since: datetime
    read_at: float | None = None
    counters: dict[tuple[tuple[str, str], ...], Counter] = field(default_factory=dict)


class Analyst:
    """Keeps what was counted between two looks; all of it can be read from Prometheus again."""

    def __init__(self, source: prometheus.Prometheus) -> None:
        self._source = source
        self._followed: dict[Key, _Followed] = {}

    def forget(self, key: Key) -> None:
        """Drop what is known of an object."""
        self._followed.pop(key, None)

    async def analyse(self, question: Question, now: datetime) -> Analysis:
        """Measure since the step was in place; an outage is a verdict of its own and changes nothing else."""
        since = question.state.since
        if since is None or question.measured is None:
            return Analysis(Verdict.INSUFFICIENT, "the step is not in place yet", since=since)
        try:
            counts = await self._count(question, since, now)
            assessments = await self._assess(question, counts)
        except prometheus.UnavailableError as error:
            return Analysis(
                Verdict.UNAVAILABLE, str(error), since=since, traffic_message=str(error), drain_message=str(error)
            )
        return _conclude(question, counts, assessments, since, now)

    async def _count(self, question: Question, since: datetime, now: datetime) -> dict[str, Counts]:
        followed = self._followed.get(question.key)
        if followed is None or followed.since != since:
            followed = self._followed[question.key] = _Followed(since)
        start = since.timestamp() - LOOKBACK_SECONDS
        if followed.read_at is not None:
            start = max(start, followed.read_at - OVERLAP_SECONDS)
        seconds = now.timestamp() - start
        for series in await self._source.samples(*question.key, question.bounds, seconds):
            key = tuple(sorted(series.labels.items()))
            counter = evidence.follow(followed.counters.get(key), series.samples, since.timestamp())
            if counter:
                followed.counters[key] = counter
        followed.read_at = now.timestamp()
        return _sum_by_revision(followed.counters.items())

    async def _assess(self, question: Question, counts: dict[str, Counts]) -> tuple[Assessment, ...]:
        revision, stable = question.state.candidate, question.state.stable
        if revision is None:
            return ()
        own = counts.get(revision.revision, Counts())
        found = [evidence.assess(criterion, own, question.minimum) for criterion in question.criteria]
        refusals = evidence.assess_refusals(own, counts.get(stable.revision) if stable else None, question.minimum)
        for query in question.queries:
            text = string.Template(query.text).safe_substitute(
                namespace=question.key[0],
                name=question.key[1],
                revision=revision.revision,
                version=revision.version,
                stable=stable.revision if stable else "",
            )
            value = await self._source.value(text)
            found.append(evidence.assess_query(query.criterion, value, own.total, question.minimum))
        return (*found, *((refusals,) if refusals else ()))


def _sum_by_revision(counters: Iterable[tuple[tuple[tuple[str, str], ...], Counter]]) -> dict[str, Counts]:
    sums: dict[str, _Sum] = {}
    for labels_key, counter in counters:
        labels = dict(labels_key)
        sums.setdefault(labels.get(metrics.REVISION, ""), _Sum()).add(labels, counter)
    return {revision: total.counts() for revision, total in sums.items()}


@dataclass
class _Sum:
    outcomes: dict[str, float] = field(default_factory=dict)
    within: dict[float, float] = field(default_factory=dict)
    timed: float = 0.0
    last_sample: float | None = None
    last_growth: float | None = None

    def add(self, labels: dict[str, str], counter: Counter) -> None:
        bound = labels.get("le")
        if bound is None:
            outcome = labels.get(metrics.OUTCOME, "")
            self.outcomes[outcome] = self.outcomes.get(outcome, 0.0) + counter.counted
            self.last_sample = max(self.last_sample or 0.0, counter.time)
            if counter.grew is not None:
                self.last_growth = max(self.last_growth or 0.0, counter.grew)
        elif bound == "+Inf":
            self.timed += counter.counted
        else:
            self.within[float(bound)] = self.within.get(float(bound), 0.0) + counter.counted

    def counts(self) -> Counts:
        ok, refused, failed = (self.outcomes.get(outcome, 0.0) for outcome in metrics.OUTCOMES)
        return Counts(ok, refused, failed, self.within, self.timed, self.last_sample, self.last_growth)


def _conclude(
    question: Question, counts: dict[str, Counts], assessments: tuple[Assessment, ...], since: datetime, now: datetime
) -> Analysis:
    state, measured = question.state, question.measured
    own = counts.get(measured.revision) if measured else None
    old = counts.get(state.stable.revision) if state.stable else None
    verdict, message = _judge(question, own, assessments, now)
    follows, traffic = evidence.follows_weight(
        own.total if own else 0.0, old.total if old else 0.0, state.weight, question.minimum
    )
    drained, drain = evidence.drained(own, since.timestamp())
    total = (own.total if own else 0.0) + (old.total if old else 0.0)
    return Analysis(
        verdict,
        message,
        sampled=own is not None and own.last_sample is not None,
        assessments=assessments,
        since=since,
        share=(own.total if own else 0.0) / total if total else None,
        verified=follows if state.testing in (Phase.CANARY, Phase.BAKING) else None,
        traffic_message=traffic,
        drained=drained,
        drain_message=drain,
    )


def _judge(
    question: Question, own: Counts | None, assessments: tuple[Assessment, ...], now: datetime
) -> tuple[Verdict, str]:
    if own is None or own.last_sample is None:
        return Verdict.INSUFFICIENT, "Prometheus has no samples of this version yet: is its PodMonitor in place?"
    age = now.timestamp() - own.last_sample
    if age > STALE_SECONDS:
        return Verdict.UNAVAILABLE, f"the newest sample of this version in Prometheus is {age:.0f} s old"
    return evidence.combine(assessments, own.total, question.minimum)
