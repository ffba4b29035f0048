"""Tensors of any model: what is accepted, as what, and how everything else is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serin_services.package import manifest
from serin_services.server import datatypes, schema, signature
from support import http_site

TWO = (
    manifest.Tensor(name="series", dtype="float32", shape=(-1, -1, 2), features=(
        manifest.Feature(name="price"), manifest.Feature(name="volume", allow_nan=True))),
    manifest.Tensor(name="shop", dtype="int8", shape=(-1,)),
)  # fmt: skip


def make(*inputs: manifest.Tensor, max_rows: int = 100) -> signature.Signature:
    output = manifest.Tensor(name="out", dtype="float32", shape=(-1,))
    return signature.Signature(http_site.make_document(inputs=inputs, outputs=(output,)), max_rows)


def one(dtype: str, *shape: int) -> signature.Signature:
    return make(manifest.Tensor(name="x", dtype=dtype, shape=(-1, *shape)))


def given_two(series: object = None, shop: object = None) -> list[signature.Given]:
    series = np.ones((3, 5, 2), "float32") if series is None else np.asarray(series)
    return [
        signature.Given("shop", np.arange(3) if shop is None else np.asarray(shop)),
        signature.Given("series", series),
    ]


def test_inputs_come_in_the_models_order_and_dtypes() -> None:
    series, shop = make(*TWO).accept(given_two())

    assert (series.shape, series.dtype, shop.dtype) == ((3, 5, 2), "float32", "int8")


NAN = np.full((3, 5, 2), np.nan)
NAN[..., 0] = 0
INFINITE = np.ones((3, 5, 2))
INFINITE[1, 2, 1] = np.inf

REFUSED = {
    "an input too few": (given_two()[:1], "MissingInput", "inputs.series"),
    "another input": ([*given_two(), signature.Given("colour", np.ones(3))], "UnknownInput", "inputs.colour"),
    "an input twice": ([*given_two(), *given_two()], "DoubledInput", "inputs"),
    "another rank": (given_two(series=np.ones((3, 2))), "ShapeMismatch", "series"),
    "another size of a fixed axis": (given_two(series=np.ones((3, 5, 3))), "ShapeMismatch", "series"),
    "an empty axis": (given_two(series=np.ones((3, 0, 2))), "ShapeMismatch", "series"),
    "batches of two lengths": (given_two(shop=[1, 2]), "ShapeMismatch", "shop"),
    "no batch": (given_two(np.ones((0, 5, 2)), np.ones(0)), "RowCount", "inputs"),
    "a batch too long": (given_two(np.ones((101, 1, 2)), np.zeros(101)), "RowCount", "inputs"),
    "infinity": (given_two(series=INFINITE), "NotFinite", "series[1, 2].volume"),
    "a number beyond the dtype": (given_two(series=np.full((3, 1, 2), 1e39)), "NotFinite", "series[0, 0].price"),
    "NaN where it is not allowed": (given_two(series=NAN[..., ::-1]), "MissingValue", "series[0, 0].price"),
    "a fraction of a whole number": (given_two(shop=[1, 2.5, 3]), "MistypedFeature", "shop[1]"),
    "a whole number beyond the dtype": (given_two(shop=[1, 2, 128]), "MistypedFeature", "shop[2]"),
    "NaN of a whole number": (given_two(shop=[np.nan, 1, 2]), "MistypedFeature", "shop[0]"),
    "texts": (given_two(shop=["a", "b", "c"]), "MistypedFeature", "shop[0]"),
    "features in another order": (
        [given_two()[0], signature.Given("series", np.ones((3, 5, 2)), ["volume", "price"])],
        "MisorderedFeatures",
        "features[0]",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tensors", "reason", "field"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(tensors: list[signature.Given], reason: str, field: str) -> None:
    with pytest.raises(schema.Refusal) as caught:
        make(*TWO).accept(tensors)

    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert caught.value.status == (422 if reason == "RowCount" else 400)


def test_nan_is_taken_where_the_manifest_allows_it() -> None:
    series, _ = make(*TWO).accept(given_two(series=NAN))

    assert np.isnan(series[..., 1]).all()


numbers = st.sampled_from(sorted(manifest.TensorType.__args__))


@given(
    numbers.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=1, max_dims=4, max_side=3))),
    numbers,
)
def test_a_tensor_is_taken_whole_or_refused(values: np.ndarray, dtype: str) -> None:
    """Either every number is the one that came, up to a float's rounding, or the request is refused."""
    try:
        (taken,) = one(dtype, *values.shape[1:]).accept([signature.Given("x", values)])
    except schema.Refusal:
        return

    assert (taken.dtype, taken.shape) == (np.dtype(dtype), values.shape)
    if taken.dtype.kind == "f":
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(taken, values.astype(dtype))
    else:
        assert taken.tolist() == values.tolist()


@given(numbers.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=1, max_dims=4, max_side=3))))
def test_a_tensor_of_the_models_own_dtype_is_not_copied(values: np.ndarray) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return
    (taken,) = one(values.dtype.name, *values.shape[1:]).accept([signature.Given("x", values)])

    assert taken is values


@given(st.sampled_from(list(datatypes.NUMPY)), st.lists(st.integers(-1, 4), max_size=9), st.binary(max_size=64))
def test_any_bytes_are_a_tensor_of_their_shape_or_refused(datatype: str, shape: list[int], raw: bytes) -> None:
    try:
        values = signature.make_values("x", datatype, shape, raw)
    except schema.Refusal:
        return
    assert (values.tobytes(), list(values.shape)) == (raw, shape)


@pytest.mark.parametrize("dtype", ["int64", "float16", "bool"])
def test_rows_may_be_of_any_dtype(dtype: str) -> None:
    features = (manifest.Feature(name="a"), manifest.Feature(name="b"))
    rows = make(manifest.Tensor(name="x", dtype=dtype, shape=(-1, 2), features=features))
    assert rows.rows

    assert rows.rows.make_rows([[1, 0], [0, 1.0]]).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(schema.Refusal):
        rows.rows.make_rows([[1, None]])
    if dtype != "float16":
        with pytest.raises(schema.Refusal):
            rows.rows.make_rows([[0.5, 1]])
