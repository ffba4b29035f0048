"""The log's counts as metrics, read from the log when Prometheus asks: a request pays nothing for them."""

from collections.abc import Iterator

from prometheus_client import core, registry

from serin.api import metrics
from serin_services.package import manifest
from serin_services.server.predictions import writer

HELP = {
    metrics.PREDICTION_LOG_RECORDS: "Rows chosen for the prediction log.",
    metrics.PREDICTION_LOG_DROPPED: "Rows dropped because the log's sink was slow.",
    metrics.PREDICTION_LOG_WRITTEN: "Rows that the log's sink took.",
    metrics.PREDICTION_LOG_FAILED: "Rows given up on because the log's sink did not take them.",
}


class Collector(registry.Collector):
    """Exports the counts of one version's log."""

    def __init__(self, log: writer.PredictionLog, document: manifest.Manifest) -> None:
        self._log = log
        self._own = {metrics.MODEL: document.model, metrics.MODEL_VERSION: document.version}

    def collect(self) -> Iterator[core.Metric]:
        """Give the four counters."""
        counts = self._log.counts
        values = (counts.records, counts.dropped, counts.written, counts.failed)
        for (name, text), value in zip(HELP.items(), values, strict=True):
            family = core.CounterMetricFamily(name, text, labels=list(self._own))
            family.add_metric(list(self._own.values()), value)
            yield family
