"""What counted requests prove about a version: exact counts, score intervals, verdicts.

Counts come from raw counter samples per pod and are reset-aware. Prometheus' `rate()` and `increase()` extrapolate to
the edges of their window, which turns 29 requests into 31 and a single error into a fraction.
"""

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

# Two-sided 99.73 %: looked at again after each request, a 95 % interval would condemn a third of equal versions.
Z = 3.0
# Fewer bad answers than this never condemn a version: at a limit of 1 %, 4 of 100 are above it by chance 18 times in 1,000.
LEAST_BAD = 5
# A share may differ from the weight by so much and still follow it (the Gateway API conformance tests' tolerance).
SHARE_TOLERANCE = 0.05
# Below so many of the candidate's answers, 10 % and 25 % look alike.
LEAST_SHARED = 100


class Verdict(enum.StrEnum):
    """What the evidence says; only PASS lets a version advance."""

    PASS = "Pass"  # noqa: S105 - a verdict, not a secret
    FAIL = "Fail"
    INSUFFICIENT = "Insufficient"
    UNAVAILABLE = "Unavailable"


def wilson(hits: float, total: float, z: float = Z) -> tuple[float, float]:
    """Bound a proportion by its score interval (Wilson 1927, JASA 22:209), honest for few requests and rare errors.

    Worked: 6 failures of 30 at z = 3 give (0.065, 0.473), so 5 % are exceeded; 5 of 30 give (0.049, 0.438), not yet.
    """
    if total <= 0:
        return 0.0, 1.0
    share = hits / total
    scale = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    margin = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    return max(0.0, centre - margin), min(1.0, centre + margin)


@dataclass(frozen=True)
class Counter:
    """How far one series went since a time (seconds): its newest sample, the count, and when it last may have grown.

    `counting` is false until the first sample after that time, up to which it may have grown without being counted.
    """

    time: float
    value: float
    counted: float = 0.0
    grew: float | None = None
    counting: bool = False


def follow(counter: Counter | None, samples: Iterable[tuple[float, float]], since: float) -> Counter | None:
    """Follow a counter through further raw (time, value) samples in order; those that were seen already are passed over.

    A series that existed before `since` counts from its first sample after it, because what came between two scrapes may
    belong to the step before, such as mirrored requests. A series first seen later started at 0: a server creates all its
    series at 0. A value below its predecessor is a restart, which counts from 0 again: 5, 9, 2 is 4 + 2 = 6.
    """
    for time, value in samples:
        if counter is not None and time <= counter.time:
            continue
        if time <= since:
            counter = Counter(time, value)
        elif counter is None:
            counter = Counter(time, value, value, time if value > 0 else None, counting=True)
        elif not counter.counting:
            counter = Counter(time, value, grew=time, counting=True)
        else:
            growth = value if value < counter.value else value - counter.value
            grew = time if growth > 0 else counter.grew
            counter = Counter(time, value, counter.counted + growth, grew, counting=True)
    return counter


@dataclass(frozen=True)
class Counts:
    """What one revision answered since a time: requests by outcome, and answers within each latency bound (seconds).

    `last_sample` is the time of the newest sample and `last_growth` the newest up to which a request may have been answered.
    """

    ok: float = 0
    refused: float = 0
    failed: float = 0
    within: Mapping[float, float] = field(default_factory=dict)
    timed: float = 0
    last_sample: float | None = None
    last_growth: float | None = None

    @property
    def total(self) -> float:
        """All answered requests."""
        return self.ok + self.refused + self.failed


class Kind(enum.StrEnum):
    """How a criterion is measured."""

    ERROR_RATE = "errorRate"
    LATENCY = "latency"
    QUERY = "query"


@dataclass(frozen=True)
class Criterion:
    """A limit. For latency, `quantile` of the answers must be within `maximum` seconds; a query may have either bound."""

    name: str
    kind: Kind
    maximum: float | None = None
    minimum: float | None = None
    quantile: float = 0.0


@dataclass(frozen=True)
class Assessment:
    """One criterion held against the measurements, with the numbers and a sentence."""

    name: str
    verdict: Verdict
    message: str
    value: float | None = None
    limit: float | None = None
    requests: float = 0


def _assess_share(name: str, bad: float, total: float, allowed: float, minimum: float, what: str) -> Assessment:
    value = bad / total if total else None
    lower, _ = wilson(bad, total)

    def assessed(verdict: Verdict, message: str) -> Assessment:
        return Assessment(name, verdict, message, value, allowed, total)

    if bad >= LEAST_BAD and total >= minimum and lower > allowed:
        return assessed(
            Verdict.FAIL,
            f"{bad:g} of {total:g} {what}, at least {lower:.1%} with certainty; the limit is {allowed:.1%}",
        )
    if total < minimum:
        return assessed(Verdict.INSUFFICIENT, f"{total:g} of at least {minimum:g} requests so far")
    if bad <= allowed * total:
        return assessed(Verdict.PASS, f"{bad:g} of {total:g} {what}; the limit is {allowed:.1%}")
    return assessed(
        Verdict.INSUFFICIENT,
        f"{bad:g} of {total:g} {what}, above the limit of {allowed:.1%} but not yet beyond doubt (at least {lower:.1%})",
    )


def assess(criterion: Criterion, counts: Counts, minimum: float) -> Assessment:
    """Hold a counted criterion against what a revision answered.

    Both need the minimum of requests. Fail needs five bad answers and the score interval above the limit, Pass the plain share
    within it; all between is Insufficient. What is worse than that and sooner seen is the alert rules' part.
    """
    if criterion.kind is Kind.ERROR_RATE:
        return _assess_share(
            criterion.name, counts.failed, counts.total, criterion.maximum or 0.0, minimum, "requests failed"
        )
    limit = criterion.maximum or 0.0
    if counts.timed and limit not in counts.within:
        message = f"the server's histogram has no bucket of {limit * 1000:g} ms"
        return Assessment(criterion.name, Verdict.INSUFFICIENT, message, None, limit, counts.timed)
    slow = counts.timed - counts.within.get(limit, 0.0)
    return _assess_share(
        criterion.name,
        slow,
        counts.timed,
        1 - criterion.quantile,
        minimum,
        f"answers took longer than {limit * 1000:g} ms",
    )


def assess_refusals(candidate: Counts, stable: Counts | None, minimum: float) -> Assessment | None:
    """Compare what the candidate refuses with what the stable version refuses of the same traffic, or None without a peer.

    A version that expects 22 features where stable takes 49 answers 400 to everything; that is no 5xx and no fault of
    the clients, whose requests stable accepts.
    """
    if stable is None or stable.total < minimum or candidate.total < minimum:
        return None
    lower, _ = wilson(candidate.refused, candidate.total)
    _, upper = wilson(stable.refused, stable.total)
    if lower <= upper:
        return None
    message = (
        f"{candidate.refused:g} of {candidate.total:g} requests refused, while the stable version refused "
        f"{stable.refused:g} of {stable.total:g}"
    )
    return Assessment("refusals", Verdict.FAIL, message, candidate.refused / candidate.total, upper, candidate.total)


def assess_query(criterion: Criterion, value: float | None, requests: float, minimum: float) -> Assessment:
    """Hold a query's answer against its bounds; no answer, NaN or too few requests prove nothing."""
    if value is None or math.isnan(value):
        return Assessment(criterion.name, Verdict.INSUFFICIENT, "the query has no result", None, None, requests)
    low, high = criterion.minimum, criterion.maximum
    limit = high if high is not None and value > high else low if low is not None else high
    inside = (low is None or value >= low) and (high is None or value <= high)
    bounds = " and ".join(f"{word} {bound:g}" for word, bound in (("min", low), ("max", high)) if bound is not None)
    message = f"the query gives {value:g}; allowed is {bounds}"
    if requests < minimum:
        message = f"{requests:g} of at least {minimum:g} requests so far; {message}"
        return Assessment(criterion.name, Verdict.INSUFFICIENT, message, value, limit, requests)
    return Assessment(criterion.name, Verdict.PASS if inside else Verdict.FAIL, message, value, limit, requests)


_GRAVITY = (Verdict.FAIL, Verdict.UNAVAILABLE, Verdict.INSUFFICIENT, Verdict.PASS)


def combine(assessments: Sequence[Assessment], requests: float, minimum: float) -> tuple[Verdict, str]:
    """Give the gravest verdict with its sentence; without criteria, enough requests pass."""
    if not assessments:
        if requests < minimum:
            return Verdict.INSUFFICIENT, f"{requests:g} of at least {minimum:g} requests so far"
        return Verdict.PASS, f"{requests:g} requests, no criteria"
    gravest = min(assessments, key=lambda assessment: _GRAVITY.index(assessment.verdict))
    if gravest.verdict is Verdict.PASS:
        return Verdict.PASS, "; ".join(f"{a.name}: {a.message}" for a in assessments)
    return gravest.verdict, f"{gravest.name}: {gravest.message}"


def follows_weight(candidate: float, stable: float, weight: int, minimum: float) -> tuple[bool | None, str]:
    """Tell whether counted answers follow a weight in percent, or None while there are too few to tell.

    The score interval of the candidate's share must touch weight ± 5 points, and be narrow enough (its half within 5
    points, or the minimum of the candidate's requests, at least 100) that a share that stayed where it was would not touch
    it too: of 20 answers at 10 %, 20 to 45 % cannot be told apart.
    """
    total = candidate + stable
    low, high = wilson(candidate, total)
    share = candidate / total if total else 0.0
    wanted = weight / 100
    message = f"{candidate:g} of {total:g} answers ({share:.1%}) came from the candidate; its weight is {weight} %"
    if not (low <= wanted + SHARE_TOLERANCE and high >= wanted - SHARE_TOLERANCE):
        return False, message
    if candidate < max(minimum, LEAST_SHARED) and (high - low) / 2 > SHARE_TOLERANCE:
        return None, message
    return True, message


def drained(counts: Counts | None, withdrawn_at: float, settle: float = 1.0) -> tuple[bool, str]:
    """Tell whether a revision has stopped answering: a sample taken `settle` seconds after the withdrawal, none growing since.

    Two scrapes must agree: the newest sample is later than the last growth and than the withdrawal plus `settle`.
    """
    if counts is None or counts.last_sample is None:
        return False, "no samples of the withdrawn version"
    quiet_from = max(withdrawn_at + settle, counts.last_growth or withdrawn_at)
    if counts.last_sample <= quiet_from:
        return False, "the withdrawn version was still answering at its last scrape"
    return True, "the withdrawn version answers nothing any more"
