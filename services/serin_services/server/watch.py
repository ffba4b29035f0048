"""What looks at requests besides the metrics: the prediction log and the tracer, where either is wanted."""

import time
from collections.abc import Sequence
from typing import Protocol

import prometheus_client

from serin_services.package import manifest
from serin_services.server import settings, tracing
from serin_services.server.predictions import addresses, counters, records, writer


class Answered(Protocol):
    """What is logged of an answer; see `inference.Answer`."""

    @property
    def outputs(self) -> tuple[records.Array, ...]:
        """One array for each output."""
        ...

    def listed(self) -> tuple[Sequence[int], Sequence[float]]:
        """The number of each row's class with its probability, for a classification."""
        ...


class Watch:
    """Sees how each request ended; there is no watch at all where neither a log nor a tracer is configured."""

    def __init__(self, log: writer.PredictionLog | None, tracer: tracing.Tracer | None) -> None:
        self._log = log
        self._tracer = tracer

    def see(
        self,
        protocol: str,
        request_id: bytes | str,
        inputs: tuple[records.Array, ...],
        answer: Answered,
        seconds: float,
        headers: records.Headers,
    ) -> str | None:
        """Log and trace one answer, at once; gives what to answer as `traceresponse`, if there is a tracer.

        Nobody may write to the arrays or the headers afterwards: they are put into words later, on another thread.
        """
        now = time.time()
        if isinstance(request_id, str):
            request_id = request_id.encode()
        if self._log is not None:
            chosen, confidences = answer.listed()
            self._log.offer(
                records.Record(
                    request_id,
                    protocol,
                    now,
                    seconds,
                    inputs,
                    answer.outputs,
                    chosen,
                    confidences,
                    headers,
                )
            )
        if self._tracer is None:
            return None
        return self._tracer.trace(tracing.Request(protocol, request_id, seconds, headers, len(inputs[0])), now)

    def miss(self, request: tracing.Request) -> str | None:
        """Trace a request that got no prediction; gives what to answer as `traceresponse`, if there is a tracer."""
        return None if self._tracer is None else self._tracer.trace(request, time.time())

    def close(self, seconds: float) -> None:
        """Write and send what waits, for so many seconds at most."""
        until = time.monotonic() + seconds
        if self._log is not None:
            self._log.close(seconds)
        if self._tracer is not None:
            self._tracer.close(max(0.0, until - time.monotonic()))


def make(
    options: settings.Settings, document: manifest.Manifest, registry: prometheus_client.CollectorRegistry
) -> Watch | None:
    """Make what the settings and OpenTelemetry's variables ask for, or nothing.

    Raises:
        ValueError: the log's address cannot be read or opened.
    """
    log = make_log(options, document)
    if log is not None:
        registry.register(counters.Collector(log, document))
    tracer = tracing.make(document)
    return Watch(log, tracer) if log is not None or tracer is not None else None


def make_log(options: settings.Settings, document: manifest.Manifest) -> writer.PredictionLog | None:
    """Open the log's sink and start its writer."""
    if not options.prediction_log or not options.prediction_log_share:
        return None
    try:
        sink = addresses.open_sink(options.prediction_log, document)
    except ValueError as error:
        raise ValueError(f"SERIN_PREDICTION_LOG: {error}") from error
    return writer.PredictionLog(sink, options.prediction_log_share, options.prediction_log_bytes)
