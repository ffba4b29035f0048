"""Reads Arrow streams and Parquet files in a process of its own: `python -m serin_services.server.http.arrow_process`.

The library ends its process when a file claims more memory than there is, which any client could make a server do; here
it ends only this one. Each request on the standard input is a line of JSON and the file's bytes; each answer on the
standard output is a line of JSON and, where the table has the wanted columns, its numbers.
"""

import io
import json
import resource
import sys
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

import arro3.io
import numpy as np
from arro3.core import DataType

# Several times what the largest request needs.
MEMORY_BYTES = 1 << 30
PARQUET_MAGIC = b"PAR1"


class Wrong(Exception):  # noqa: N818 - the table is at fault
    """A table that cannot be read; the fields are those of a refusal."""

    def __init__(self, reason: str, field: str, expected: str, got: str) -> None:
        super().__init__(expected)
        self.fields = [reason, field, expected, got[:200]]


def main() -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        asked = json.loads(line)
        body = requests.read(asked["size"])
        try:
            write(answers, *read(asked["format"], body, asked["columns"], asked["max_rows"]))
        except Wrong as error:
            send(answers, {"wrong": error.fields})
        except BaseException as error:  # noqa: BLE001 - the library's panics are no plain exceptions
            send(answers, {"wrong": ["InvalidRequest", "body", f"a table as {asked['format']}", str(error)[:200]]})


def read(form: str, body: bytes, wanted: Sequence[str], max_rows: int) -> tuple[list[str], list[Any]]:
    """Give the columns' names and, where they are the wanted ones in any order, the numbers of each part."""
    if form == "parquet" and not (body.startswith(PARQUET_MAGIC) and body.endswith(PARQUET_MAGIC)):
        raise Wrong("InvalidRequest", "body", "a Parquet file", "another thing")
    open_table = arro3.io.read_parquet if form == "parquet" else arro3.io.read_ipc_stream
    reader = open_table(io.BytesIO(body) if form == "parquet" else body)
    names = list(reader.schema.names)
    if sorted(names) != sorted(wanted):
        return names, []
    for index, name in enumerate(names):
        check_type(name, reader.schema.field(index).type)
    return names, list(parts(reader, [names.index(name) for name in wanted], max_rows))


def check_type(name: str, found: Any) -> None:  # noqa: ANN401 - of the library
    """Refuse a column of anything but numbers."""
    numeric = DataType.is_integer(found) or DataType.is_floating(found) or DataType.is_boolean(found)
    if not (numeric or DataType.is_null(found)):
        raise Wrong("MistypedFeature", f"columns.{name}", "a column of numbers", str(found))


def parts(reader: Iterable[Any], order: Sequence[int], max_rows: int) -> Iterable[Any]:
    """Give the numbers of a table, part by part, up to the first row that is too many."""
    rows = 0
    for batch in reader:
        rows += batch.num_rows
        yield np.stack([numbers(batch.column(index)) for index in order], axis=1, dtype="<f8", casting="unsafe")
        if rows > max_rows:
            return


def numbers(column: Any) -> Any:  # noqa: ANN401 - of the library
    """Give a column as numbers, NaN for what is missing."""
    return np.array(column.to_pylist(), dtype="<f8") if column.null_count else np.asarray(column.to_numpy())


def write(answers: BinaryIO, names: list[str], found: list[Any]) -> None:
    """Answer with the columns' names and the numbers."""
    send(answers, {"columns": names, "rows": sum(map(len, found))}, *(part.tobytes() for part in found))


def send(answers: BinaryIO, line: dict[str, Any], *parts: bytes) -> None:
    """Write one answer."""
    answers.write(json.dumps(line).encode() + b"\n")
    for part in parts:
        answers.write(part)
    answers.flush()


if __name__ == "__main__":
    main()
