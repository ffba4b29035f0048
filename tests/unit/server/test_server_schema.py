"""Rows that a model takes, and why others are refused, whichever protocol they came by."""

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from serin_services.package import manifest
from serin_services.server import datatypes, rows, schema, signature, tensors
from serin_services.server.oip import open_inference_pb2 as oip
from support import packages

SIGNATURE = signature.Signature(
    manifest.Manifest(
        model="momentum",
        version="1",
        family="xgboost",
        task="regression",
        inputs=[manifest.Tensor(name="rows", dtype="float32", shape=(-1, 4), features=packages.FEATURES)],
        outputs=[manifest.Tensor(name="value", dtype="float32", shape=(-1,))],
        files=[manifest.File(path="m", role="artifact", size=1, sha256="0" * 64)],
    )
)
MODEL = schema.make_schema(packages.FEATURES, "float32")
FLAGGED = schema.make_schema((manifest.Feature(name="on", dtype="bool"), manifest.Feature(name="size")), "float64")
SINGLE = schema.make_schema((manifest.Feature(name="only"),), "float32")
GOOD = [30, 1000.5, 0.25, 4]

numbers = st.floats(-(2.0**90), 2.0**90, width=32)
good_rows = st.lists(
    st.tuples(st.integers(-(2**23), 2**23), numbers, numbers | st.none(), numbers), min_size=1, max_size=8
)


def read(body: object, model: schema.Schema = MODEL) -> schema.Array:
    return rows.Reader(model).read(body if isinstance(body, bytes) else json.dumps(body).encode())


def named(row: object) -> dict[str, object]:
    return dict(zip(packages.NAMES, row, strict=True))


@given(good_rows, st.randoms())
def test_rows_by_name_in_any_order_are_the_rows_in_order(given_rows: list[tuple[float, ...]], chance: object) -> None:
    shuffled = []
    for row in given_rows:
        items = list(named(row).items())
        chance.shuffle(items)
        shuffled.append(dict(items))

    in_order = read({"rows": [list(row) for row in given_rows]})

    np.testing.assert_array_equal(read({"rows": shuffled}), in_order)
    assert in_order.shape == (len(given_rows), 4)
    assert in_order.dtype == np.float32


@given(good_rows)
def test_every_way_of_sending_rows_by_grpc_gives_the_rows_of_http(given_rows: list[tuple[float, ...]]) -> None:
    values = read({"rows": [list(row) for row in given_rows]})

    for request in (typed(values), raw(values), by_feature(values)):
        np.testing.assert_array_equal(tensors.read_inputs(SIGNATURE, request)[0], values)


def typed(values: schema.Array) -> oip.ModelInferRequest:
    request = oip.ModelInferRequest()
    tensor = request.inputs.add(name="rows", datatype="FP32", shape=values.shape)
    tensor.contents.fp32_contents.extend(values.reshape(-1).tolist())
    return request


def raw(values: schema.Array) -> oip.ModelInferRequest:
    request = oip.ModelInferRequest(raw_input_contents=[values.tobytes()])
    request.inputs.add(name="rows", datatype="FP32", shape=values.shape)
    return request


def by_feature(values: schema.Array) -> oip.ModelInferRequest:
    request = oip.ModelInferRequest()
    for column in (2, 0, 3, 1):
        tensor = request.inputs.add(name=packages.NAMES[column], datatype="FP64", shape=[len(values)])
        tensor.contents.fp64_contents.extend(values[:, column].tolist())
    return request


ACCEPTED = {
    "one row in a list": {"rows": [GOOD]},
    "one row alone": {"rows": GOOD},
    "one row by name alone": {"rows": named(GOOD)},
    "rows of both kinds": {"rows": [GOOD, named(GOOD)]},
    "no value where that is allowed": {"rows": [30, 1000.5, None, 4]},
    "feature names in order": {"rows": [GOOD], "features": list(packages.NAMES)},
    "a whole number written with a point": {"rows": [[30.0, 1, 2, 3]]},
}


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED)
def test_it_takes(body: object) -> None:
    assert read(body).shape[1] == 4


REFUSED = {
    "a feature too few": ({"rows": [GOOD[:3]]}, "FeatureCount", "rows[0]", "4 features", "3"),
    "a feature too many": ({"rows": [GOOD, [*GOOD, 1]]}, "FeatureCount", "rows[1]", "4 features", "5"),
    "a missing name": (
        {"rows": [{"age": 1, "income": 2, "rate": 3}]},
        "MissingFeature",
        "rows[0].visits",
        "all 4",
        "'visits'",
    ),
    "an unknown name": (
        {"rows": [named(GOOD) | {"height": 1}]},
        "UnknownFeature",
        "rows[0].height",
        "one of the 4 features",
        "'height'",
    ),
    "a misspelt name": (
        {"rows": [{"Age": 1, "income": 2, "rate": 3, "visits": 4}]},
        "UnknownFeature",
        "rows[0].Age",
        "one of the",
        "'age' is missing",
    ),
    "names in another order": (
        {"rows": [GOOD], "features": ["income", "age", "rate", "visits"]},
        "MisorderedFeatures",
        "features[0]",
        "'age'",
        "'income'",
    ),
    "a name twice": (
        {"rows": [GOOD], "features": [*packages.NAMES, "age"]},
        "DoubledFeature",
        "features",
        "each of the 4",
        "5 names",
    ),
    "a text": (
        {"rows": [[30, "much", 1, 1]]},
        "MistypedFeature",
        "rows[0].income",
        "a number in EUR",
        'a string "much"',
    ),
    "a boolean for a number": (
        {"rows": [[30, True, 1, 1]]},
        "MistypedFeature",
        "rows[0].income",
        "a number",
        "a boolean true",
    ),
    "a list for a number": ({"rows": [[30, [1], 1, 1]]}, "MistypedFeature", "rows[0].income", "a number", "a list [1]"),
    "a fraction of a whole number": (
        {"rows": [GOOD, [30.5, 1, 1, 1]]},
        "MistypedFeature",
        "rows[1].age",
        "a whole number in years",
        "30.5",
    ),
    "no value where one must be": (
        {"rows": [[None, 1, 1, 1]]},
        "MissingValue",
        "rows[0].age",
        "a whole number",
        "no value",
    ),
    "a number too large": (
        {"rows": [[1, 1e39, 1, 1]]},
        "NotFinite",
        "rows[0].income",
        "float32",
        "infinity or too large",
    ),
    "a row that is none": (
        {"rows": [GOOD, "row"]},
        "MistypedFeature",
        "rows[1]",
        "an object by feature name",
        'a string "row"',
    ),
    "a row of rows": ({"rows": [[GOOD]]}, "FeatureCount", "rows[0]", "4 features", "1"),
    "no rows": ({"rows": []}, "RowCount", "rows", "1 to 100000 rows", "0"),
    "too many rows": ({"rows": [GOOD] * 100_001}, "RowCount", "rows", "1 to 100000 rows", "100001"),
    "rows that are a number": ({"rows": 3}, "InvalidRequest", "rows", "a list of rows", "a number 3"),
    "no field rows": ({}, "InvalidRequest", "rows", "an object", "no such field"),
    "another field": ({"rows": [GOOD], "instances": []}, "InvalidRequest", "instances", "`rows`", "an unknown field"),
    "features that are numbers": (
        {"rows": [GOOD], "features": [1]},
        "InvalidRequest",
        "features",
        "a list of",
        "a list [1]",
    ),
    "a list": ([GOOD], "InvalidRequest", "body", 'an object {"rows"', "a list"),
    "nothing": (b"", "InvalidRequest", "body", "JSON", "truncated"),
    "no JSON": (b"rows=1", "InvalidRequest", "body", "JSON", "malformed"),
    "NaN, which JSON lacks": (b'{"rows": [[NaN, 1, 1, 1]]}', "InvalidRequest", "body", "JSON", "malformed"),
    "nesting without end": (b"[" * 100_000, "InvalidRequest", "body", "JSON", "recursion"),
    "rows nested without end": (b'{"rows":' + b"[" * 100_000, "InvalidRequest", "body", "JSON", ""),
    "a number of 400 digits": (
        {"rows": [[30, 10**399, 1, 1]]},
        "InvalidRequest",
        "body",
        "rows of numbers",
        "out of range",
    ),
    "rows that are a long number": ({"rows": 10**30}, "InvalidRequest", "rows", "a list of rows", "a number 1000"),
    "no UTF-8": (b'{"rows": [{"\xff": 1}]}', "InvalidRequest", "body", "JSON", "utf-8"),
}


@pytest.mark.parametrize(("body", "reason", "field", "expected", "got"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(body: object, reason: str, field: str, expected: str, got: str) -> None:
    with pytest.raises(schema.Refusal) as caught:
        read(body)

    refusal = caught.value
    assert (refusal.reason, refusal.field) == (reason, field)
    assert expected in refusal.expected
    assert got in refusal.got


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from([*packages.NAMES, "x"]), inner, max_size=5)
    ),
    max_leaves=12,
)


def schema_or_refusal(body: object) -> schema.Array | schema.Refusal:
    try:
        return read(body)
    except schema.Refusal as refusal:
        return refusal


@given(json_values | st.fixed_dictionaries({"rows": json_values}, optional={"features": json_values}))
def test_any_json_is_either_rows_of_the_right_width_or_refused(body: object) -> None:
    values = schema_or_refusal(body)

    if isinstance(values, schema.Refusal):
        assert all([values.reason, values.field, values.expected, values.got])
    else:
        assert values.shape[1] == 4
        assert np.isfinite(np.delete(values, 2, axis=1)).all()


@given(st.binary(max_size=40))
def test_any_bytes_are_refused_or_rows(body: bytes) -> None:
    assume(body)
    with pytest.raises(schema.Refusal):
        read(body)


def test_booleans_are_values_only_of_features_that_are_true_or_false() -> None:
    np.testing.assert_array_equal(read({"rows": [[True, 2], {"on": 0, "size": 3}]}, FLAGGED), [[1, 2], [0, 3]])
    for body, field in (({"rows": [[True, True]]}, "rows[0].size"), ({"rows": [[2, 1]]}, "rows[0].on")):
        with pytest.raises(schema.Refusal) as caught:
            read(body, FLAGGED)
        assert caught.value.field == field


def test_a_model_of_one_feature_takes_it_by_name_and_in_order() -> None:
    np.testing.assert_array_equal(read({"rows": [{"only": 1}, [2]]}, SINGLE), [[1], [2]])
    np.testing.assert_array_equal(read({"rows": {"only": 1}}, SINGLE), [[1]])


def infer(change: object) -> oip.ModelInferRequest:
    request = typed(np.array([GOOD], dtype="float32"))
    change(request)
    return request


def features_parameter(text: str) -> object:
    def change(request: oip.ModelInferRequest) -> None:
        request.inputs[0].parameters["features"].string_param = text

    return change


def feature_tensors(*names: str, sizes: tuple[int, ...] = (1, 1, 1, 1)) -> oip.ModelInferRequest:
    request = oip.ModelInferRequest()
    for name, size in zip(names, sizes, strict=False):
        request.inputs.add(name=name, datatype="FP32", shape=[size]).contents.fp32_contents.extend([1.0] * size)
    return request


BAD_TENSORS = {
    "no tensors": (oip.ModelInferRequest(), "InvalidRequest", "inputs"),
    "22 features": (typed(np.ones((1, 22), "float32")), "FeatureCount", "rows"),
    "no rows": (typed(np.ones((0, 4), "float32")), "RowCount", "inputs"),
    "texts": (infer(lambda r: setattr(r.inputs[0], "datatype", "BYTES")), "MistypedFeature", "rows"),
    "an unknown datatype": (infer(lambda r: setattr(r.inputs[0], "datatype", "float")), "MistypedFeature", "rows"),
    "typed half precision": (infer(lambda r: setattr(r.inputs[0], "datatype", "FP16")), "InvalidRequest", "rows"),
    "values in another field": (infer(lambda r: setattr(r.inputs[0], "datatype", "FP64")), "InvalidRequest", "rows"),
    "a shape of three dimensions": (infer(lambda r: r.inputs[0].shape.append(1)), "InvalidRequest", "rows"),
    "a negative shape": (infer(lambda r: r.inputs[0].shape.__setitem__(0, -1)), "InvalidRequest", "rows"),
    "a shape beyond its values": (infer(lambda r: r.inputs[0].shape.__setitem__(0, 2**40)), "InvalidRequest", "rows"),
    "raw bytes that are too few": (infer(lambda r: r.raw_input_contents.append(b"1234")), "InvalidRequest", "rows"),
    "raw bytes for two tensors": (
        infer(lambda r: r.raw_input_contents.extend([b"", b""])),
        "InvalidRequest",
        "raw_input_contents",
    ),
    "NaN where a value must be": (
        infer(lambda r: r.inputs[0].contents.fp32_contents.__setitem__(0, float("nan"))),
        "MissingValue",
        "rows[0].age",
    ),
    "infinity": (
        infer(lambda r: r.inputs[0].contents.fp32_contents.__setitem__(2, float("inf"))),
        "NotFinite",
        "rows[0].rate",
    ),
    "names in another order": (
        infer(features_parameter('["income", "age", "rate", "visits"]')),
        "MisorderedFeatures",
        "features[0]",
    ),
    "names that are no list": (infer(features_parameter("age,income")), "InvalidRequest", "parameters.features"),
    "a missing feature": (feature_tensors("age", "income", "rate"), "MissingFeature", "inputs.visits"),
    "an unknown feature": (feature_tensors("age", "income", "rate", "height"), "UnknownFeature", "inputs.height"),
    "features of different lengths": (feature_tensors(*packages.NAMES, sizes=(2, 2, 1, 2)), "InvalidRequest", "rate"),
}


@pytest.mark.parametrize(("request_", "reason", "field"), BAD_TENSORS.values(), ids=BAD_TENSORS)
def test_it_refuses_tensors(request_: oip.ModelInferRequest, reason: str, field: str) -> None:
    with pytest.raises(schema.Refusal) as caught:
        tensors.read_inputs(SIGNATURE, request_)

    assert (caught.value.reason, caught.value.field) == (reason, field)


@pytest.mark.parametrize("datatype", [name for name in datatypes.NUMPY if name != "BOOL"])
def test_every_datatype_is_read_raw_and_typed(datatype: str) -> None:
    dtype, field = datatypes.NUMPY[datatype], tensors.FIELDS.get(datatype)
    values = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], dtype=dtype)
    request = oip.ModelInferRequest(raw_input_contents=[values.tobytes()])
    tensor = request.inputs.add(name="rows", datatype=datatype, shape=[2, 4])

    np.testing.assert_array_equal(tensors.read_inputs(SIGNATURE, request)[0], values.astype("float32"))
    if field:
        del request.raw_input_contents[:]
        getattr(tensor.contents, field).extend(values.reshape(-1).tolist())
        np.testing.assert_array_equal(tensors.read_inputs(SIGNATURE, request)[0], values.astype("float32"))
