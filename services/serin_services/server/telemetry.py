"""What a server counts: every series exists from the start, and a label's values are bounded."""

import dataclasses
from collections.abc import Sequence

import prometheus_client

from serin.api import metrics
from serin_services.package import manifest

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


@dataclasses.dataclass(frozen=True)
class Request:
    """How one request ended."""

    protocol: str
    outcome: str
    code: str
    seconds: float
    mismatch: bool = False


class Telemetry:
    """The metrics of one model version."""

    def __init__(self, document: manifest.Manifest, digest: str, registry: prometheus_client.CollectorRegistry) -> None:
        self.registry = registry
        own = {metrics.MODEL: document.model, metrics.MODEL_VERSION: document.version}
        names = (metrics.MODEL, metrics.MODEL_VERSION)
        self._own = tuple(own.values())
        self._requests = prometheus_client.Counter(
            metrics.REQUESTS, "Requests answered, by outcome.", metrics.REQUEST_LABELS, registry=registry
        )
        seconds = prometheus_client.Histogram(
            metrics.REQUEST_SECONDS,
            "Seconds from a request's arrival to its answer.",
            (*names, metrics.PROTOCOL),
            buckets=metrics.LATENCY_BUCKETS,
            registry=registry,
        )
        predictions = prometheus_client.Counter(
            metrics.PREDICTIONS, "Rows predicted, by label.", (*names, "label"), registry=registry
        )
        confidence = prometheus_client.Histogram(
            metrics.PREDICTION_CONFIDENCE,
            "Probability of the label that was answered.",
            names,
            buckets=metrics.CONFIDENCE_BUCKETS,
            registry=registry,
        )
        mismatch = prometheus_client.Counter(
            metrics.FEATURE_MISMATCH, "Requests refused because of their features.", names, registry=registry
        )
        info = prometheus_client.Gauge(
            metrics.MODEL_INFO, "The package that is served; always 1.", (*names, "family", "digest"), registry=registry
        )
        info.labels(*self._own, document.family, digest).set(1)
        self._ended = {(*key, code): self._requests.labels(*self._own, *key, code) for key, code in FIRST_CODES.items()}
        self._seconds = {protocol: seconds.labels(*self._own, protocol) for protocol in metrics.PROTOCOLS}
        labels = document.classes or (VALUE_LABEL,)
        self._predictions = [predictions.labels(*self._own, label) for label in labels]
        self._confidence = confidence.labels(*self._own)
        self._mismatch = mismatch.labels(*self._own)

    def count_request(self, request: Request) -> None:
        """Count one answered request."""
        key = (request.protocol, request.outcome, request.code)
        if (ended := self._ended.get(key)) is None:
            ended = self._ended[key] = self._requests.labels(*self._own, *key)
        ended.inc()
        self._seconds[request.protocol].observe(request.seconds)
        if request.mismatch:
            self._mismatch.inc()

    def count_predictions(self, classes: Sequence[int], confidences: Sequence[float]) -> None:
        """Count rows by the class that was answered, with its probability."""
        for chosen in classes:
            self._predictions[chosen].inc()
        for confidence in confidences:
            self._confidence.observe(confidence)

    def count_values(self, rows: int) -> None:
        """Count rows of a regression, which has no classes."""
        self._predictions[0].inc(rows)
