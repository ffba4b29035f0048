"""The Open Inference Protocol over REST: its own client, its binary form, every datatype, and what is refused."""

import json
import struct
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serin_services.package import manifest
from serin_services.server import datatypes
from support import http_site

INFER = "/v2/models/waves/infer"
SHAPES = (
    manifest.Tensor(name="series", dtype="float32", shape=(-1, -1, 2)),
    manifest.Tensor(name="shop", dtype="int64", shape=(-1,)),
)
FEATURES = (
    manifest.Feature(name="a", dtype="int64"),
    manifest.Feature(name="b", allow_nan=True),
    manifest.Feature(name="c"),
)
ROWS = manifest.Tensor(name="rows", dtype="float64", shape=(-1, 3), features=FEATURES)


def serve(task: str, inputs: tuple[manifest.Tensor, ...], outputs: dict[str, tuple[str, tuple[int, ...]]], predict):
    made = tuple(manifest.Tensor(name=name, dtype=dtype, shape=shape) for name, (dtype, shape) in outputs.items())
    classes = ("down", "up") if task == "binary" else ()
    document = http_site.make_document(task=task, inputs=inputs, outputs=made, classes=classes)
    return http_site.serve(http_site.make_model(document, predict, max_rows=5000))


@pytest.fixture(scope="module")
def tensors() -> Iterator[http_site.Served]:
    def predict(series: np.ndarray, shop: np.ndarray) -> tuple[np.ndarray, ...]:
        return series * 2, shop + 1

    outputs = {"doubled": ("float32", (-1, -1, 2)), "next": ("int64", (-1,))}
    with serve("tensors", SHAPES, outputs, predict) as served:
        yield served


@pytest.fixture(scope="module")
def rows() -> Iterator[http_site.Served]:
    def predict(values: np.ndarray) -> tuple[np.ndarray, ...]:
        up = np.clip(np.nan_to_num(values).sum(axis=1) / 10, 0, 1)
        return (np.stack([1 - up, up], axis=1),)

    with serve("binary", (ROWS,), {"probabilities": ("float64", (-1, 2))}, predict) as served:
        yield served


@pytest.fixture(scope="module")
def client(tensors: http_site.Served) -> Iterator[triton.InferenceServerClient]:
    made = triton.InferenceServerClient(f"127.0.0.1:{tensors.port}")
    yield made
    made.close()


def test_an_unmodified_client_finds_the_server_and_the_model(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("waves")
    assert client.is_model_ready("waves", "2.0")
    assert not client.is_model_ready("tides")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    described = client.get_model_metadata("waves")
    assert described["inputs"] == [
        {"name": "series", "datatype": "FP32", "shape": [-1, -1, 2]},
        {"name": "shop", "datatype": "INT64", "shape": [-1]},
    ]
    assert [output["name"] for output in described["outputs"]] == ["doubled", "next"]


@pytest.mark.parametrize("binary_in", [True, False], ids=["binary tensors", "JSON tensors"])
@pytest.mark.parametrize("binary_out", [True, False], ids=["binary answers", "JSON answers"])
def test_an_unmodified_client_infers(client: triton.InferenceServerClient, binary_in: bool, binary_out: bool) -> None:
    series, shop = np.arange(12, dtype="float32").reshape(2, 3, 2), np.array([2**62, -5])
    inputs = [triton.InferInput("shop", [2], "INT64"), triton.InferInput("series", [2, 3, 2], "FP32")]
    inputs[0].set_data_from_numpy(shop, binary_data=binary_in)
    inputs[1].set_data_from_numpy(series, binary_data=binary_in)
    outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("next", "doubled")]

    answer = client.infer("waves", inputs, "2.0", outputs=outputs, request_id="r-9")

    np.testing.assert_array_equal(answer.as_numpy("doubled"), series * 2)
    np.testing.assert_array_equal(answer.as_numpy("next"), shop + 1)
    told = answer.get_response()
    assert (told["model_name"], told["model_version"], told["id"]) == ("waves", "2.0", "r-9")
    assert [output["name"] for output in told["outputs"]] == ["next", "doubled"]


def test_an_unmodified_client_gets_every_output_and_is_told_what_is_wrong(
    client: triton.InferenceServerClient,
) -> None:
    shop = triton.InferInput("shop", [1], "INT64")
    shop.set_data_from_numpy(np.array([1]))
    series = triton.InferInput("series", [1, 1, 2], "FP32")
    series.set_data_from_numpy(np.ones((1, 1, 2), dtype="float32"))

    assert client.infer("waves", [shop, series]).as_numpy("next").tolist() == [2]
    with pytest.raises(triton.InferenceServerException, match=r"inputs\.series: expected 'series', 'shop'"):
        client.infer("waves", [shop])
    with pytest.raises(triton.InferenceServerException, match="path: expected one of this model's"):
        client.infer("tides", [shop])


def tensor(name: str, values: np.ndarray, datatype: str, **more: object) -> dict[str, object]:
    return {"name": name, "shape": list(values.shape), "datatype": datatype, "data": values.tolist(), **more}


def ask(served: http_site.Served, *inputs: dict[str, object], **more: object) -> http_site.Answer:
    return served.call(INFER, {"inputs": list(inputs), **more})


GOOD = [[1.0, 2.5, 3.0], [4.0, 0.5, 1.0]]


def test_rows_may_come_flat_nested_and_by_feature(rows: http_site.Served) -> None:
    values = np.array(GOOD)
    flat = {**tensor("x", values, "FP64"), "data": values.reshape(-1).tolist()}
    columns = [tensor(name, values[:, index], "FP32") for index, name in enumerate("abc")]

    answers = [ask(rows, *inputs).body for inputs in ([flat], [tensor("x", values, "FP64")], columns[::-1])]

    assert answers[0]["outputs"] == answers[1]["outputs"] == answers[2]["outputs"]
    label, confidence, probabilities = answers[0]["outputs"]
    assert (label["name"], label["datatype"], label["data"]) == ("label", "BYTES", ["up", "up"])
    assert (confidence["shape"], confidence["data"]) == ([2], [pytest.approx(0.65), pytest.approx(0.55)])
    assert probabilities["shape"] == [2, 2]
    assert len(answers[0]["id"]) == 24


def test_labels_come_in_binary_behind_their_lengths(rows: http_site.Served) -> None:
    answer = ask(rows, tensor("x", np.array(GOOD), "FP64"), parameters={"binary_data_output": True})

    size = int(answer.headers["inference-header-content-length"])
    assert answer.headers["content-type"] == "application/octet-stream"
    outputs = json.loads(answer.content[:size])["outputs"]
    assert [output["parameters"]["binary_data_size"] for output in outputs] == [12, 8, 32]
    assert answer.content[size : size + 12] == b"\2\0\0\0up" * 2
    assert struct.unpack("<4d", answer.content[size + 20 :])[1] == pytest.approx(0.65)


def test_missing_values_are_taken_where_the_manifest_allows_them(rows: http_site.Served) -> None:
    good = {"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [1, None, 3]}

    assert ask(rows, good).status == 200
    refused = ask(rows, {**good, "data": [1, 2, None]})
    assert (refused.status, refused.body["reason"], refused.body["field"]) == (400, "MissingValue", "rows[0].c")


X = tensor("x", np.array(GOOD), "FP64")
REFUSED = {
    "no inputs": ({"inputs": []}, "InvalidRequest", "inputs"),
    "no field inputs": ({}, "InvalidRequest", "body"),
    "a list": ([], "InvalidRequest", "body"),
    "another rank": ({"inputs": [{**X, "shape": [6]}]}, "InvalidRequest", "x.data"),
    "flat and another rank": ({"inputs": [{**X, "shape": [1, 2, 1, 1], "data": [1, 2]}]}, "InvalidRequest", "x"),
    "fewer features": ({"inputs": [{**X, "shape": [1, 2], "data": [1, 2]}]}, "FeatureCount", "x"),
    "values beyond the shape": ({"inputs": [{**X, "shape": [1, 3]}]}, "InvalidRequest", "x.data"),
    "a shape that is none": ({"inputs": [{**X, "shape": []}]}, "InvalidRequest", "x"),
    "a huge shape": ({"inputs": [{**X, "shape": [2**40, 2**40]}]}, "InvalidRequest", "x"),
    "a negative shape": ({"inputs": [{**X, "shape": [-1, -3]}]}, "InvalidRequest", "x"),
    "an unknown datatype": ({"inputs": [{**X, "datatype": "FLOAT"}]}, "MistypedFeature", "x"),
    "texts": ({"inputs": [{**X, "datatype": "BYTES"}]}, "MistypedFeature", "x"),
    "a text among numbers": ({"inputs": [{**X, "data": [1, 2, "3", 4, 5, 6]}]}, "MistypedFeature", "x.data[2]"),
    "a boolean for a number": ({"inputs": [{**X, "data": [1, True, 3, 4, 5, 6]}]}, "MistypedFeature", "x.data[1]"),
    "a fraction of a whole number": (
        {"inputs": [{**X, "datatype": "INT32", "data": [1, 2, 3.5, 4, 5, 6]}]}, "MistypedFeature", "x.data[2]"),
    "a number beyond its datatype": (
        {"inputs": [{**X, "datatype": "UINT8", "data": [1, 2, 256, 4, 5, 6]}]}, "MistypedFeature", "x.data[2]"),
    "a list too short": ({"inputs": [{**X, "data": [[1, 2, 3], [4, 5]]}]}, "InvalidRequest", "x.data"),
    "no data": ({"inputs": [{key: X[key] for key in ("name", "shape", "datatype")}]}, "InvalidRequest", "x.data"),
    "a fraction where the feature is whole": ({"inputs": [{**X, "data": [0.5, 1, 1, 1, 1, 1]}]}, "MistypedFeature",
                                              "rows[0].a"),
    "features in another order": (
        {"inputs": [{**X, "parameters": {"features": ["b", "a", "c"]}}]}, "MisorderedFeatures", "features[0]"),
    "features as a text that is no list": (
        {"inputs": [{**X, "parameters": {"features": "a,b"}}]}, "InvalidRequest", "x.parameters.features"),
    "an unknown output": ({"inputs": [X], "outputs": [{"name": "colour"}]}, "UnknownOutput", "outputs.colour"),
    "an output twice": ({"inputs": [X], "outputs": [{"name": "label"}] * 2}, "DoubledOutput", "outputs"),
    "binary data that is not there": (
        {"inputs": [{**X, "parameters": {"binary_data_size": 8}}]}, "InvalidRequest", "x.parameters.binary_data_size"),
    "too many rows": ({"inputs": [{**X, "shape": [6000, 3], "data": [1] * 18000}]}, "RowCount", "inputs"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "reason", "field"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(rows: http_site.Served, body: object, reason: str, field: str) -> None:
    answer = rows.call(INFER, body)

    assert (answer.body["reason"], answer.body["field"]) == (reason, field)
    assert answer.status == (422 if reason == "RowCount" else 400)
    assert answer.body["error"].startswith(field)


def binary(values: np.ndarray, datatype: str, **changes: object) -> tuple[bytes, int]:
    given = {"name": "x", "shape": list(values.shape), "datatype": datatype,
             "parameters": {"binary_data_size": values.nbytes}, **changes}  # fmt: skip
    header = json.dumps({"inputs": [given]}).encode()
    return header + values.tobytes(), len(header)


BINARY = {
    "a header longer than the body": (*binary(np.ones((1, 3)), "FP64")[:1], 10_000),
    "a header that is no length": (*binary(np.ones((1, 3)), "FP64")[:1], "x"),
    "a header too short": (*binary(np.ones((1, 3)), "FP64")[:1], 5),
    "bytes for another datatype": binary(np.ones((1, 3)), "FP32"),
    "more bytes than there are": binary(np.ones((1, 3)), "FP64", parameters={"binary_data_size": 25}),
    "a size below 0": binary(np.ones((1, 3)), "FP64", parameters={"binary_data_size": -24}),
    "fewer bytes than follow": binary(np.ones((1, 6)), "FP64", shape=[1, 3], parameters={"binary_data_size": 24}),
    "a boolean of 2": binary(np.full((1, 3), 2, dtype="uint8"), "BOOL"),
}


@pytest.mark.parametrize(("body", "length"), BINARY.values(), ids=BINARY)
def test_it_refuses_binary(rows: http_site.Served, body: bytes, length: object) -> None:
    answer = rows.call(INFER, body, inference_header_content_length=str(length))

    assert answer.status == 400
    assert answer.body["reason"] in {"InvalidRequest", "MistypedFeature"}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([name for name in datatypes.NUMPY if name != "BOOL"]).flatmap(
        lambda name: st.tuples(
            st.just(name),
            arrays.arrays(
                datatypes.NUMPY[name],
                st.tuples(st.integers(1, 3), st.just(3)),
                elements=st.integers(0, 100) if datatypes.NUMPY[name].kind != "f" else st.floats(0, 100, width=16),
            ),
        )
    ),
    st.integers(0, 7),
)
def test_every_datatype_means_the_same_in_json_and_in_binary(
    rows: http_site.Served, given_values: tuple[str, np.ndarray], padding: int
) -> None:
    """The header's length moves the bytes, so that numbers lie across the places that processors want them in."""
    datatype, values = given_values
    values = np.floor(values) if values.dtype.kind == "f" else values
    body, length = binary(values, datatype, id="i" * (padding + 1))

    in_binary = rows.call(INFER, body, inference_header_content_length=str(length))
    in_json = ask(rows, tensor("x", values, datatype))

    assert in_binary.status == in_json.status == 200
    assert in_binary.body["outputs"] == in_json.body["outputs"]


def test_the_id_of_the_body_is_the_requests_where_no_header_has_one(rows: http_site.Served) -> None:
    assert ask(rows, X, id="abc").headers["x-request-id"] == "abc"
    answer = ask(rows, X, id="a b")
    assert answer.body["id"] == "a b"
    assert len(answer.headers["x-request-id"]) == 24
