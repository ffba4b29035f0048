"""What a row must be, and why a request is refused: the one place that both protocols ask."""

import dataclasses
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from serin_services.package import manifest

Array = npt.NDArray[Any]

# A request of more would hold the memory and the processor that others wait for.
MAX_ROWS = 100_000


class Refusal(Exception):  # noqa: N818 - the request is at fault, not the server
    """A request that is answered with what is wrong with it instead of a prediction.

    A mismatch is one with the model's features, in contrast to, say, broken JSON.
    """

    def __init__(self, reason: str, field: str, expected: str, got: str, *, mismatch: bool = True) -> None:
        super().__init__(f"{field}: expected {expected}, got {got}")
        self.reason = reason
        self.field = field
        self.expected = expected
        self.got = got
        self.mismatch = mismatch


@dataclasses.dataclass(frozen=True)
class Schema:
    """The features of a model in the order of a row, prepared for checking many rows at little cost."""

    features: tuple[manifest.Feature, ...]
    dtype: np.dtype[Any]
    names: tuple[str, ...]
    positions: dict[str, int]
    pick: Callable[[dict[str, Any]], Sequence[Any]]
    whole: tuple[int, ...]
    no_boolean: tuple[int, ...]

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.features)

    @property
    def has_booleans(self) -> bool:
        """Whether `true` and `false` are values of any feature."""
        return len(self.no_boolean) < len(self.features)

    def make_rows(self, rows: Sequence[Sequence[float | None]]) -> Array:
        """Put rows of the right width into one array and check their values; nothing stands for NaN."""
        with np.errstate(over="ignore"):
            values = np.array(rows, dtype=self.dtype)
        self.check_values(values)
        return values

    def check_values(self, values: Array) -> None:
        """Refuse NaN where a feature does not allow it, infinity, and fractions where whole numbers are expected."""
        if not np.isfinite(values).all():
            self._refuse_not_finite(values)
        for column in self.whole:
            given = values[:, column]
            wrong = given != np.floor(given)
            if self.features[column].dtype == "bool":
                wrong |= (given != 0) & (given != 1)
            # NaN is unequal to itself; whether it is allowed is decided above.
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


def make_schema(features: Sequence[manifest.Feature], dtype: str) -> Schema:
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
        whole=tuple(index for index, feature in enumerate(features) if feature.dtype in {"int64", "bool"}),
        no_boolean=tuple(index for index, feature in enumerate(features) if feature.dtype != "bool"),
    )


def listed(names: Sequence[str]) -> str:
    """Name the first few and count the rest."""
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
