"""`POST /predict` for tensors of every kind, and rows and answers as tables."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from serin_services.package import manifest
from support import http_site

Tensor = manifest.Tensor
STEPS = (manifest.Feature(name="price"), manifest.Feature(name="volume", allow_nan=True))


def serve(predict: Any, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], max_rows: int = 1000, **fields: Any):
    document = http_site.make_document(inputs=inputs, outputs=outputs, **fields)
    return http_site.serve(http_site.make_model(document, predict, max_rows))


SERIES = (Tensor(name="series", dtype="float32", shape=(-1, 2, 2), features=STEPS),)
PAIR = (Tensor(name="image", dtype="uint8", shape=(-1, -1)), Tensor(name="shop", dtype="bool", shape=(-1,)))


@pytest.fixture(scope="module")
def series() -> Iterator[http_site.Served]:
    output = Tensor(name="steps", dtype="float32", shape=(-1, 3))
    with serve(lambda x: (x.sum(axis=(1, 2))[:, None] + [[1, 2, 3]],), SERIES, (output,), task="regression") as served:
        yield served


@pytest.fixture(scope="module")
def pair() -> Iterator[http_site.Served]:
    outputs = (Tensor(name="sum", dtype="int64", shape=(-1,)), Tensor(name="open", dtype="bool", shape=(-1,)))
    with serve(lambda image, shop: (image.sum(axis=1), ~shop), PAIR, outputs) as served:
        yield served


def test_a_row_is_one_element_of_the_batch(series: http_site.Served) -> None:
    row = [[1, 2], [3, 4.5]]
    bodies = [{"rows": [row]}, {"rows": [{"series": row}]}, {"rows": {"series": row}}]
    bodies.append({"rows": [row], "features": ["price", "volume"]})

    answers = [series.call("/predict", body).body for body in bodies]

    assert [answer["predictions"] for answer in answers] == [[{"value": [11.5, 12.5, 13.5]}]] * 4
    assert (answers[0]["model"], answers[0]["version"]) == ("waves", "2.0")


def test_several_inputs_are_an_object_and_several_outputs_too(pair: http_site.Served) -> None:
    answer = pair.call("/predict", {"rows": [{"image": [1, 255], "shop": True}, {"shop": 0.0, "image": [3.0, 4]}]})

    assert answer.body["predictions"] == [
        {"outputs": {"sum": 256, "open": False}},
        {"outputs": {"sum": 7, "open": True}},
    ]


def test_quantiles_are_answered_by_name() -> None:
    output = Tensor(name="q", dtype="float32", shape=(-1, 2, 2))
    extra = Tensor(name="scale", dtype="float32", shape=(-1,))
    with serve(lambda x: (x, x[:, 0, 0]), SERIES, (output, extra), task="quantile", quantiles=(0.1, 0.9)) as served:
        answer = served.call("/predict", {"rows": [[[1, 2], [3, 4]]]})

    assert answer.body["predictions"] == [{"quantiles": {"0.1": [1, 3], "0.9": [2, 4]}, "outputs": {"scale": 1}}]


SERIES_REFUSED = {
    "a step too few": ([[[1, 2]]], "ShapeMismatch", "series"),
    "lists of different lengths": ([[[1, 2], [3]]], "ShapeMismatch", "rows[0]"),
    "a second row of another shape": ([[[1, 2], [3, 4]], [[1, 2]]], "ShapeMismatch", "rows[1]"),
    "numbers for steps": ([[1, 2]], "MistypedFeature", "rows[0][0]"),
    "a text": ([[[1, "2"], [3, 4]]], "MistypedFeature", "rows[0][0][1]"),
    "nothing where a number must be": ([[[None, 2], [3, 4]]], "MissingValue", "series[0, 0].price"),
    "a number too large": ([[[1, 2], [1e39, 4]]], "NotFinite", "series[0, 1].price"),
    "another name": ([{"serie": [[1, 2], [3, 4]]}], "UnknownInput", "rows[0].serie"),
    "an empty object": ([{}], "MissingInput", "rows[0].series"),
    "no rows": ([], "RowCount", "rows"),
    "too many rows": ([[[1, 2], [3, 4]]] * 1001, "RowCount", "rows"),
}


@pytest.mark.parametrize(("rows", "reason", "field"), SERIES_REFUSED.values(), ids=SERIES_REFUSED)
def test_it_refuses_tensors(series: http_site.Served, rows: object, reason: str, field: str) -> None:
    answer = series.call("/predict", {"rows": rows})

    assert (answer.body["reason"], answer.body["field"]) == (reason, field)
    assert answer.status == (422 if reason == "RowCount" else 400)


BODIES_REFUSED = {
    "no JSON": (b"{", "InvalidRequest", "body"),
    "no rows": ({}, "InvalidRequest", "rows"),
    "another field": ({"rows": [], "x": 1}, "InvalidRequest", "x"),
    "nesting without end": (b'{"rows":' + b"[" * 100_000, "MistypedFeature", "rows[0][0][0]"),
    "features in another order": (
        {"rows": [[[1, 2], [3, 4]]], "features": ["volume", "price"]}, "MisorderedFeatures", "features[0]"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "reason", "field"), BODIES_REFUSED.values(), ids=BODIES_REFUSED)
def test_it_refuses_bodies(series: http_site.Served, body: object, reason: str, field: str) -> None:
    answer = series.call("/predict", body)

    assert (answer.status, answer.body["reason"], answer.body["field"]) == (400, reason, field)


FEATURES = (
    manifest.Feature(name="a", dtype="int64"),
    manifest.Feature(name="b", allow_nan=True),
    manifest.Feature(name="on", dtype="bool"),
)
CSV, ARROW, PARQUET = "text/csv", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
TABLE = {"on": [True, False, True], "a": [1, 2, 3], "b": [0.5, None, 4.0]}
ROWS = [[1, 0.5, True], [2, None, False], [3, 4.0, True]]


@pytest.fixture(scope="module")
def rows() -> Iterator[http_site.Served]:
    def predict(values: np.ndarray) -> tuple[np.ndarray, ...]:
        up = np.nan_to_num(values).sum(axis=1) / 10
        return (np.stack([1 - up, up], axis=1),)

    own = (Tensor(name="rows", dtype="float64", shape=(-1, 3), features=FEATURES),)
    output = (Tensor(name="probabilities", dtype="float64", shape=(-1, 2)),)
    with serve(predict, own, output, task="binary", classes=("down", "up")) as served:
        yield served


def to_csv(table: dict[str, list[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    return text.getvalue().encode()


def to_arrow(table: dict[str, list[Any]]) -> bytes:
    target = io.BytesIO()
    made = pa.table(table)
    with ipc.new_stream(target, made.schema) as stream:
        for batch in made.to_batches(max_chunksize=2):
            stream.write_batch(batch)
    return target.getvalue()


def to_parquet(table: dict[str, list[Any]]) -> bytes:
    target = io.BytesIO()
    parquet.write_table(pa.table(table), target, compression="zstd")
    return target.getvalue()


def from_csv(content: bytes) -> list[dict[str, Any]]:
    rows = csv.DictReader(io.StringIO(content.decode()))
    return [{name: value if name == "label" else float(value) for name, value in row.items()} for row in rows]


WRITE = {CSV: to_csv, ARROW: to_arrow, PARQUET: to_parquet}
READ = {
    CSV: from_csv,
    ARROW: lambda content: ipc.open_stream(content).read_all().to_pylist(),
    PARQUET: lambda content: parquet.read_table(io.BytesIO(content)).to_pylist(),
}


@pytest.mark.parametrize("given", WRITE)
@pytest.mark.parametrize("wanted", [None, *READ])
def test_a_table_is_answered_as_its_rows_are_in_json(rows: http_site.Served, given: str, wanted: str | None) -> None:
    """Another library writes the request and reads the answer."""
    in_json = rows.call("/predict", {"rows": ROWS}).body["predictions"]

    headers = {"accept": wanted} if wanted else {}
    answer = rows.call("/predict", WRITE[given](TABLE), content_type=given, **headers)

    assert (answer.status, answer.headers["content-type"]) == (200, wanted or given)
    assert READ[wanted or given](answer.content) == [
        {
            "label": row["label"],
            "confidence": row["confidence"],
            **{f"probability_{name}": value for name, value in row["probabilities"].items()},
        }
        for row in in_json
    ]


def test_a_table_may_be_answered_in_json(rows: http_site.Served) -> None:
    answer = rows.call("/predict", to_csv(TABLE), content_type=CSV, accept="application/json;q=0.9")

    assert answer.body["predictions"] == rows.call("/predict", {"rows": ROWS}).body["predictions"]


def test_a_large_table_is_read_too(rows: http_site.Served) -> None:
    table = {name: values * 333 for name, values in TABLE.items()}
    answers = [
        rows.call("/predict", write(table) + b"\n" * 70_000 * (name == CSV), content_type=name)
        for name, write in WRITE.items()
    ]

    assert [len(READ[name](answer.content)) for name, answer in zip(WRITE, answers, strict=True)] == [999] * 3


TABLES_REFUSED = {
    "a missing column": ({"a": [1], "b": [1.0]}, "MissingFeature", "columns.on"),
    "another column": ({**TABLE, "c": [1, 2, 3]}, "UnknownFeature", "columns.c"),
    "texts": ({**TABLE, "b": ["x", "y", "z"]}, "MistypedFeature", None),
    "nothing where a number must be": ({**TABLE, "a": [1, None, 2]}, "MissingValue", "rows[1].a"),
    "a fraction of a whole number": ({**TABLE, "a": [1, 2.5, 2]}, "MistypedFeature", "rows[1].a"),
    "no rows": ({"a": [], "b": [], "on": []}, None, None),
    "too many rows": ({name: values * 400 for name, values in TABLE.items()}, "RowCount", "rows"),
}  # fmt: skip


@pytest.mark.parametrize("given", WRITE)
@pytest.mark.parametrize(("table", "reason", "field"), TABLES_REFUSED.values(), ids=TABLES_REFUSED)
def test_it_refuses_tables(
    rows: http_site.Served, given: str, table: dict[str, list[Any]], reason: str | None, field: str | None
) -> None:
    answer = rows.call("/predict", WRITE[given](table), content_type=given)

    assert 400 <= answer.status < 500
    assert reason in {None, answer.body["reason"]}
    assert field in {None, answer.body["field"]}


CONTENTS = {
    "CSV with a field too few": (CSV, b"a,b,on\n1,2\n"),
    "CSV with an open quote": (CSV, b'a,b,on\n1,"2,1\n'),
    "CSV that is no UTF-8": (CSV, b"a,b,on\n\xff,2,1\n"),
    "nothing for CSV": (CSV, b""),
    "nothing for Arrow": (ARROW, b""),
    "an Arrow stream that ends": (ARROW, to_arrow(TABLE)[:200]),
    "bytes for Parquet": (PARQUET, b"PAR1" * 10),
    "a Parquet file that ends": (PARQUET, to_parquet(TABLE)[:100]),
    "a Parquet file with a hole": (PARQUET, to_parquet(TABLE)[:60] + b"\xff" * 40 + to_parquet(TABLE)[100:]),
    "JSON for CSV": (CSV, b'{"rows": []}'),
}


@pytest.mark.parametrize(("given", "content"), CONTENTS.values(), ids=CONTENTS)
def test_it_refuses_contents(rows: http_site.Served, given: str, content: bytes) -> None:
    answer = rows.call("/predict", content, content_type=given)

    assert answer.status == 400
    assert answer.body["reason"] in {"InvalidRequest", "FeatureCount", "UnknownFeature", "MissingFeature"}


def test_another_type_is_refused_with_those_that_are_read(rows: http_site.Served, series: http_site.Served) -> None:
    answer = rows.call("/predict", b"", content_type="application/xml")

    assert answer.status == 415
    assert answer.body["expected"] == f"application/json, {CSV}, {ARROW}, {PARQUET}"
    assert series.call("/predict", b"", content_type=CSV).body["expected"] == "application/json"


@pytest.mark.parametrize("given", ["application/json", "Application/JSON; charset=UTF-8", None])
def test_json_may_be_called_so_or_nothing(rows: http_site.Served, given: str | None) -> None:
    headers = {"content_type": given} if given else {}

    assert rows.call("/predict", {"rows": ROWS}, **headers).status == 200
