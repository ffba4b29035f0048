"""Rows and answers as tables: CSV (RFC 4180), Arrow IPC streams and Parquet files.

A column is a feature, by its name, in any order.
"""

import csv
import io
from collections.abc import Sequence

import numpy as np

from serin_services.package import manifest
from serin_services.server import inference, schema
from serin_services.server.http import arrow
from serin_services.server.schema import Array, Refusal

CSV = b"text/csv"
ARROW = b"application/vnd.apache.arrow.stream"
PARQUET = b"application/vnd.apache.parquet"
FORMATS = (CSV, ARROW, PARQUET)
BINARY_FORMATS = {ARROW: "arrow", PARQUET: "parquet"}
# Beyond, CSV is read in a thread.
QUICK_BYTES = 65536

Column = Array | list[str]


class Reader:
    """Reads the tables of one model."""

    def __init__(self, model: schema.Schema) -> None:
        self._model = model
        self._arrow = arrow.Reader()

    def is_slow(self, content_type: bytes, body: bytes) -> bool:
        """Whether others should not wait for it."""
        return content_type in BINARY_FORMATS or len(body) > QUICK_BYTES

    def read(self, content_type: bytes, body: bytes) -> Array:
        """Give the rows of a table.

        Raises:
            schema.Refusal: with the first thing that is wrong.
        """
        if content_type == CSV:
            return read_csv(self._model, body)
        return self._arrow.read(self._model, BINARY_FORMATS[content_type], body)


def not_a(expected: str, said: str) -> Refusal:
    """Refuse a body that is not of its type."""
    return Refusal("InvalidRequest", "body", expected, said[:200], mismatch=False)


def read_csv(model: schema.Schema, body: bytes) -> Array:
    """Read CSV with a header line; an empty field is a missing value."""
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        header = next(lines, [])
        model.check_names(header, "columns")
        order = [header.index(name) for name in model.names]
        rows: list[list[float | None]] = []
        for line in lines:
            if line:
                rows.append(read_line(model, line, order, len(rows)))
            if len(rows) > model.max_rows:
                break
    except (UnicodeDecodeError, csv.Error) as error:
        raise not_a("CSV in UTF-8", str(error)) from error
    model.check_count(len(rows), "rows")
    return model.fit(np.array(rows, dtype="float64"))


def read_line(model: schema.Schema, line: list[str], order: list[int], row: int) -> list[float | None]:
    """Read the fields of one row, in the model's order."""
    if len(line) != len(order):
        raise Refusal("FeatureCount", f"rows[{row}]", f"{len(order)} fields, as in the header", str(len(line)))
    try:
        return [float(text) if (text := line[place]) else None for place in order]
    except ValueError:
        return [read_field(model, line[place], row, column) for column, place in enumerate(order)]


def read_field(model: schema.Schema, text: str, row: int, column: int) -> float | None:
    """Read one field of a row in which not every field is a number."""
    if not text:
        return None
    if model.features[column].dtype == "bool" and text.lower() in {"true", "false"}:
        return float(text.lower() == "true")
    try:
        return float(text)
    except ValueError:
        expected = model.expects(column)
        raise Refusal("MistypedFeature", model.field(row, column), expected, repr(text[:40])) from None


def write(content_type: bytes, columns: dict[str, Column]) -> bytes:
    """Write an answer as a table."""
    if content_type == CSV:
        return write_csv(columns)
    return arrow.write(columns, BINARY_FORMATS[content_type])


def write_csv(columns: dict[str, Column]) -> bytes:
    """Write CSV with a header line; numbers read back as the same."""
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow(columns)
    values = [column if isinstance(column, list) else column.tolist() for column in columns.values()]
    writer.writerows(zip(*values, strict=True))
    return target.getvalue().encode()


def make_columns(document: manifest.Manifest, answer: inference.Answer) -> dict[str, Column]:
    """Give an answer by column: what each row's object in JSON has, with one column for each number in it."""
    first = answer.outputs[0]
    columns: dict[str, Column] = {}
    if document.classes:
        columns["label"] = [document.classes[index] for index in answer.listed()[0]]
        columns["confidence"] = np.array(answer.confidences, dtype=first.dtype)
        columns |= spread("probability", first, document.classes)
    elif document.quantiles:
        columns |= spread("quantile", first, [str(quantile) for quantile in document.quantiles])
    elif document.task == "regression":
        columns |= spread("value", first, None)
    others = zip(document.outputs, answer.outputs, strict=True)
    for index, (tensor, values) in enumerate(others):
        if index or document.task == "tensors":
            columns |= spread(tensor.name, values, None)
    return columns


def spread(name: str, values: Array, names: Sequence[str] | None) -> dict[str, Column]:
    """Make a column of each position behind the rows."""
    if values.ndim == 1:
        return {name: np.ascontiguousarray(values)}
    flat = values.reshape(len(values), -1)
    ends = names if names is not None and len(names) == flat.shape[1] else [str(i) for i in range(flat.shape[1])]
    return {f"{name}_{end}": np.ascontiguousarray(flat[:, place]) for place, end in enumerate(ends)}


def media_types(header: bytes) -> list[bytes]:
    """Give the media types of a header, without their parameters, in their order."""
    return [part.split(b";")[0].strip().lower() for part in header.split(b",")]
