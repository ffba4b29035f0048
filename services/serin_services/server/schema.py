"""What a row must be, and why a request is refused: the one place that both protocols ask."""

import dataclasses
import operator
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from serin_services.package import manifest

Array = npt.NDArray[Any]

# A request of more would hold the memory and the processor that others wait for.
MAX_ROWS = 100_000
# How `struct`, which writes a row of numbers at a quarter of numpy's cost, names what numpy does.
STRUCT_CODES = {
    "uint8": "B",
    "uint16": "H",
    "uint32": "I",
    "uint64": "Q",
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "float16": "e",
    "float32": "f",
    "float64": "d",
}


class Refusal(Exception):  # noqa: N818 - the request is at fault, not the server
    """A request that is answered with what is wrong with it instead of a prediction.

    A mismatch is one with the model's features, in contrast to, say, broken JSON. The status is HTTP's.
    """

    def __init__(
        self, reason: str, field: str, expected: str, got: str, *, mismatch: bool = True, status: int = 400
    ) -> None:
        super().__init__(f"{field}: expected {expected}, got {got}")
        self.reason = reason
        self.field = field
        self.expected = expected
        self.got = got
        self.mismatch = mismatch
        self.status = status


class Limit(Exception):  # noqa: N818 - the server protects itself
    """A request that is not answered because of what the server has to do besides, or of the time that it had.

    `retry_after` is in seconds; where it is given, the same request may do better after them.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        http_status: int,
        grpc_code: str = "UNAVAILABLE",
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.http_status = http_status
        self.grpc_code = grpc_code
        self.retry_after = retry_after


@dataclasses.dataclass(frozen=True)
class Schema:
    """The features of a model in the order of a row, prepared for checking many rows at little cost."""

    features: tuple[manifest.Feature, ...]
    dtype: np.dtype[Any]
    names: tuple[str, ...]
    positions: dict[str, int]
    pick: Callable[[dict[str, Any]], Sequence[Any]]
    pack: Callable[..., bytes]
    whole: tuple[int, ...]
    no_boolean: tuple[int, ...]
    max_rows: int = MAX_ROWS

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.features)

    @property
    def has_booleans(self) -> bool:
        """Whether `true` and `false` are values of any feature."""
        return len(self.no_boolean) < len(self.features)

    def make_rows(self, rows: Sequence[Sequence[float | None]]) -> Array:
        """Put rows of the right width into one array and check their values; nothing stands for NaN.

        The numbers are finite: JSON has no others.
        """
        pack = self.pack
        try:
            packed = pack(*rows[0]) if len(rows) == 1 else b"".join([pack(*row) for row in rows])
        except (struct.error, OverflowError):
            # A missing value, or a number beyond the dtype.
            return self.fit(np.array(rows, dtype="float64"))
        values: Array = np.ndarray((len(rows), len(self.names)), self.dtype, packed)
        if self.whole:
            self._check_whole(values)
        return values

    def check_count(self, rows: int, field: str) -> None:
        """Refuse no rows, and more than the server takes at once."""
        if not 1 <= rows <= self.max_rows:
            raise Refusal("RowCount", field, f"1 to {self.max_rows} rows", str(rows), mismatch=False, status=422)

    def fit(self, values: Array) -> Array:
        """Convert rows to the dtype that the model takes and check their values."""
        if values.dtype == self.dtype:
            self.check_values(values)
            return values
        if self.dtype.kind == "f":
            # What does not fit becomes infinity and is refused as such.
            with np.errstate(over="ignore"):
                converted = values.astype(self.dtype)
            self.check_values(converted)
            return converted
        self.check_values(values)
        with np.errstate(invalid="ignore"):
            converted = values.astype(self.dtype)
        if (wrong := converted != values).any():
            row, column = (int(index) for index in np.argwhere(wrong)[0])
            expected = f"{self.expects(column)} within {self.dtype}"
            raise Refusal("MistypedFeature", self.field(row, column), expected, repr(values[row, column].item()))
        return converted

    def check_values(self, values: Array) -> None:
        """Refuse NaN where a feature does not allow it, infinity, and fractions where whole numbers are expected."""
        if not np.isfinite(values).all():
            self._refuse_not_finite(values)
        if self.whole:
            self._check_whole(values)

    def _check_whole(self, values: Array) -> None:
        given = values if len(self.whole) == self.width else values.take(self.whole, axis=1)
        if self.has_booleans or not (given == np.rint(given)).all():
            for column in self.whole:
                self._check_whole_column(values[:, column], column)

    def _check_whole_column(self, given: Array, column: int) -> None:
        wrong = given != np.rint(given)
        if self.features[column].dtype == "bool":
            wrong |= (given != 0) & (given != 1)
        # NaN is unequal to itself; whether it is allowed is decided elsewhere.
        if (wrong := wrong & ~np.isnan(given)).any():
            row = int(wrong.argmax())
            raise Refusal("MistypedFeature", self.field(row, column), self.expects(column), repr(float(given[row])))

    def _refuse_not_finite(self, values: Array) -> None:
        for row, column in np.argwhere(~np.isfinite(values)).tolist():
            value = float(values[row, column])
            if value == value and abs(value) == float("inf"):  # noqa: PLR0124 - NaN is the one that differs
                raise Refusal(
                    "NotFinite",
                    self.field(row, column),
                    f"a finite number within {self.dtype}",
                    "infinity or too large",
                )
            if not self.features[column].allow_nan:
                raise Refusal("MissingValue", self.field(row, column), self.expects(column), "no value (null or NaN)")

    def field(self, row: int, column: int) -> str:
        """Name one value of a request."""
        return f"rows[{row}].{self.names[column]}"

    def expects(self, column: int) -> str:
        """Say in words which values a feature takes."""
        feature = self.features[column]
        words = {"bool": "true or false (1 or 0)", "int64": "a whole number"}.get(feature.dtype, "a number")
        unit = f" in {feature.unit}" if feature.unit else ""
        return f"{words}{unit}{' or null' if feature.allow_nan else ''}"

    def check_order(self, names: Sequence[str]) -> None:
        """Refuse a list of feature names that is not the model's, in the model's order."""
        if tuple(names) == self.names:
            return
        self.check_names(names, "features")
        index = next(index for index, (told, own) in enumerate(zip(names, self.names, strict=True)) if told != own)
        raise Refusal("MisorderedFeatures", f"features[{index}]", repr(self.names[index]), repr(names[index]))

    def check_names(self, names: Sequence[str], field: str) -> None:
        """Refuse unknown, missing and doubled names, in whichever order they stand."""
        given = set(names)
        unknown = [name for name in names if name not in self.positions]
        missing = [name for name in self.names if name not in given]
        if unknown:
            hint = f", while {listed(missing)} is missing" if missing else ""
            raise Refusal(
                "UnknownFeature",
                f"{field}.{unknown[0]}",
                f"one of the {self.width} features",
                f"{listed(unknown)}{hint}",
            )
        if missing:
            raise Refusal(
                "MissingFeature",
                f"{field}.{missing[0]}",
                f"all {self.width} features",
                f"{len(given)}, without {listed(missing)}",
            )
        if len(names) != len(given):
            raise Refusal("DoubledFeature", field, f"each of the {self.width} features once", f"{len(names)} names")


def make_schema(features: Sequence[manifest.Feature], dtype: str, max_rows: int = MAX_ROWS) -> Schema:
    """Prepare the features of a manifest; `dtype` is what the model's library computes with."""
    names = tuple(feature.name for feature in features)
    getter = operator.itemgetter(*names)
    return Schema(
        features=tuple(features),
        dtype=np.dtype(dtype),
        names=names,
        positions={name: index for index, name in enumerate(names)},
        # With a single key an itemgetter gives the value itself instead of a tuple.
        pick=getter if len(names) > 1 else lambda row: (getter(row),),
        pack=make_pack(len(names), np.dtype(dtype).name),
        whole=tuple(
            index
            for index, feature in enumerate(features)
            if feature.dtype in {"int64", "bool"} or np.dtype(dtype).kind != "f"
        ),
        no_boolean=tuple(index for index, feature in enumerate(features) if feature.dtype != "bool"),
        max_rows=max_rows,
    )


def make_pack(width: int, dtype: str) -> Callable[..., bytes]:
    """Give what packs a row of numbers, or fails with `struct.error`."""
    if dtype not in STRUCT_CODES:
        # Anything is true or false to `struct`; such rows are looked at one value at a time.
        return lambda *_row: struct.pack("f")
    return struct.Struct(f"<{width}{STRUCT_CODES[dtype]}").pack


def listed(names: Sequence[str]) -> str:
    """Name the first few and count the rest."""
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
