"""What a client saw: every request of a replay, and the questions asked of them while it runs and afterwards.

Times are Unix seconds, so that they compare with Prometheus' and Kubernetes' own. Answers stand in the order
in which they finished, hence a window is two bisections and costs nothing while a replay runs for an hour.
"""

import bisect
import collections
import enum
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Outcome(enum.StrEnum):
    """How a request ended, as its sender sees it."""

    OK = "ok"
    WRONG = "wrong"
    """Answered with success, but not with what the model of that version says."""
    FAILED = "failed"


class Answer(NamedTuple):
    """One request and its end."""

    protocol: str
    scheduled: float
    sent: float
    finished: float
    status: str
    """The HTTP status, the name of the gRPC code, or the client's own word: `timeout`, `disconnected`."""
    version: str | None
    """The model version that answered, also with an error; None when the gateway or nobody did."""
    outcome: Outcome
    detail: str = ""
    """The beginning of what was said instead of an answer; a gateway gives its reason there."""

    @property
    def latency(self) -> float:
        """Seconds since the request was due: a stalled client must not hide a stalled server."""
        return self.finished - self.scheduled

    @property
    def failed(self) -> bool:
        """Whether its sender got anything but the right answer."""
        return self.outcome is not Outcome.OK


@dataclass(frozen=True)
class Tally:
    """Counts over some answers, by version."""

    answers: Mapping[str | None, int]
    failures: Mapping[str | None, int]

    @property
    def total(self) -> int:
        """All requests that ended."""
        return sum(self.answers.values())

    @property
    def failed(self) -> int:
        """All of them that failed, whoever is to blame."""
        return sum(self.failures.values())

    def share(self, version: str) -> float:
        """Tell which part of the answered requests this version answered, 0 to 1; 0 when there are none."""
        answered = sum(count for name, count in self.answers.items() if name is not None)
        return self.answers.get(version, 0) / answered if answered else 0.0

    def error_rate(self, version: str | None) -> float:
        """Tell which part of this version's answers were failures, 0 to 1; 0 when there are none."""
        answered = self.answers.get(version, 0)
        return self.failures.get(version, 0) / answered if answered else 0.0


def tally(answers: Collection[Answer]) -> Tally:
    """Count answers by version."""
    return Tally(
        answers=collections.Counter(answer.version for answer in answers),
        failures=collections.Counter(answer.version for answer in answers if answer.failed),
    )


def quantile(answers: Collection[Answer], rank: float) -> float:
    """Return the seconds within which the share `rank` (0 to 1) of the answers came; NaN for no answer."""
    latencies = sorted(answer.latency for answer in answers)
    return latencies[max(0, math.ceil(rank * len(latencies)) - 1)] if latencies else math.nan


class Ledger:
    """Every answer of one replay. One thread records, any thread may ask."""

    def __init__(self) -> None:
        self._answers: list[Answer] = []

    def record(self, answer: Answer) -> None:
        """Add the answer that finished last."""
        self._answers.append(answer)

    def __len__(self) -> int:
        return len(self._answers)

    def between(self, start: float = -math.inf, end: float = math.inf) -> Sequence[Answer]:
        """List the answers that finished in `[start, end)`."""
        first = bisect.bisect_left(self._answers, start, key=_finished)
        return self._answers[first : bisect.bisect_left(self._answers, end, key=_finished)]

    def window(self, seconds: float, now: float) -> Tally:
        """Count the answers of the last `seconds` before `now`, by version."""
        return tally(self.between(now - seconds))

    def total(self) -> Tally:
        """Count all answers so far, by version."""
        return tally(self.between())

    def first_failure(self, version: str, since: float = -math.inf) -> float | None:
        """Tell when this version first gave a bad answer, or None."""
        bad = (answer.finished for answer in self.between(since) if answer.version == version and answer.failed)
        return next(bad, None)

    def first_answer(self, version: str, since: float = -math.inf) -> float | None:
        """Tell when this version first answered, or None."""
        return next((answer.finished for answer in self.between(since) if answer.version == version), None)

    def last_answer(self, version: str, until: float = math.inf) -> float | None:
        """Tell when this version answered last, or None: the moment of 0 % after a rollback."""
        answers = reversed(self.between(end=until))
        return next((answer.finished for answer in answers if answer.version == version), None)

    def lost(self, bad: Collection[str] = ()) -> Sequence[Answer]:
        """List the failures that no version known to be bad gave: those that a rollout must not cause."""
        return [answer for answer in self.between() if answer.failed and answer.version not in bad]


def _finished(answer: Answer) -> float:
    return answer.finished
