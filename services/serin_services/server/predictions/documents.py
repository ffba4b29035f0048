"""Predictions in words: one JSON document for each row, as the log's lines and events carry it."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from serin_services.package import manifest
from serin_services.server import tracing
from serin_services.server.predictions import records, sinks

# So many rows of a large request are taken out of their arrays at once.
SLICE_ROWS = 64


class Prediction(msgspec.Struct, omit_defaults=True, gc=False):
    """One row's prediction; `id` is its request's id and the row's number, and what an outcome is joined by."""

    id: str
    request_id: str
    row: int
    time: dt.datetime
    model: str
    version: str
    protocol: str
    seconds: float
    outputs: dict[str, Any]
    features: dict[str, Any] | None = None
    inputs: dict[str, Any] | None = None
    label: str | None = None
    confidence: float | None = None
    traceparent: str | None = None
    tracestate: str | None = None


class Describer:
    """Describes the records of one model version."""

    def __init__(self, document: manifest.Manifest) -> None:
        self.manifest = document
        self._features = document.feature_names if document.features else []
        self._inputs = [tensor.name for tensor in document.inputs]
        self._outputs = [tensor.name for tensor in document.outputs]

    def describe(self, batch: Sequence[records.Record], rest: sinks.Rest) -> Iterator[Prediction]:
        """Give each row's prediction, in order."""
        for record in batch:
            for start in range(0, record.rows, SLICE_ROWS):
                for prediction in self._describe_rows(record, start, min(start + SLICE_ROWS, record.rows)):
                    yield prediction
                    rest()

    def _describe_rows(self, record: records.Record, start: int, end: int) -> Iterator[Prediction]:
        inputs = [records.plain(array[start:end]) for array in record.inputs]
        outputs = [records.plain(array[start:end]) for array in record.outputs]
        request_id = record.id.decode(errors="replace")
        moment = dt.datetime.fromtimestamp(record.time, dt.UTC)
        trace = tracing.read(record.headers)
        for row in range(start, end):
            at = row - start
            prediction = Prediction(
                id=f"{request_id}/{row}",
                request_id=request_id,
                row=row,
                time=moment,
                model=self.manifest.model,
                version=self.manifest.version,
                protocol=record.protocol,
                seconds=record.seconds,
                outputs={name: values[at] for name, values in zip(self._outputs, outputs, strict=True)},
            )
            if self._features:
                prediction.features = dict(zip(self._features, inputs[0][at], strict=True))
            else:
                prediction.inputs = {name: values[at] for name, values in zip(self._inputs, inputs, strict=True)}
            if record.chosen:
                prediction.label = self.manifest.classes[record.chosen[row]]
                prediction.confidence = record.confidences[row]
            if trace:
                prediction.traceparent, prediction.tracestate = trace.parent, trace.state or None
            yield prediction
