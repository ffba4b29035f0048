"""Predictions as Parquet: one file of bytes for each date, its columns straight from the requests' arrays."""

import collections
import datetime as dt
import importlib
import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from serin_services.package import manifest
from serin_services.server import tracing
from serin_services.server.predictions import records, sinks

# So many numbers make a row group: the library holds the interpreter while it writes one, 0.5 ms for this.
GROUP_VALUES = 50_000
DAY_SECONDS = 86_400

# Of the library, which is loaded with the sink.
Column = Any


class Part(NamedTuple):
    """Some rows of one record."""

    record: records.Record
    start: int
    end: int

    @property
    def rows(self) -> int:
        """How many they are."""
        return self.end - self.start


class TableEncoder:
    """Makes Parquet files of one model version's records."""

    def __init__(self, document: manifest.Manifest) -> None:
        self._arrow: Any = importlib.import_module("arro3.core")
        self._io: Any = importlib.import_module("arro3.io")
        self._document = document
        tensors = (*document.inputs, *document.outputs)
        width = sum(abs(int(np.prod(tensor.shape[1:]))) for tensor in tensors)
        self._group_rows = max(1, GROUP_VALUES // width)

    def encode(self, batch: Sequence[records.Record], rest: sinks.Rest) -> Iterator[sinks.Piece]:
        """Give the file of each date (UTC)."""
        days: dict[int, list[records.Record]] = collections.defaultdict(list)
        for record in batch:
            days[int(record.time // DAY_SECONDS)].append(record)
            rest()
        for day, chosen in days.items():
            date = dt.datetime.fromtimestamp(day * DAY_SECONDS, dt.UTC).date().isoformat()
            yield sinks.Piece(self._make_file(chosen, rest), sum(record.rows for record in chosen), date)

    def _make_file(self, batch: Sequence[records.Record], rest: sinks.Rest) -> bytes:
        groups = self._make_groups(batch, rest)
        first = next(groups)
        file = io.BytesIO()
        self._io.write_parquet(
            # Asked for one group after the other, so that between them requests have the interpreter.
            self._arrow.RecordBatchReader.from_batches(first.schema, itertools.chain([first], groups)),
            file,
            compression="snappy",
            # A dictionary of numbers that rarely repeat costs ten times what the writing does.
            dictionary_enabled=False,
            max_row_group_size=self._group_rows,
            key_value_metadata={"serin.model": self._document.model, "serin.version": self._document.version},
        )
        return file.getvalue()

    def _make_groups(self, batch: Sequence[records.Record], rest: sinks.Rest) -> Iterator[Any]:
        for parts in cut(batch, self._group_rows):
            yield self._make_group(parts, rest)
            rest()

    def _make_group(self, parts: Sequence[Part], rest: sinks.Rest) -> Any:  # noqa: ANN401 - of the library
        document = self._document
        columns = self._describe(parts, rest)
        if document.features:
            rows = np.concatenate([part.record.inputs[0][part.start : part.end] for part in parts])
            features = [self._arrow.Array.from_numpy(column) for column in np.ascontiguousarray(rows.T)]
            rest()
            columns["features"] = self._struct(document.feature_names, features)
        else:
            columns["inputs"] = self._tensors(
                document.inputs, [[array[part.start : part.end] for array in part.record.inputs] for part in parts]
            )
        rest()
        columns["outputs"] = self._tensors(
            document.outputs, [[array[part.start : part.end] for array in part.record.outputs] for part in parts]
        )
        rest()
        return self._arrow.RecordBatch.from_pydict(columns)

    def _describe(self, parts: Sequence[Part], rest: sinks.Rest) -> dict[str, Column]:
        """Make the columns that every model has."""
        string, number = self._arrow.DataType.string(), self._arrow.DataType.float64()
        stamp = self._arrow.DataType.timestamp("us", tz="UTC")
        values: dict[str, list[Any]] = collections.defaultdict(list)
        for part in parts:
            for name, found in describe(part, self._document.classes).items():
                values[name] += found
            rest()
        types = {"seconds": number, "confidence": number}
        columns: dict[str, Column] = {}
        for name in [name for name in values if name not in {"row", "time"}]:
            columns[name] = self._arrow.Array(values[name], type=types.get(name, string))
            rest()
        columns["row"] = self._arrow.Array.from_numpy(np.array(values["row"], dtype=np.int32))
        columns["time"] = self._arrow.Array.from_numpy(np.array(values["time"], dtype=np.int64)).cast(stamp)
        return columns

    def _tensors(self, tensors: Sequence[manifest.Tensor], parts: Sequence[Sequence[records.Array]]) -> Column:
        """Make one column of several tensors, each a list in lists for every row."""
        return self._struct(
            [tensor.name for tensor in tensors],
            [self._nest([part[index] for part in parts]) for index in range(len(tensors))],
        )

    def _nest(self, arrays: Sequence[records.Array]) -> Column:
        """Put arrays under each other, rows of another length included."""
        if len({array.shape[1:] for array in arrays}) == 1:
            arrays = [np.concatenate(arrays)]
        column = self._arrow.Array.from_numpy(np.concatenate([array.reshape(-1) for array in arrays]))
        for axis in range(arrays[0].ndim - 1, 0, -1):
            lengths = np.concatenate([np.full(np.prod(array.shape[:axis]), array.shape[axis]) for array in arrays])
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
            column = self._arrow.list_array(self._arrow.Array.from_numpy(offsets), column)
        return column

    def _struct(self, names: Sequence[str], columns: Sequence[Column]) -> Column:
        fields = [self._arrow.Field(name, column.type) for name, column in zip(names, columns, strict=True)]
        return self._arrow.struct_array(columns, fields=fields)


def describe(part: Part, classes: Sequence[str]) -> dict[str, list[Any]]:
    """Give what every model's predictions have, row by row."""
    record = part.record
    request_id, trace = record.id.decode(errors="replace"), tracing.read(record.headers)
    nothing = [None] * part.rows
    return {
        "id": [f"{request_id}/{row}" for row in range(part.start, part.end)],
        "request_id": [request_id] * part.rows,
        "row": list(range(part.start, part.end)),
        "time": [int(record.time * 1e6)] * part.rows,
        "protocol": [record.protocol] * part.rows,
        "seconds": [record.seconds] * part.rows,
        "label": [classes[chosen] for chosen in record.chosen[part.start : part.end]] or nothing,
        "confidence": list(record.confidences[part.start : part.end]) or nothing,
        "traceparent": [trace.parent if trace else None] * part.rows,
        "tracestate": [trace.state or None if trace else None] * part.rows,
    }


def cut(batch: Sequence[records.Record], size: int) -> Iterator[list[Part]]:
    """Cut a batch into groups of so many rows, the last of them smaller; a large request lies in several."""
    parts: list[Part] = []
    room = size
    for record in batch:
        start = 0
        while start < record.rows:
            end = min(record.rows, start + room)
            parts.append(Part(record, start, end))
            room -= end - start
            start = end
            if not room:
                yield parts
                parts, room = [], size
    if parts:
        yield parts
