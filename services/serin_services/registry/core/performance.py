"""How well a version predicts: figures from sums that can be added, so that any period is a sum of its hours."""

import collections
import dataclasses
import math
import operator
import statistics
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

# A variance below this share of the mean square is what rounding leaves of equal returns.
_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
class Sums:
    """Counts and sums of a version's predictions in a period; every field is additive.

    Latencies are in seconds; returns have the outcome's own unit. `gain` and `loss` are sums of sizes: neither is negative.
    """

    predictions: int = 0
    outcomes: int = 0
    # Outcomes that say whether the prediction was right, and those that say it was.
    judged: int = 0
    correct: int = 0
    # Outcomes with a return above and below 0.
    wins: int = 0
    losses: int = 0
    gain: float = 0.0
    loss: float = 0.0
    # Outcomes with a return, its sum and the sum of its squares.
    returned: int = 0
    returns: float = 0.0
    squares: float = 0.0
    # Predictions with a latency, and its sum.
    timed: int = 0
    seconds: float = 0.0
    # Predictions with a confidence, and its sum.
    confident: int = 0
    confidence: float = 0.0
    # Outcomes whose value can be held against the predicted one; sums of the error's size and of its square.
    compared: int = 0
    error: float = 0.0
    squared_error: float = 0.0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*map(operator.add, _read(self), _read(other)))


_read = operator.attrgetter(*(field.name for field in dataclasses.fields(Sums)))


def of(
    *,
    outcome: bool,
    correct: bool | None = None,
    returned: float | None = None,
    seconds: float | None = None,
    confidence: float | None = None,
    error: float | None = None,
) -> Sums:
    """Give the sums of one prediction, with what is known of it."""
    gained, missed = returned or 0.0, error or 0.0
    return Sums(
        predictions=1,
        outcomes=int(outcome),
        judged=int(correct is not None),
        correct=int(bool(correct)),
        wins=int(gained > 0),
        losses=int(gained < 0),
        gain=max(gained, 0.0),
        loss=max(-gained, 0.0),
        returned=int(returned is not None),
        returns=gained,
        squares=gained * gained,
        timed=int(seconds is not None),
        seconds=seconds or 0.0,
        confident=int(confidence is not None),
        confidence=confidence or 0.0,
        compared=int(error is not None),
        error=abs(missed),
        squared_error=missed * missed,
    )


def total(sums: Iterable[Sums]) -> Sums:
    """Add up any number of sums."""
    return sum(sums, Sums())


@dataclasses.dataclass(frozen=True)
class Share:
    """A share of `count` cases with the interval that holds the true share with the given confidence."""

    value: float
    low: float
    high: float
    count: int


def make_share(hits: int, count: int, confidence: float) -> Share | None:
    """Give a share with Wilson's score interval, which also holds for few cases and for shares near 0 and 1.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    if count < 1:
        return None
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    value, weight = hits / count, z * z / count
    center = (value + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(value * (1 - value) / count + weight / (4 * count))
    # At 0 and 1 rounding would leave the value itself out.
    return Share(value, min(value, max(0.0, center - half)), max(value, min(1.0, center + half)), count)


def accuracy(sums: Sums, confidence: float = 0.95) -> Share | None:
    """Give the share of right predictions among those that were judged; None without any."""
    return make_share(sums.correct, sums.judged, confidence)


def win_rate(sums: Sums, confidence: float = 0.95) -> Share | None:
    """Give the share of wins among wins and losses; a return of 0 is neither."""
    return make_share(sums.wins, sums.wins + sums.losses, confidence)


def mean_return(sums: Sums) -> float | None:
    """Give the mean return per outcome; None without any."""
    return sums.returns / sums.returned if sums.returned else None


def variance(sums: Sums) -> float | None:
    """Give the sample variance of the returns, never negative; None for fewer than two.

    A variance that is only what rounding left over is 0.
    """
    if sums.returned < 2:
        return None
    about_mean = sums.squares - sums.returns * (sums.returns / sums.returned)
    return about_mean / (sums.returned - 1) if about_mean > _ROUNDING * sums.squares else 0.0


def sharpe(sums: Sums, periods: float | None = None) -> float | None:
    """Give mean return over its standard deviation, per outcome; with `periods` outcomes a year, annualised by their root.

    None for fewer than two returns or where all are equal. No risk-free rate is taken off: give returns in excess of one.
    Source: W. F. Sharpe, Mutual fund performance, Journal of Business 39 (1966).
    """
    mean, spread = mean_return(sums), variance(sums)
    if mean is None or not spread:
        return None
    return mean / math.sqrt(spread) * math.sqrt(1.0 if periods is None else periods)


def profit_factor(sums: Sums) -> float | None:
    """Give gross gain over gross loss; None where nothing was lost."""
    return sums.gain / sums.loss if sums.loss > 0 else None


def latency(sums: Sums) -> float | None:
    """Give the mean latency in seconds; None where none was recorded."""
    return sums.seconds / sums.timed if sums.timed else None


def mean_confidence(sums: Sums) -> float | None:
    """Give the mean confidence; None where none was recorded."""
    return sums.confidence / sums.confident if sums.confident else None


def mean_error(sums: Sums) -> float | None:
    """Give the mean size of the error; None where nothing could be compared."""
    return sums.error / sums.compared if sums.compared else None


def mean_squared_error(sums: Sums) -> float | None:
    """Give the mean square of the error; None where nothing could be compared."""
    return sums.squared_error / sums.compared if sums.compared else None


def figures(sums: Sums, periods: float | None = None, confidence: float = 0.95) -> dict[str, Any]:
    """Give all figures as plain JSON, null where one is undefined."""
    shares = {"accuracy": accuracy(sums, confidence), "win_rate": win_rate(sums, confidence)}
    return {
        "predictions": sums.predictions,
        "outcomes": sums.outcomes,
        **{name: dict(vars(share)) if share else None for name, share in shares.items()},
        "mean_return": mean_return(sums),
        "sharpe": sharpe(sums),
        "sharpe_annualised": sharpe(sums, periods) if periods is not None else None,
        "profit_factor": profit_factor(sums),
        "latency_seconds": latency(sums),
        "mean_confidence": mean_confidence(sums),
        "mean_error": mean_error(sums),
        "mean_squared_error": mean_squared_error(sums),
    }


def rolling(by_hour: Mapping[datetime, Sums], window: timedelta) -> list[tuple[datetime, Sums]]:
    """Give for each hour the sums of the window that ends with it, without what is as old as the window or older.

    Nothing is ever subtracted, which would leave rounding errors behind: two stacks hold the window, so that each hour is
    added a few times in all, however long the window is.

    Raises:
        ValueError: the window is not longer than nothing.
    """
    if window <= timedelta():
        raise ValueError(f"a window has to be longer than nothing, got {window}")
    result, stacks = [], _Window()
    hours = sorted(by_hour)
    first = 0
    for hour in hours:
        stacks.push(by_hour[hour])
        while hours[first] <= hour - window:
            stacks.drop_oldest()
            first += 1
        result.append((hour, stacks.total()))
    return result


class _Window:
    """A queue that knows its sum: new ones with their running sum, old ones each with the sum of all that came after it."""

    def __init__(self) -> None:
        self._new: collections.deque[Sums] = collections.deque()
        self._sum_of_new = Sums()
        self._old: list[Sums] = []

    def push(self, sums: Sums) -> None:
        self._new.append(sums)
        self._sum_of_new += sums

    def drop_oldest(self) -> None:
        if not self._old:
            while self._new:
                self._old.append(self._new.pop() + (self._old[-1] if self._old else Sums()))
            self._sum_of_new = Sums()
        self._old.pop()

    def total(self) -> Sums:
        return (self._old[-1] if self._old else Sums()) + self._sum_of_new
