"""What the registry counts of its own requests, for Prometheus on a port that no route reaches."""

import prometheus_client
from prometheus_client import CollectorRegistry

# From a cached read to an upload of minutes, in seconds.
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
# Of a request that no route took: the path itself would make a series of each forged one.
NO_ROUTE = "none"


class Telemetry:
    """The counters, and the registry in which other parts put theirs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = prometheus_client.Counter(
            "serin_registry_requests_total",
            "Requests by method, route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = prometheus_client.Histogram(
            "serin_registry_request_seconds",
            "Time from a request's headers to its answer's end.",
            ("method", "route"),
            registry=self.registry,
            buckets=_BUCKETS,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
