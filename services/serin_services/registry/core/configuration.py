"""What a version was made from, as far as versions are compared: model, settings, features, target, data and artifact."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

Json = Mapping[str, Any]


class _Absent:
    """What stands at a path where there is nothing; null is something."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


class Changed(NamedTuple):
    """One value that differs: where it stands, and what it was and is; `ABSENT` where it is not there."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {self.before!r} became {self.after!r}"

    def dump(self) -> dict[str, Any]:
        """Give plain JSON, in which a value that is not there is left out."""
        return {name: value for name, value in self._asdict().items() if value is not ABSENT}


@dataclasses.dataclass(frozen=True)
class Feature:
    """One input column: its name, the type of its values and their unit."""

    name: str
    dtype: str = "float64"
    unit: str | None = None


@dataclasses.dataclass(frozen=True)
class Data:
    """What the model was trained, validated and tested on: for each split its range (ISO 8601) and its number of samples."""

    ranges: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    samples: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def total(self) -> int:
        """The samples of all splits."""
        return sum(self.samples.values())


@dataclasses.dataclass(frozen=True)
class Configuration:
    """All that decides how far one version is from another; `digest` is the artifact's sha256."""

    family: str
    structure: Json = dataclasses.field(default_factory=dict)
    hyperparameters: Json = dataclasses.field(default_factory=dict)
    features: tuple[Feature, ...] = ()
    feature_version: str = ""
    target: Json = dataclasses.field(default_factory=dict)
    data: Data = Data()
    digest: str = ""

    def dump(self) -> dict[str, Any]:
        """Give plain JSON to store and to show."""
        return {
            **dataclasses.asdict(self),
            "features": [dataclasses.asdict(feature) for feature in self.features],
            "data": {
                "ranges": {split: list(ends) for split, ends in self.data.ranges.items()},
                "samples": dict(self.data.samples),
            },
        }

    @classmethod
    def load(cls, found: Json) -> Self:
        """Read what `dump` gave.

        Raises:
            ValueError: a field is missing, unknown or of another form; the message names it.
        """
        unknown = sorted(set(found) - {field.name for field in dataclasses.fields(cls)})
        if unknown or "family" not in found:
            raise ValueError(
                f"configuration: unknown {', '.join(unknown)}" if unknown else "configuration.family: missing"
            )
        parts = dict(found)
        try:
            if "features" in parts:
                parts["features"] = tuple(Feature(**feature) for feature in parts["features"])
            if "data" in parts:
                parts["data"] = _load_data(parts["data"])
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"configuration: features or data have another form: {error}") from error
        return cls(**parts)


def _load_data(found: Json) -> Data:
    ranges = {split: (begin, end) for split, (begin, end) in found.get("ranges", {}).items()}
    return Data(ranges, dict(found.get("samples", {})))


def find_changes(old: Json, new: Json) -> tuple[Changed, ...]:
    """Give the values that differ, by their paths; the order of the keys says nothing, and true is not 1."""
    before, after = dict(_flatten(old)), dict(_flatten(new))
    return tuple(
        Changed(".".join(path), before.get(path, ABSENT), after.get(path, ABSENT))
        for path in sorted(before.keys() | after.keys())
        if not is_same(before.get(path, ABSENT), after.get(path, ABSENT))
    )


def is_same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Tell whether two JSON values are the same: 1 and 1.0 are, which JSON does not tell apart; 1 and true are not."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(is_same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _flatten(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401
    """Walk to the values; an empty dict is one, so that `{}` and no key at all differ."""
    if isinstance(value, Mapping) and (value or not path):
        for key, inner in value.items():
            yield from _flatten(inner, (*path, str(key)))
    else:
        yield path, value
