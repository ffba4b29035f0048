"""What is asked of the model server, as data: each figure with its target and the way it is computed from the results.

A figure that was not measured is none, which is neither met nor missed.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import scipy.stats

from support import report

from .loads import AROUND, HALF, ONE, OVERLOAD, RECOVERY, SIXTEEN, Load
from .measure import Window
from .results import Results

Value = Callable[[Results], float | None]
What = Callable[[Window], float]

SERIN, CONTROL = "Serin", "control"
JSON, OIP, BINARY, GRPC = "HTTP JSON", "HTTP OIP JSON", "HTTP OIP binary", "gRPC"
TREES = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}
# Each peer with the JSON it takes, and the share of its processor time per request that Serin may take.
JSON_PEERS = (
    ("BentoML", JSON, 12),
    ("BentoML, adaptive batching", JSON, 12),
    ("MLServer", OIP, 5),
    ("KServe SDK", OIP, 5),
    ("FastAPI", JSON, 2),
    ("FastAPI + ONNX Runtime", JSON, 2),
)
# The largest requests are asked in turn with the bare call in these ways.
SHARED = frozenset({(SERIN, GRPC), (SERIN, BINARY)})
# What is called no growth over the soak: noise of the allocator.
MEMORY_GROWTH_MB = 2.0
# Fewer windows have no trend.
LEAST_WINDOWS = 8


@dataclass(frozen=True)
class Target:
    """One figure: its words, what was asked, how it is computed, and the bound in the figure's own unit.

    One without a bound is there to read the others by.
    """

    what: str
    asked: str
    value: Value
    bound: float | None
    show: Callable[[float], str]
    least: bool = False

    def figure(self, seen: Results) -> report.Figure:
        """Hold the results against the target."""
        value = self.value(seen)
        if value is None:
            return report.Figure(self.what, self.asked, "not measured", None)
        if self.bound is None:
            return report.Figure(self.what, self.asked, self.show(value), None)
        met = value >= self.bound if self.least else value <= self.bound
        return report.Figure(self.what, self.asked, self.show(value), met)


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


def tail_share(model: str) -> Value:
    """Serin's p99 as a share of the best peer's, at 16 connections."""

    def value(seen: Results) -> float | None:
        others = [seen.median(peer, dialect, model, SIXTEEN, p99) for peer, dialect, _ in JSON_PEERS]
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


OFF, FORCED = "Serin, batching off", "Serin, batching on"


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


def share(value: float) -> str:
    """Write a share as people compare costs."""
    return f"1/{1 / value:.1f}"


def times(value: float) -> str:
    """Write a factor."""
    return f"{value:.2f} x"


def percent(value: float) -> str:
    """Write a share in percent."""
    return f"{100 * value:.0f} %"


def rise(value: float) -> str:
    """Write a rise in percent, if there is one."""
    return f"{100 * value:+.0f} %" if value > 0 else "none that is certain"


def milliseconds(value: float) -> str:
    """Write a time in ms."""
    return f"{value:.2f} ms"


def seconds(value: float) -> str:
    """Write a time in s."""
    return f"{value:.1f} s"


def megabytes(value: float) -> str:
    """Write a size in MB."""
    return f"{value:.0f} MB"


def growth_megabytes(value: float) -> str:
    """Write a change of size in MB."""
    return f"{value:+.1f} MB"


def kilobytes(value: float) -> str:
    """Write a size in KB."""
    return f"{value:.1f} KB"


def of_trees(model: str, title: str) -> list[Target]:
    """What is asked of a tree model."""
    at = f"{title}, 16 connections"
    bare = f"{title}, 1 connection, p50 beyond the bare call"
    return [
        *(
            Target(
                f"{at}, CPU per HTTP request as a share of {peer}'s", f"≤ 1/{parts}",
                cpu_share(peer, dialect, JSON, model), 1 / parts, share,
            )
            for peer, dialect, parts in JSON_PEERS
        ),
        Target(f"{at}, HTTP p99 against the best peer's", "< 1 x", tail_share(model), 0.9999, times),
        Target(
            f"{at}, CPU per gRPC request as a share of MLServer's", "≤ 2/5 (1/2.5)",
            cpu_share("MLServer", GRPC, GRPC, model), 0.4, share,
        ),
        *(
            Target(
                f"{title}, 1,024 rows by {dialect}, rows/s of the bare call's", "≥ 70 %",
                row_share(dialect, model), 0.7, percent, least=True,
            )
            for dialect in (GRPC, BINARY)
        ),
        Target(f"{bare}, HTTP", "≤ 0.2 ms", beyond_library(JSON, model), 0.2, milliseconds),
        Target(f"{bare}, gRPC", "≤ 0.4 ms", beyond_library(GRPC, model), 0.4, milliseconds),
        *(
            Target(
                f"{title}, open loop at half capacity, {dialect} p99", "≤ 3 ms",
                median(dialect, model, HALF, p99), 3, milliseconds,
            )
            for dialect in (JSON, GRPC)
        ),
        Target(f"{title}, resident memory at its largest", "≤ 160 MB", largest_memory(model), 160, megabytes),
        Target(f"{title}, start to ready on one core", "≤ 2 s", ready(model), 2, seconds),
    ]  # fmt: skip


def of_images(model: str, title: str) -> list[Target]:
    """What is asked of a tree family's images."""
    beyond = f"{model}: version beyond the"
    return [
        Target(f"{title}, runtime layers, unpacked", "≤ 350 MB", image(f"{model}: runtime, MB"), 350, megabytes),
        Target(f"{title}, version layer beyond the artifact", "≤ 64 KB", image(f"{beyond} artifact, KB"), 64, kilobytes),
        Target(
            f"{title}, version layer beyond the artifact and its ONNX form", "≤ 64 KB",
            image(f"{beyond} model's files, KB"), 64, kilobytes,
        ),
        Target(f"{title}, `serin build` of a further version", "≤ 5 s", image(f"{model}: further build, s"), 5, seconds),
    ]  # fmt: skip


# Of the perceptron Serin makes batches by itself; of the other it does not, so it is made to.
BATCHES = (
    ("wide perceptron", SERIN, BINARY, "perceptron"),
    ("PatchTST's size, batches forced on", FORCED, OIP, "network"),
)

TARGETS: Sequence[Target] = (
    *(target for model, title in TREES.items() for target in of_trees(model, title)),
    Target(
        "the control, open loop at half capacity, p99", "-", median(JSON, "xgboost", HALF, p99, CONTROL), None,
        milliseconds,
    ),
    Target("soak at 80 %, growth of memory", "none", growth(memory, difference), MEMORY_GROWTH_MB, growth_megabytes),
    Target("soak at 80 %, p99 later against earlier", "-", growth(p99, quotient), None, times),
    Target("soak at 80 %, rise of p99 (95 % interval)", "none", certain_trend(p99), 0, rise),
    Target("under twice the load, answered of capacity", "≥ 90 %", under_overload, 0.9, percent, least=True),
    Target(
        "at half capacity at once after that, p99", "≤ 3 ms", median(JSON, "xgboost", RECOVERY, p99), 3, milliseconds
    ),
    *(
        Target(
            f"{of}, 64 connections, against no batches", "≥ 2 x",
            batching_gain(peer, dialect, model), 2, times, least=True,
        )
        for of, peer, dialect, model in BATCHES
    ),
    *(
        Target(
            f"{of}, 1 connection, p50 beyond no batches", "≤ 0.2 ms",
            batching_cost(peer, dialect, model), 0.2, milliseconds,
        )
        for of, peer, dialect, model in BATCHES
    ),
    *(target for model, title in TREES.items() for target in of_images(model, title)),
)  # fmt: skip
