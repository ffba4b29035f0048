"""Rows and answers as tables: CSV (RFC 4180), Arrow IPC streams and Parquet files.

A column is a feature, by its name, in any order. Arrow and Parquet are read by arro3, which is imported with the first
such request: a pod that never gets one does without its memory.
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from serin_services.package import manifest
from serin_services.server import inference, schema
from serin_services.server.schema import Array, Refusal

CSV = b"text/csv"
ARROW = b"application/vnd.apache.arrow.stream"
PARQUET = b"application/vnd.apache.parquet"
FORMATS = (CSV, ARROW, PARQUET)
PARQUET_MAGIC = b"PAR1"

Column = Array | list[str]


def read(model: schema.Schema, content_type: bytes, body: bytes) -> Array:
    """Give the rows of a table.

    Raises:
        schema.Refusal: with the first thing that is wrong.
    """
    if content_type == CSV:
        return read_csv(model, body)
    reader = open_arrow(content_type, body)
    names = list(reader.schema.names)
    model.check_names(names, "columns")
    check_types(names, [reader.schema.field(index).type for index in range(len(names))])
    order = [names.index(name) for name in model.names]
    parts: list[Array] = []
    rows = 0
    for batch in batches(reader):
        rows += batch.num_rows
        if rows > model.max_rows:
            break
        parts.append(np.stack([numbers(batch.column(index)) for index in order], axis=1))
    model.check_count(rows, "rows")
    return model.fit(np.concatenate(parts) if len(parts) > 1 else parts[0])


def open_arrow(content_type: bytes, body: bytes) -> Any:  # noqa: ANN401 - the library is imported late
    """Open an Arrow stream or a Parquet file."""
    import arro3.io  # noqa: PLC0415 - see the module

    if content_type == ARROW:
        return guarded(lambda: arro3.io.read_ipc_stream(body), "an Arrow IPC stream")
    if not (body.startswith(PARQUET_MAGIC) and body.endswith(PARQUET_MAGIC) and len(body) > 2 * len(PARQUET_MAGIC)):
        raise not_a("a Parquet file", "no such file")
    return guarded(lambda: arro3.io.read_parquet(body), "a Parquet file")


def batches(reader: Iterable[Any]) -> Iterable[Any]:
    """Give the parts of a table one by one, since all of them may be many times as large as the body."""
    iterator = iter(reader)
    while (batch := guarded(lambda: next(iterator, None), "a whole table")) is not None:
        yield batch


def guarded(read_it: Callable[[], Any], expected: str) -> Any:  # noqa: ANN401 - of the library
    """Read what came from outside: the library raises plain exceptions, or panics, which are not even those."""
    try:
        return read_it()
    except Exception as error:
        raise not_a(expected, str(error)) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise not_a(expected, str(error)) from error
        raise


def not_a(expected: str, said: str) -> Refusal:
    """Refuse a body that is not of its type."""
    return Refusal("InvalidRequest", "body", expected, said[:200], mismatch=False)


def check_types(names: Sequence[str], types: Sequence[Any]) -> None:
    """Refuse columns of anything but numbers."""
    from arro3.core import DataType  # noqa: PLC0415 - see the module

    for name, found in zip(names, types, strict=True):
        numeric = DataType.is_integer(found) or DataType.is_floating(found) or DataType.is_boolean(found)
        if not (numeric or DataType.is_null(found)):
            raise Refusal("MistypedFeature", f"columns.{name}", "a column of numbers", str(found))


def numbers(column: Any) -> Array:  # noqa: ANN401 - the library is imported late
    """Give a column as numbers, NaN for what is missing."""
    if column.null_count:
        return np.array(column.to_pylist(), dtype="float64")
    values: Array = np.asarray(column.to_numpy())
    return values


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
    import arro3.io  # noqa: PLC0415 - see the module
    from arro3.core import Array as Arrow  # noqa: PLC0415
    from arro3.core import DataType, Table  # noqa: PLC0415

    made: dict[str, Any] = {
        name: Arrow(values, DataType.string()) if isinstance(values, list) else Arrow.from_numpy(values)
        for name, values in columns.items()
    }
    target = io.BytesIO()
    table = Table.from_pydict(made)
    if content_type == ARROW:
        arro3.io.write_ipc_stream(table, target)
    else:
        arro3.io.write_parquet(table, target)
    return target.getvalue()


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
        columns["label"] = [document.classes[index] for index in answer.chosen]
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
