"""How each figure is computed from what was measured, as functions of the results.

A figure that was not measured is none.
"""

import statistics
from collections.abc import Callable, Sequence

import scipy.stats

from .loads import AROUND, ONE, OVERLOAD, SIXTEEN, Load
from .measure import Window
from .results import Results

Value = Callable[[Results], float | None]
What = Callable[[Window], float]

SERIN, OFF, FORCED, CONTROL = "Serin", "Serin, batching off", "Serin, batching on", "control"
JSON, OIP, BINARY, GRPC = "HTTP JSON", "HTTP OIP JSON", "HTTP OIP binary", "gRPC"
# Fewer windows have no trend.
LEAST_WINDOWS = 8


def cpu(window: Window) -> float:
    """Processor time per request in µs."""
    return window.cpu


def p50(window: Window) -> float:
    """Median latency in ms."""
    return window.p50


def p99(window: Window) -> float:
    """99th percentile of latency in ms."""
    return window.p99


def per_second(window: Window) -> float:
    """Requests per second."""
    return window.per_second


def busy(window: Window) -> float:
    """The server's share of a core in percent."""
    return window.cpu * window.per_second / 1e4


def memory(window: Window) -> float:
    """Resident memory in MB."""
    return window.memory


def quotient(above: float | None, below: float | None) -> float | None:
    """Divide what was measured."""
    return above / below if above is not None and below else None


def difference(one: float | None, other: float | None) -> float | None:
    """Subtract what was measured."""
    return one - other if one is not None and other is not None else None


def median(dialect: str, model: str, load: Load, what: What, peer: str = SERIN) -> Value:
    """A median over the rounds."""
    return lambda seen: seen.median(peer, dialect, model, load, what)


def cpu_share(peer: str, dialect: str, own: str, model: str) -> Value:
    """Serin's processor time per request as a share of a peer's, at 16 connections."""
    mine, others = median(own, model, SIXTEEN, cpu), median(dialect, model, SIXTEEN, cpu, peer)
    return lambda seen: quotient(mine(seen), others(seen))


def tail_share(model: str, ways: Sequence[tuple[str, str]]) -> Value:
    """Serin's p99 as a share of the best peer's, at 16 connections."""

    def value(seen: Results) -> float | None:
        others = [seen.median(peer, dialect, model, SIXTEEN, p99) for peer, dialect in ways]
        return quotient(seen.median(SERIN, JSON, model, SIXTEEN, p99), min((o for o in others if o), default=None))

    return value


def beyond_library(dialect: str, model: str) -> Value:
    """The median latency of one row at one connection beyond the fastest bare call, in ms."""
    mine = median(dialect, model, ONE, p50)

    def value(seen: Results) -> float | None:
        bare = seen.library_call(model, 1)
        return difference(mine(seen), bare / 1000 if bare is not None else None)

    return value


def row_share(dialect: str, model: str) -> Value:
    """Rows per second of 1,024 rows a request, as a share of the fastest bare call's right before."""
    return lambda seen: seen.row_share(SERIN, dialect, model)


def growth(what: What, relate: Callable[[float | None, float | None], float | None]) -> Value:
    """How the last third of the soak relates to its second: the first fills pools and caches."""

    def value(seen: Results) -> float | None:
        third = len(seen.soak) // 3
        if third == 0:
            return None
        earlier, later = seen.soak[third : 2 * third], seen.soak[2 * third :]
        return relate(statistics.median(map(what, later)), statistics.median(map(what, earlier)))

    return value


def certain_trend(what: What) -> Value:
    """How a figure rises from the soak's first third to its end, as a share of its median, at the least.

    The lower end of the 95 % interval of the Theil-Sen slope (Sen 1968, doi:10.1080/01621459.1968.10480934), the median of
    the slopes between all pairs of windows: a few slow windows, which this machine has at any time, do not turn it.
    """

    def value(seen: Results) -> float | None:
        values = [what(window) for window in seen.soak[len(seen.soak) // 3 :]]
        if len(values) < LEAST_WINDOWS:
            return None
        low = float(scipy.stats.theilslopes(values, alpha=0.95).low_slope)
        return low * (len(values) - 1) / statistics.median(values)

    return value


def under_overload(seen: Results) -> float | None:
    """What is answered of twice the load, as a share of the capacity right before and after."""
    answered, steady = (seen.median(SERIN, JSON, "xgboost", load, per_second) for load in (OVERLOAD, AROUND))
    return quotient(answered, steady)


def batching_gain(peer: str, dialect: str, model: str) -> Value:
    """Requests per second at 64 connections, as a multiple of those without batches right before."""
    return lambda seen: seen.gain(peer, dialect, model)


def batching_cost(peer: str, dialect: str, model: str) -> Value:
    """What a peer's median latency at one connection is beyond that without batches, in ms."""
    mine, without = (median(dialect, model, ONE, p50, name) for name in (peer, OFF))
    return lambda seen: difference(mine(seen), without(seen))


def image(name: str) -> Value:
    """A figure of images."""
    return lambda seen: seen.images.get(name)


def largest_memory(model: str) -> Value:
    """The most that the server held at the end of any window."""
    return lambda seen: max((w.memory for w in seen.windows if (w.peer, w.model) == (SERIN, model)), default=None)


def ready(model: str) -> Value:
    """Seconds from the server's start to readiness on one core."""
    return lambda seen: seen.ready_seconds(SERIN, model)
