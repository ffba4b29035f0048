"""What tensors a model takes, and why a request's are refused: the one place that both protocols ask.

A model of rows also takes its columns one by one, by feature name, and has names for what is wrong; `schema` does that.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from serin_services.package import manifest
from serin_services.server import datatypes, schema
from serin_services.server.schema import Array, Refusal

# More than any body has; also of a shape with an axis of 0, beside which numpy multiplies the others.
MOST_VALUES = 1 << 40
# The tensor of a request that names no column; the protocol's metadata gives the model's own name for it.
FEATURES_PARAMETER = "features"


@dataclasses.dataclass(slots=True)
class Given:
    """One tensor of a request, of the shape that it says it has; `features` are the columns that it says it has."""

    name: str
    values: Array
    features: Sequence[str] | None = None


class Signature:
    """The inputs of one model, prepared for checking requests."""

    def __init__(self, document: manifest.Manifest, max_rows: int = schema.MAX_ROWS) -> None:
        self.inputs = document.inputs
        self.max_rows = max_rows
        self.positions = {tensor.name: index for index, tensor in enumerate(document.inputs)}
        dtype = document.inputs[0].dtype
        # For a model of rows, its columns.
        self.rows = schema.make_schema(document.features, dtype, max_rows) if document.features else None

    def accept(self, given: Sequence[Given]) -> tuple[Array, ...]:
        """Give one array for each input of the model, of its dtype.

        Raises:
            schema.Refusal: with the first thing that is wrong.
        """
        if self.rows is not None:
            return (accept_rows(self.rows, given),)
        self._check_names([tensor.name for tensor in given])
        values: list[Array] = [given[0].values] * len(self.inputs)
        for tensor in given:
            position = self.positions[tensor.name]
            values[position] = accept_tensor(self.inputs[position], tensor)
        self.check_batch(values)
        return tuple(values)

    def check_batch(self, values: Sequence[Array]) -> None:
        """Refuse inputs of different lengths, none, and more than the server takes at once."""
        rows = len(values[0])
        for tensor, array in zip(self.inputs, values, strict=True):
            if len(array) != rows:
                expected = f"{rows} on the first axis, as {self.inputs[0].name} has"
                raise Refusal("ShapeMismatch", tensor.name, expected, str(len(array)))
        if not 1 <= rows <= self.max_rows:
            expected = f"1 to {self.max_rows} on the first axis"
            raise Refusal("RowCount", "inputs", expected, str(rows), mismatch=False, status=422)

    def _check_names(self, names: Sequence[str]) -> None:
        own = [tensor.name for tensor in self.inputs]
        unknown = [name for name in names if name not in self.positions]
        missing = [name for name in own if name not in names]
        if unknown:
            hint = f", while {schema.listed(missing)} is missing" if missing else ""
            raise Refusal("UnknownInput", f"inputs.{unknown[0]}", schema.listed(own), f"{schema.listed(unknown)}{hint}")
        if missing:
            raise Refusal(
                "MissingInput", f"inputs.{missing[0]}", schema.listed(own), f"{len(names)}, without {missing[0]!r}"
            )
        if len(names) != len(own):
            raise Refusal("DoubledInput", "inputs", "each input once", f"{len(names)} tensors for {len(own)} inputs")


def accept_rows(model: schema.Schema, given: Sequence[Given]) -> Array:
    """Give the rows of one tensor [rows, features] under any name, or of one tensor [rows] for each feature by name."""
    if not given:
        expected = "one tensor of rows, or one for each feature"
        raise Refusal("InvalidRequest", "inputs", expected, "none", mismatch=False)
    first = given[0]
    if len(given) == 1 and (first.name not in model.positions or first.values.shape[1:] == (model.width,)):
        values = whole_rows(model, first)
    else:
        values = stack_columns(model, given)
    model.check_count(len(values), "inputs")
    return model.fit(values)


def whole_rows(model: schema.Schema, given: Given) -> Array:
    """Give rows in the model's order, having checked their width and, where the request says it, the order."""
    if given.features is not None:
        model.check_order(given.features)
    expected = f"{model.width} features, shape [rows, {model.width}]"
    if given.values.ndim != 2:
        raise Refusal("InvalidRequest", given.name, expected, f"shape {list(given.values.shape)}")
    if given.values.shape[1] != model.width:
        raise Refusal("FeatureCount", given.name, expected, str(given.values.shape[1]))
    return given.values


def stack_columns(model: schema.Schema, given: Sequence[Given]) -> Array:
    """Put one tensor for each feature together; their order does not matter."""
    model.check_names([tensor.name for tensor in given], "inputs")
    rows = len(given[0].values) if given[0].values.ndim else 0
    columns: list[Array] = [given[0].values] * model.width
    for tensor in given:
        values = tensor.values
        flat = values.reshape(-1) if values.ndim == 2 and values.shape[1] == 1 else values
        if flat.shape != (rows,):
            expected = f"shape [{rows}], one value for each row"
            raise Refusal("InvalidRequest", tensor.name, expected, str(list(values.shape)))
        columns[model.positions[tensor.name]] = flat
    return np.stack(columns, axis=1)


def accept_tensor(own: manifest.Tensor, given: Given) -> Array:
    """Give a tensor of an input's dtype, having checked its shape, the order of its features and its values."""
    values = given.values
    check_shape(own, values.shape)
    if given.features is not None and own.features:
        schema.make_schema(own.features, "float64").check_order(given.features)
    converted = convert(own, values)
    if converted.dtype.kind == "f":
        check_finite(own, converted)
    return converted


def check_shape(own: manifest.Tensor, shape: Sequence[int]) -> None:
    """Refuse a shape of another rank, or with another size where the model has one."""
    fits = len(shape) == len(own.shape) and all(
        size in (manifest.ANY, came) for size, came in zip(own.shape, shape, strict=True)
    )
    if not fits or 0 in shape[1:]:
        raise Refusal("ShapeMismatch", own.name, f"shape {list(own.shape)}", str(list(shape)))


def convert(own: manifest.Tensor, values: Array) -> Array:
    """Convert numbers to the dtype of an input, where none of them changes by more than rounding.

    Numbers beyond a float's range become infinity, which is then refused as such.
    """
    dtype = np.dtype(own.dtype)
    if values.dtype == dtype:
        return values
    if values.dtype.kind in "iufb" and (dtype.kind == "f" or np.can_cast(values.dtype, dtype)):
        with np.errstate(over="ignore"):
            return values.astype(dtype)
    wrong = outside(values, dtype) if values.dtype.kind in "iufb" else np.ones(values.shape, dtype=bool)
    if wrong.any():
        place = first_of(wrong)
        raise Refusal("MistypedFeature", where(own, place), words(dtype), repr(values[place].item())[:40])
    return values.astype(dtype)


def outside(values: Array, dtype: np.dtype[Any]) -> Array:
    """Find the numbers that a boolean or whole-number dtype cannot hold."""
    if dtype.kind == "b":
        wrong: Array = (values != 0) & (values != 1)
        return wrong
    limits = np.iinfo(dtype)
    if values.dtype.kind == "f":
        # As floats the ends of 64 bits are rounded away from 0, so the upper one itself is already too large.
        values = values.astype("float64", copy=False)
        wrong = (values < float(limits.min)) | (values >= float(limits.max) + (1 if dtype.itemsize < 8 else 0))
        wrong |= values != np.rint(values)
        return wrong
    # Whole numbers compare as Python's, whichever their signs and widths.
    found = np.zeros(values.shape, dtype=bool)
    own = np.iinfo(values.dtype)
    if own.min < limits.min:
        found |= values < max(limits.min, own.min)
    if own.max > limits.max:
        found |= values > limits.max
    return found


def check_finite(own: manifest.Tensor, values: Array) -> None:
    """Refuse infinity, and NaN where its feature does not allow it; one without features never does."""
    finite = np.isfinite(values)
    if finite.all():
        return
    wrong = np.isinf(values)
    if wrong.any():
        place = first_of(wrong)
        raise Refusal("NotFinite", where(own, place), f"a finite number within {own.dtype}", "infinity or too large")
    allowed = np.array([feature.allow_nan for feature in own.features] or [False])
    wrong = ~finite & ~allowed
    if wrong.any():
        raise Refusal("MissingValue", where(own, first_of(wrong)), words(values.dtype), "no value (null or NaN)")


def first_of(wrong: Array) -> tuple[int, ...]:
    """Find the first place that is wrong."""
    return tuple(int(index) for index in np.unravel_index(int(wrong.argmax()), wrong.shape))


def where(own: manifest.Tensor, place: Sequence[int]) -> str:
    """Name one value of an input, by its feature where it has one."""
    if own.features:
        *place, column = place
        return f"{own.name}{list(place)}.{own.features[column].name}"
    return f"{own.name}{list(place)}"


def words(dtype: np.dtype[Any]) -> str:
    """Say in words what a dtype holds."""
    if dtype.kind == "b":
        return "true or false (1 or 0)"
    if dtype.kind == "f":
        return "a number"
    limits = np.iinfo(dtype)
    return f"a whole number from {limits.min} to {limits.max}"


def make_values(name: str, datatype: str, shape: Sequence[int], raw: bytes | memoryview) -> Array:
    """Read a tensor from its bytes as they lie in memory, without copying them.

    Raises:
        schema.Refusal: the datatype is none of a model's, or the bytes do not fit the shape.
    """
    dtype = datatypes.NUMPY.get(datatype)
    if dtype is None:
        raise unknown_datatype(name, datatype)
    wanted = count(name, shape)
    if len(raw) != wanted * dtype.itemsize:
        expected = f"{wanted * dtype.itemsize} bytes for shape {list(shape)} of {datatype}"
        raise Refusal("InvalidRequest", name, expected, str(len(raw)))
    values: Array = np.ndarray(tuple(shape), dtype, raw)
    if dtype.kind == "b" and wanted and (most := int(values.view(np.uint8).max())) > 1:
        raise Refusal("MistypedFeature", name, "bytes of 0 or 1 for BOOL", str(most))
    return values


def count(name: str, shape: Sequence[int]) -> int:
    """Give how many values a shape has."""
    if not 1 <= len(shape) <= manifest.MAX_RANK or any(size < 0 for size in shape):
        raise Refusal("InvalidRequest", name, f"a shape of 1 to {manifest.MAX_RANK} axes from 0", str(list(shape)))
    if math.prod(size or 1 for size in shape) > MOST_VALUES:
        raise Refusal("InvalidRequest", name, f"a shape of at most {MOST_VALUES} values", str(list(shape)))
    return math.prod(shape)


def unknown_datatype(name: str, datatype: str) -> Refusal:
    """Refuse a datatype that no model takes."""
    return Refusal("MistypedFeature", name, f"one of {', '.join(datatypes.NUMPY)}", repr(datatype))
