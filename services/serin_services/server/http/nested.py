"""Reads the JSON rows of a model that takes tensors: a row is one element of the batch, as lists in lists."""

import re
from typing import Any

import msgspec
import numpy as np

from serin_services.package import manifest
from serin_services.server import schema, signature
from serin_services.server.schema import Array, Refusal

MISTYPED = re.compile(r"Expected `(.*?)`, got `(.*?)`(?: - at `\$\.?(.*)`)?")
FIELD = re.compile(r"Object (?:contains unknown|missing required) field `(.*?)`(?: - at `\$\.?(.*)`)?")
# JSON knows no difference between 1 and 1.0; which numbers fit an input is the signature's to say.
LEAVES = {"f": float | None, "i": int | float, "u": int | float, "b": bool | int | float}


class Reader:
    """Reads bodies for one signature: `rows` is a list of rows, or one row that is an object by input name."""

    def __init__(self, model: signature.Signature) -> None:
        self._model = model
        self._fields = [f"input_{index}" for index in range(len(model.inputs))]
        types = [element_type(tensor) for tensor in model.inputs]
        self._names = [tensor.name for tensor in model.inputs]
        self._row = msgspec.defstruct(
            "Row",
            list(zip(self._fields, types, strict=True)),
            rename=dict(zip(self._fields, self._names, strict=True)),
            forbid_unknown_fields=True,
        )
        row: Any = self._row if len(types) > 1 else types[0] | self._row
        body = msgspec.defstruct(
            "Body",
            [("rows", list[row] | self._row), ("features", list[str] | None, None)],
            forbid_unknown_fields=True,
        )
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(body)

    def read(self, body: bytes) -> tuple[Array, ...]:
        """Give one array for each input.

        Raises:
            schema.Refusal: with the first thing that is wrong.
        """
        try:
            document = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise explain(str(error), self._names) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal("InvalidRequest", "body", "JSON", str(error), mismatch=False) from error
        rows = document.rows if isinstance(document.rows, list) else [document.rows]
        if not 1 <= len(rows) <= self._model.max_rows:
            expected = f"1 to {self._model.max_rows} rows"
            raise Refusal("RowCount", "rows", expected, str(len(rows)), mismatch=False, status=422)
        return self._model.accept(self._split(rows, document.features))

    def _split(self, rows: list[Any], features: list[str] | None) -> list[signature.Given]:
        if features is not None and not (len(self._model.inputs) == 1 and self._model.inputs[0].features):
            raise Refusal("InvalidRequest", "features", "none: the model's input names no features", "a list")
        given = []
        for index, tensor in enumerate(self._model.inputs):
            column = [getattr(row, self._fields[index]) if type(row) is self._row else row for row in rows]
            given.append(signature.Given(tensor.name, make_array(tensor, column), features))
        return given


def element_type(tensor: manifest.Tensor) -> Any:  # noqa: ANN401 - a type
    """Give the type of one batch element of a tensor: as many lists in lists as it has axes behind the batch."""
    made: Any = LEAVES[np.dtype(tensor.dtype).kind]
    for _ in tensor.shape[1:]:
        made = list[made]
    return made


def make_array(tensor: manifest.Tensor, rows: list[Any]) -> Array:
    """Put the rows of one input into an array, or name the first row of another shape."""
    floating = np.dtype(tensor.dtype).kind == "f"
    try:
        with np.errstate(over="ignore"):
            return np.array(rows, dtype=tensor.dtype if floating else None)
    except ValueError as error:
        expected = None
        for index, row in enumerate(rows):
            found = shape_of(row)
            expected = expected or list(tensor.shape[1:])
            fits = (
                isinstance(found, list)
                and len(found) == len(expected)
                and all(own in (manifest.ANY, size) for own, size in zip(expected, found, strict=True))
            )
            if not fits:
                raise Refusal("ShapeMismatch", f"rows[{index}]", f"shape {expected}", f"{found}") from error
            # An axis that a request chooses is the same for all of its rows.
            expected = found if isinstance(found, list) else expected
        raise


def shape_of(value: Any) -> list[int] | str:  # noqa: ANN401 - lists in lists
    """Give the shape of lists in lists, or say that they have none."""
    if not isinstance(value, list):
        return []
    shapes = [shape_of(item) for item in value]
    if any(shape != shapes[0] for shape in shapes):
        lengths = sorted({len(item) for item in value if isinstance(item, list)})
        return f"lists of {schema.listed([str(length) for length in lengths])} in one"
    return [len(value), *shapes[0]] if shapes and isinstance(shapes[0], list) else (shapes[0] if shapes else [0])


def explain(said: str, inputs: list[str]) -> Refusal:
    """Put what the decoder found into field, expected and got."""
    if (found := FIELD.match(said)) and found[2]:
        expected = f"inputs {schema.listed(inputs)}"
        if "unknown" in said:
            return Refusal("UnknownInput", f"{found[2]}.{found[1]}", expected, "another name")
        return Refusal("MissingInput", f"{found[2]}.{found[1]}", expected, "no such field")
    if found:
        got = "an unknown field" if "unknown" in said else "no such field"
        return Refusal("InvalidRequest", found[1], 'an object {"rows": [...]}', got, mismatch=False)
    if found := MISTYPED.match(said):
        return Refusal("MistypedFeature", found[3] or "body", found[1], found[2])
    return Refusal("InvalidRequest", "body", "rows of numbers", said)
