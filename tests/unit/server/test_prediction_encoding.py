"""Whatever a model got and gave, its lines and its Parquet files say exactly that."""

import io
import json
import math
from typing import Any, get_args

import numpy as np
import pyarrow.parquet
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serin_services.package import manifest
from serin_services.server.predictions import documents, lines, records, tables
from support import collectors

TYPES = sorted(get_args(manifest.TensorType))
WORDS = {"Infinity": math.inf, "-Infinity": -math.inf, None: math.nan}


def nothing() -> None:
    """Rest."""


@st.composite
def batches(draw: st.DrawFn) -> tuple[manifest.Manifest, list[records.Record]]:
    """A model of one input and one output of any type and rank, and some requests; free axes differ between them."""
    kinds = [draw(st.sampled_from(TYPES)) for _ in range(2)]
    shapes = [draw(st.lists(st.sampled_from([-1, 1, 2]), max_size=2)) for _ in range(2)]
    inputs, outputs = (
        manifest.Tensor(name=name, dtype=kind, shape=(-1, *shape))
        for name, kind, shape in zip(("x", "y"), kinds, shapes, strict=True)
    )
    document = manifest.Manifest(
        model="any",
        version="1",
        family="xgboost",
        task="tensors",
        inputs=(inputs,),
        outputs=(outputs,),
        files=collectors.FILES,
    )
    offered = []
    for number in range(draw(st.integers(1, 3))):
        rows = draw(st.integers(1, 3))
        x, y = (
            draw(
                arrays.arrays(
                    tensor.dtype, (rows, *(draw(st.integers(1, 3)) if n < 0 else n for n in tensor.shape[1:]))
                )
            )
            for tensor in (inputs, outputs)
        )
        offered.append(records.Record(f"r-{number}".encode(), "http", collectors.NOON, 0.5, (x,), (y,)))
    return document, offered


def restore(value: Any, dtype: np.dtype[Any]) -> records.Array:
    """Read what JSON had to name."""
    flat = np.array(value, dtype=object)
    flat = np.array(
        [WORDS.get(each, each) if dtype.kind == "f" else each for each in flat.reshape(-1)], dtype=object
    ).reshape(flat.shape)
    return flat.astype(dtype)


def same(found: records.Array, sent: records.Array) -> bool:
    return found.shape == sent.shape and np.array_equal(found, sent, equal_nan=sent.dtype.kind == "f")


@settings(max_examples=60, deadline=None)
@given(batches())
def test_lines_and_files_give_back_every_value(batch: tuple[manifest.Manifest, list[records.Record]]) -> None:
    document, offered = batch
    sent = [(record, row) for record in offered for row in range(record.rows)]

    text = b"".join(
        piece.payload for piece in lines.LineEncoder(documents.Describer(document)).encode(offered, nothing)
    )
    told = [json.loads(line) for line in text.splitlines()]
    (file,) = tables.TableEncoder(document).encode(offered, nothing)
    stored = pyarrow.parquet.read_table(io.BytesIO(file.payload)).to_pylist()

    assert file.rows == len(stored) == len(told) == len(sent)
    for line, stored_row, (record, row) in zip(told, stored, sent, strict=True):
        assert line["id"] == stored_row["id"] == f"{record.id.decode()}/{row}"
        for name, field, array in (("x", "inputs", record.inputs[0]), ("y", "outputs", record.outputs[0])):
            assert same(restore(line[field][name], array.dtype), array[row])
            assert same(np.array(stored_row[field][name], dtype=array.dtype), array[row])


@given(sizes=st.lists(st.integers(1, 20), max_size=12), group=st.integers(1, 9))
def test_groups_hold_every_row_once_and_in_order(sizes: list[int], group: int) -> None:
    offered = [collectors.record(f"r-{number}", rows) for number, rows in enumerate(sizes)]

    groups = list(tables.cut(offered, group))

    cut = [(part.record.id, row) for parts in groups for part in parts for row in range(part.start, part.end)]
    assert cut == [(record.id, row) for record in offered for row in range(record.rows)]
    assert all(sum(part.rows for part in parts) == group for parts in groups[:-1])
