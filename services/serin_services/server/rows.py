"""Reads the body of `POST /predict`: a quick typed path, and a slow one that finds out what is wrong."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from serin_services.server import schema

Row = dict[str, Any] | list[Any]


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """Rows of numbers, each by feature name or in the model's order; one row needs no list around it."""

    rows: list[dict[str, float | None] | list[float | None] | float | None] | dict[str, float | None]
    features: list[str] | None = None


class BodyWithBooleans(msgspec.Struct, forbid_unknown_fields=True):
    """The same for a model with features that are true or false."""

    rows: (
        list[dict[str, bool | float | None] | list[bool | float | None] | bool | float | None]
        | dict[str, bool | float | None]
    )
    features: list[str] | None = None


class Reader:
    """Reads bodies for one schema."""

    def __init__(self, model: schema.Schema) -> None:
        self._schema = model
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(BodyWithBooleans if model.has_booleans else Body)
        self._decode = decoder.decode

    def read(self, body: bytes) -> schema.Array:
        """Give the rows of a body as one array.

        Raises:
            schema.Refusal: with the first thing that is wrong.
        """
        try:
            document = self._decode(body)
        except msgspec.ValidationError as error:
            raise self._diagnose(body, str(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise not_json(str(error)) from error
        if document.features is not None:
            self._schema.check_order(document.features)
        given = self._as_list(document.rows)
        try:
            return self._schema.make_rows([self._values(row) for row in given])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise self._diagnose(body, str(error)) from error

    def _as_list(self, rows: Any) -> list[Any]:  # noqa: ANN401 - any of the forms that `rows` may have
        """Put a single row into a list, and refuse too few and too many."""
        if isinstance(rows, dict) or (rows and not isinstance(rows[0], dict | list)):
            rows = [rows]
        self._schema.check_count(len(rows), "rows")
        given: list[Any] = rows
        return given

    def _values(self, row: Any) -> Sequence[Any]:  # noqa: ANN401 - what the body held
        if len(row) != self._schema.width:
            raise ValueError("width")
        values = self._schema.pick(row) if type(row) is dict else row
        if self._schema.has_booleans and any(type(values[column]) is bool for column in self._schema.no_boolean):
            raise TypeError("a boolean for a number")
        return values

    def _diagnose(self, body: bytes, said: str) -> schema.Refusal:
        """Look at every value of a body that the quick path refused, and give the first fault."""
        try:
            document = msgspec.json.decode(body)
            self._check_document(document)
        except schema.Refusal as refusal:
            return refusal
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return not_json(str(error))
        return schema.Refusal("InvalidRequest", "body", "rows of numbers", said)

    def _check_document(self, document: Any) -> None:  # noqa: ANN401 - any JSON
        shape = 'an object {"rows": [...]}'
        if not isinstance(document, dict):
            raise schema.Refusal("InvalidRequest", "body", shape, kind(document), mismatch=False)
        if extra := sorted(set(document) - {"rows", "features"}):
            raise schema.Refusal(
                "InvalidRequest", str(extra[0]), f"{shape} with `rows` and, if wanted, `features`", "an unknown field"
            )
        if "rows" not in document:
            raise schema.Refusal("InvalidRequest", "rows", shape, "no such field", mismatch=False)
        rows = document["rows"]
        if not isinstance(rows, list | dict):
            raise schema.Refusal("InvalidRequest", "rows", "a list of rows", kind(rows), mismatch=False)
        if document.get("features") is not None and not is_names(document["features"]):
            raise schema.Refusal("InvalidRequest", "features", "a list of feature names", kind(document["features"]))
        for index, row in enumerate(self._as_list(rows)):
            self._check_row(row, index)

    def _check_row(self, row: Any, index: int) -> None:  # noqa: ANN401 - any JSON
        field = f"rows[{index}]"
        if isinstance(row, dict):
            self._schema.check_names(list(row), field)
            row = self._schema.pick(row)
        elif not isinstance(row, list):
            raise schema.Refusal("MistypedFeature", field, "an object by feature name, or a list of numbers", kind(row))
        if len(row) != self._schema.width:
            raise schema.Refusal("FeatureCount", field, f"{self._schema.width} features", f"{len(row)}")
        for column, value in enumerate(row):
            numeric = isinstance(value, int | float) and not isinstance(value, bool)
            boolean = isinstance(value, bool) and self._schema.features[column].dtype == "bool"
            if not (numeric or boolean or value is None):
                raise schema.Refusal(
                    "MistypedFeature", self._schema.field(index, column), self._schema.expects(column), kind(value)
                )


def is_names(value: object) -> bool:
    """Whether it is a list of strings."""
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def kind(value: object) -> str:
    """Say what a JSON value is, with the value where it is short."""
    words = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    text = json.dumps(value)
    return f"{words.get(type(value), 'a number')} {text if len(text) <= 40 else text[:37] + '...'}"


def not_json(said: str) -> schema.Refusal:
    """Refuse a body that is not JSON; NaN and Infinity are not."""
    return schema.Refusal("InvalidRequest", "body", "JSON", said, mismatch=False)
