"""What a server counts: every series exists from the start, and a label's values are bounded.

The counts are plain numbers that only the event loop writes, and Prometheus' form is made of them when it asks: the
client library's own counters take a lock for each row and walk through the buckets, which costs more than predicting.
"""

import bisect
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import prometheus_client
from prometheus_client import core, registry

from serin.api import metrics
from serin_services.package import manifest
from serin_services.server import schema

# The answer's code that each outcome has at the start, so that every protocol and outcome begins at 0.
FIRST_CODES = {
    ("http", "ok"): "200",
    ("http", "refused"): "400",
    ("http", "failed"): "500",
    ("grpc", "ok"): "OK",
    ("grpc", "refused"): "INVALID_ARGUMENT",
    ("grpc", "failed"): "INTERNAL",
}
# A regression has no labels: all its predictions count under this one.
VALUE_LABEL = "value"
# Up to so many rows are counted faster one by one than as an array.
FEW_ROWS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """How one request ended."""

    protocol: str
    outcome: str
    code: str
    seconds: float
    mismatch: bool = False


class Histogram:
    """Counts by upper bound, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = list(bounds)
        self._ends = np.array(bounds)
        self._names = [*map(str, map(float, bounds)), "+Inf"]
        self._counts = [0] * len(self._names)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value; a bound belongs to its own bucket."""
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._sum += value

    def observe_many(self, values: Sequence[float] | schema.Array) -> None:
        """Count many values."""
        if len(values) <= FEW_ROWS:
            for value in values:
                self.observe(value)
            return
        given = np.asarray(values)
        found = np.bincount(np.searchsorted(self._ends, given), minlength=len(self._counts))
        self._counts = [own + more for own, more in zip(self._counts, found.tolist(), strict=True)]
        self._sum += float(given.sum())

    def export(self) -> tuple[list[tuple[str, float]], float]:
        """Give what Prometheus reads: how many are at or below each bound, and the sum."""
        below = np.cumsum(self._counts).tolist()
        return list(zip(self._names, map(float, below), strict=True)), self._sum


class Telemetry(registry.Collector):
    """The metrics of one model version; all but `collect` is called on the event loop."""

    def __init__(
        self, document: manifest.Manifest, digest: str, collected: prometheus_client.CollectorRegistry
    ) -> None:
        self.registry = collected
        self._own = (document.model, document.version)
        self._info = (*self._own, document.family, digest)
        self._requests = {(*key, code): 0 for key, code in FIRST_CODES.items()}
        self._seconds = {protocol: Histogram(metrics.LATENCY_BUCKETS) for protocol in metrics.PROTOCOLS}
        self._labels = document.classes or (VALUE_LABEL,)
        self._predictions = [0] * len(self._labels)
        self._confidence = Histogram(metrics.CONFIDENCE_BUCKETS)
        self._mismatches = 0
        collected.register(self)

    def count_request(self, request: Request) -> None:
        """Count one answered request."""
        key = (request.protocol, request.outcome, request.code)
        self._requests[key] = self._requests.get(key, 0) + 1
        self._seconds[request.protocol].observe(request.seconds)
        if request.mismatch:
            self._mismatches += 1

    def count_predictions(
        self, classes: Sequence[int] | schema.Array, confidences: Sequence[float] | schema.Array
    ) -> None:
        """Count rows by the class that was answered, with its probability."""
        if len(classes) <= FEW_ROWS:
            for chosen in classes:
                self._predictions[chosen] += 1
        else:
            found = np.bincount(classes, minlength=len(self._predictions)).tolist()
            self._predictions = [own + more for own, more in zip(self._predictions, found, strict=True)]
        self._confidence.observe_many(confidences)

    def count_values(self, rows: int) -> None:
        """Count rows of a regression, which has no classes."""
        self._predictions[0] += rows

    def collect(self) -> Iterator[core.Metric]:
        """Put the counts into Prometheus' form; called on the thread that answers scrapes."""
        names = (metrics.MODEL, metrics.MODEL_VERSION)
        requests = core.CounterMetricFamily(
            metrics.REQUESTS, "Requests answered, by outcome.", labels=metrics.REQUEST_LABELS
        )
        for key, count in self._requests.copy().items():
            requests.add_metric((*self._own, *key), count)
        seconds = core.HistogramMetricFamily(
            metrics.REQUEST_SECONDS,
            "Seconds from a request's arrival to its answer.",
            labels=(*names, metrics.PROTOCOL),
        )
        for protocol, histogram in self._seconds.items():
            seconds.add_metric((*self._own, protocol), *histogram.export())
        predictions = core.CounterMetricFamily(
            metrics.PREDICTIONS, "Rows predicted, by label.", labels=(*names, "label")
        )
        for label, count in zip(self._labels, self._predictions, strict=True):
            predictions.add_metric((*self._own, label), count)
        confidence = core.HistogramMetricFamily(
            metrics.PREDICTION_CONFIDENCE, "Probability of the label that was answered.", labels=names
        )
        confidence.add_metric(self._own, *self._confidence.export())
        mismatch = core.CounterMetricFamily(
            metrics.FEATURE_MISMATCH, "Requests refused because of their features.", labels=names
        )
        mismatch.add_metric(self._own, self._mismatches)
        info = core.GaugeMetricFamily(
            metrics.MODEL_INFO, "The package that is served; always 1.", labels=(*names, "family", "digest")
        )
        info.add_metric(self._info, 1)
        yield from (requests, seconds, predictions, confidence, mismatch, info)
