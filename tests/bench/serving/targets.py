"""What is asked of the model server, as data: each figure with its target and the bound that it is held to.

A figure that was not measured is neither met nor missed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from support import report

from . import figures
from .figures import BINARY, CONTROL, FORCED, GRPC, JSON, OIP, SERIN
from .loads import HALF, RECOVERY
from .results import Results

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
JSON_WAYS = [(peer, dialect) for peer, dialect, _ in JSON_PEERS]
# The largest requests are asked in turn with the bare call in these ways.
SHARED = frozenset({(SERIN, GRPC), (SERIN, BINARY)})
# What is called no growth over the soak: noise of the allocator.
MEMORY_GROWTH_MB = 2.0


@dataclass(frozen=True)
class Target:
    """One figure: its words, what was asked, how it is computed, and the bound in the figure's own unit.

    One without a bound is there to read the others by.
    """

    what: str
    asked: str
    value: figures.Value
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
                figures.cpu_share(peer, dialect, JSON, model), 1 / parts, share,
            )
            for peer, dialect, parts in JSON_PEERS
        ),
        Target(f"{at}, HTTP p99 against the best peer's", "< 1 x", figures.tail_share(model, JSON_WAYS), 0.9999, times),
        Target(
            f"{at}, CPU per gRPC request as a share of MLServer's", "≤ 2/5 (1/2.5)",
            figures.cpu_share("MLServer", GRPC, GRPC, model), 0.4, share,
        ),
        *(
            Target(
                f"{title}, 1,024 rows by {dialect}, rows/s of the bare call's", "≥ 70 %",
                figures.row_share(dialect, model), 0.7, percent, least=True,
            )
            for dialect in (GRPC, BINARY)
        ),
        Target(f"{bare}, HTTP", "≤ 0.2 ms", figures.beyond_library(JSON, model), 0.2, milliseconds),
        Target(f"{bare}, gRPC", "≤ 0.4 ms", figures.beyond_library(GRPC, model), 0.4, milliseconds),
        *(
            Target(
                f"{title}, open loop at half capacity, {dialect} p99", "≤ 3 ms",
                figures.median(dialect, model, HALF, figures.p99), 3, milliseconds,
            )
            for dialect in (JSON, GRPC)
        ),
        Target(f"{title}, resident memory at its largest", "≤ 160 MB", figures.largest_memory(model), 160, megabytes),
        Target(f"{title}, start to ready on one core", "≤ 2 s", figures.ready(model), 2, seconds),
    ]  # fmt: skip


def of_images(model: str, title: str) -> list[Target]:
    """What is asked of a tree family's images."""
    beyond = f"{model}: version beyond the"
    return [
        Target(f"{title}, runtime layers, unpacked", "≤ 350 MB", figures.image(f"{model}: runtime, MB"), 350, megabytes),
        Target(
            f"{title}, version layer beyond the artifact", "≤ 64 KB",
            figures.image(f"{beyond} artifact, KB"), 64, kilobytes,
        ),
        Target(
            f"{title}, version layer beyond the artifact and its ONNX form", "≤ 64 KB",
            figures.image(f"{beyond} model's files, KB"), 64, kilobytes,
        ),
        Target(
            f"{title}, `serin build` of a further version", "≤ 5 s",
            figures.image(f"{model}: further build, s"), 5, seconds,
        ),
    ]  # fmt: skip


# Of the perceptron Serin makes batches by itself; of the other it does not, so it is made to.
BATCHES = (
    ("wide perceptron", SERIN, BINARY, "perceptron"),
    ("PatchTST's size, batches forced on", FORCED, OIP, "network"),
)

TARGETS: Sequence[Target] = (
    *(target for model, title in TREES.items() for target in of_trees(model, title)),
    Target(
        "the control, open loop at half capacity, p99", "-",
        figures.median(JSON, "xgboost", HALF, figures.p99, CONTROL), None, milliseconds,
    ),
    Target(
        "soak at 80 %, growth of memory", "none",
        figures.growth(figures.memory, figures.difference), MEMORY_GROWTH_MB, growth_megabytes,
    ),
    Target("soak at 80 %, p99 later against earlier", "-", figures.growth(figures.p99, figures.quotient), None, times),
    Target("soak at 80 %, rise of p99 (95 % interval)", "none", figures.certain_trend(figures.p99), 0, rise),
    Target("under twice the load, answered of capacity", "≥ 90 %", figures.under_overload, 0.9, percent, least=True),
    Target(
        "at half capacity at once after that, p99", "≤ 3 ms",
        figures.median(JSON, "xgboost", RECOVERY, figures.p99), 3, milliseconds,
    ),
    *(
        Target(
            f"{of}, 64 connections, against no batches", "≥ 2 x",
            figures.batching_gain(peer, dialect, model), 2, times, least=True,
        )
        for of, peer, dialect, model in BATCHES
    ),
    *(
        Target(
            f"{of}, 1 connection, p50 beyond no batches", "≤ 0.2 ms",
            figures.batching_cost(peer, dialect, model), 0.2, milliseconds,
        )
        for of, peer, dialect, model in BATCHES
    ),
    *(target for model, title in TREES.items() for target in of_images(model, title)),
)  # fmt: skip


def hold(seen: Results) -> list[report.Figure]:
    """Hold the results against all targets."""
    return [target.figure(seen) for target in TARGETS]
