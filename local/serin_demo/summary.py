"""What the demo proved: the figures of the story, worked out from the ledger and from what was watched."""

import collections
import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serin_demo import ledger, record, story, watch


@dataclass(frozen=True)
class Played:
    """One act as it was played; times in Unix seconds."""

    act: story.Act
    began: float
    ended: float
    ending: story.Ending | None
    """None when it had not ended by its deadline."""
    cause: str = ""
    """Why the traffic was taken away, as the status says, for an act that rolled back."""


@dataclass(frozen=True)
class Step:
    """One stretch of the rollout at one phase and weight, and what clients saw of it."""

    version: str
    phase: str
    weight: int
    began: float
    """Seconds since the story began."""
    lasted: float
    requests: int
    share: float
    """Of the requests, the part that this version answered, 0 to 1."""
    failed: int
    p99: float
    """Seconds within which 99 of 100 were answered; NaN without requests."""


@dataclass(frozen=True)
class Rollback:
    """What the bad version cost, and how fast it was gone; times in seconds, None for what did not happen."""

    version: str
    cause: str
    answered: int
    failed: int
    alert: str | None
    alert_to_zero: float | None
    """From the time since which Prometheus has the alert to the bad version's last answer; 0 when none came after."""
    first_failure_to_zero: float | None


@dataclass(frozen=True)
class Summary:
    """Everything that is told at the end, in this order."""

    seconds: float
    requests: int
    by_protocol: Mapping[str, int]
    latency: Mapping[str, float]
    accuracy: Mapping[str, float]
    steps: Sequence[Step]
    rollbacks: Sequence[Rollback]
    fates: Sequence[record.Fate]
    """What the registry recorded."""
    lost: int
    lost_as: Mapping[str, int]
    """The lost requests by protocol, status, version, and what was said."""
    lost_at: Sequence[float]
    """When each was lost, in seconds since the story began."""
    problems: Sequence[str]
    """Each way in which the story went wrong; the demo has failed when there is one."""

    def as_json(self) -> dict[str, Any]:
        """Give the summary as plain JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Watched:
    """What the watcher kept."""

    moments: Sequence[watch.Moment] = ()
    alerts: Sequence[watch.Alert] = ()


def summarize(
    played: Sequence[Played],
    watched: Watched,
    book: ledger.Ledger,
    accuracy: Mapping[str, float],
    fates: Sequence[record.Fate],
) -> Summary:
    """Work everything out. `played` holds at least one act."""
    began, ended = played[0].began, played[-1].ended
    lost = book.lost(story.BAD_VERSIONS)
    answers = book.between()
    rollbacks = [
        _measure_rollback(one, watched.alerts, book) for one in played if one.ending is story.Ending.ROLLED_BACK
    ]
    return Summary(
        seconds=ended - began,
        requests=len(answers),
        by_protocol=dict(collections.Counter(answer.protocol for answer in answers)),
        latency={f"p{rank}": ledger.quantile(answers, rank / 100) for rank in (50, 95, 99)} if answers else {},
        accuracy=accuracy,
        steps=_list_steps(watched.moments, began, ended, book),
        rollbacks=rollbacks,
        fates=[_count_from(fate, began) for fate in fates],
        lost=len(lost),
        lost_as=dict(collections.Counter(_describe_lost(answer) for answer in lost)),
        lost_at=[answer.finished - began for answer in lost],
        problems=[*_find_wrong_endings(played), *_find_losses(len(lost), len(answers)), *_find_wrong_fates(fates)],
    )


def _list_steps(moments: Sequence[watch.Moment], began: float, ended: float, book: ledger.Ledger) -> list[Step]:
    ends = itertools.chain((moment.at for moment in itertools.islice(moments, 1, None)), [ended])
    return [_make_step(moment, until, began, book) for moment, until in zip(moments, ends, strict=False)]


def _make_step(moment: watch.Moment, until: float, began: float, book: ledger.Ledger) -> Step:
    answers = book.between(moment.at, until)
    seen = ledger.tally(answers)
    return Step(
        version=moment.version,
        phase=moment.phase,
        weight=moment.weight,
        began=moment.at - began,
        lasted=until - moment.at,
        requests=seen.total,
        share=seen.share(moment.version),
        failed=seen.failed,
        p99=ledger.quantile(answers, 0.99),
    )


def _measure_rollback(played: Played, alerts: Sequence[watch.Alert], book: ledger.Ledger) -> Rollback:
    version = played.act.version
    counts = ledger.tally(book.between(played.began))
    zero = book.last_answer(version)
    first_failure = book.first_failure(version, since=played.began)
    during = [alert for alert in alerts if alert.action == watch.ROLLBACK and alert.active_at >= played.began]
    alert = min(during, key=lambda one: one.active_at, default=None)
    return Rollback(
        version=version,
        cause=played.cause,
        answered=counts.answers.get(version, 0),
        failed=counts.failures.get(version, 0),
        alert=alert.name if alert else None,
        alert_to_zero=max(0.0, zero - alert.active_at) if alert and zero else None,
        first_failure_to_zero=zero - first_failure if first_failure and zero else None,
    )


def _describe_lost(answer: ledger.Answer) -> str:
    status = "wrong answer" if answer.outcome is ledger.Outcome.WRONG else answer.status
    said = f" ({answer.detail})" if answer.detail else ""
    return f"{answer.protocol} {status} from {answer.version or 'no version'}{said}"


def _find_wrong_endings(played: Sequence[Played]) -> list[str]:
    wrong = (one for one in played if one.ending is not one.act.ending)
    return [
        f"version {one.act.version} was to be {one.act.ending}, but {_describe_ending(one.ending)}" for one in wrong
    ]


def _describe_ending(ending: story.Ending | None) -> str:
    return f"was {ending}" if ending else "was still under way at its deadline"


def _find_losses(lost: int, total: int) -> list[str]:
    if total == 0:
        return ["no request was sent"]
    return [f"{lost} of {total} requests were lost for another reason than the bad version"] if lost else []


def _count_from(fate: record.Fate, began: float) -> record.Fate:
    """Count the times of a fate from the story's beginning."""
    moves = [dataclasses.replace(move, at=move.at - began) for move in fate.moves]
    return dataclasses.replace(fate, moves=moves)


def _find_wrong_fates(fates: Sequence[record.Fate]) -> list[str]:
    return [
        f"the registry has version {fate.version} in {fate.stage}, and not in {story.STAGES[fate.version]}"
        for fate in fates
        if fate.stage != story.STAGES[fate.version]
    ]


def round_figures(value: Any, digits: int = 3) -> Any:  # noqa: ANN401 -- any JSON
    """Round every number in a piece of JSON; what is not a number in JSON becomes null."""
    if isinstance(value, dict):
        return {key: round_figures(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [round_figures(item, digits) for item in value]
    if isinstance(value, float):
        return round(value, digits) if math.isfinite(value) else None
    return value
