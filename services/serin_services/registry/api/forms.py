"""The forms in which versions come in."""

import datetime as dt
from typing import Annotated, Any, Literal, Self

import pydantic

from serin_services.package.manifest import MAX_FEATURES, Manifest
from serin_services.registry import errors
from serin_services.registry.api.schemas import (
    JsonObject,
    Labels,
    Line,
    Metrics,
    Reason,
    Request,
    Sha256,
)
from serin_services.registry.core.stages import Stage
from serin_services.registry.records.catalogue import drafts, versions

# A label value: metrics and deployments carry it.
Family = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
Number = Annotated[str, pydantic.StringConstraints(min_length=5, max_length=63, pattern=r"^[A-Za-z0-9.-]+$")]
Moment = pydantic.AwareDatetime
# What a manifest says, and nobody else then.
_MANIFEST = ("family", "architecture", "features", "artifact_sha256")


class FeatureForm(Request):
    """One input column."""

    name: Line = pydantic.Field(min_length=1, examples=["rsi_14"])
    dtype: Line = "float64"
    unit: Line | None = None


class DataForm(Request):
    """What a version was trained, validated and tested on, by split."""

    ranges: dict[Line, tuple[Moment, Moment]] = pydantic.Field(default_factory=dict, max_length=16)
    samples: dict[Line, Annotated[int, pydantic.Field(ge=0, le=2**53 - 1)]] = pydantic.Field(
        default_factory=dict, max_length=16, examples=[{"train": 90_000, "validation": 10_000}]
    )

    def dump(self) -> dict[str, Any]:
        """Give plain JSON, with all times in UTC, so that the same moment is the same text."""
        ranges = {
            split: [end.astimezone(dt.UTC).isoformat() for end in ends] for split, ends in sorted(self.ranges.items())
        }
        return {name: value for name, value in (("ranges", ranges), ("samples", self.samples)) if value}


class NewVersion(Request):
    """A version to be registered: a package's manifest, or field by field; a manifest's metrics and labels may be added to."""

    model_config = pydantic.ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "family": "xgboost",
                    "hyperparameters": {"max_depth": 6, "eta": 0.1},
                    "features": [{"name": "rsi_14"}, {"name": "volume", "unit": "shares"}],
                    "target": "direction_1h",
                    "data": {"samples": {"train": 90000}},
                    "metrics": {"accuracy": 0.64},
                }
            ]
        }
    )

    manifest: Manifest | None = pydantic.Field(default=None, description="The package's manifest.json.")
    version: Number | None = pydantic.Field(
        default=None, description="MAJOR.MINOR.PATCH; left out, it is decided from what changed.", examples=["1.3.0"]
    )
    parent: Line | None = pydantic.Field(
        default=None, description="The version that it was made from; left out, the highest one.", examples=["1.2.0"]
    )
    family: Family | None = pydantic.Field(default=None, description="Needed without a manifest.")
    architecture: JsonObject = pydantic.Field(default_factory=dict)
    hyperparameters: JsonObject = pydantic.Field(default_factory=dict)
    features: list[FeatureForm] = pydantic.Field(default_factory=list, max_length=MAX_FEATURES)
    feature_version: Line = ""
    target: Line = ""
    data: DataForm = pydantic.Field(default_factory=DataForm)
    metrics: Metrics = pydantic.Field(default_factory=dict)
    labels: Labels = pydantic.Field(default_factory=dict)
    artifact_sha256: Sha256 | Literal[""] = ""
    image: Line = pydantic.Field(default="", description="With its digest.")
    run_id: Line = ""
    trained_at: Moment | None = None

    @pydantic.model_validator(mode="after")
    def fits_together(self) -> Self:
        """Refuse a version of no family, and one that says itself what its manifest says."""
        if self.manifest is None and self.family is None:
            raise ValueError("expected a family, or a package's manifest")
        if self.manifest is not None and (doubled := [name for name in _MANIFEST if getattr(self, name)]):
            raise ValueError(f"{', '.join(doubled)}: the manifest says it already")
        names = [feature.name for feature in self.features]
        if len(set(names)) != len(names):
            raise ValueError("features: each name stands once")
        return self

    def to_draft(self, model: str) -> drafts.Draft:
        """Give the draft of a version of a model.

        Raises:
            errors.InvalidError: the manifest is of another model or number.
        """
        fields = {name: getattr(self, name) for name in _PLAIN}
        fields |= {"features": [each.model_dump() for each in self.features], "data": self.data.dump()}
        if self.manifest is None:
            return drafts.Draft(**fields)
        self._check_manifest(self.manifest, model)
        said = drafts.from_manifest(self.manifest)
        added = {name: {**said.pop(name), **fields[name]} for name in ("metrics", "labels")}
        return drafts.Draft(**{**fields, **said, **added})

    def _check_manifest(self, manifest: Manifest, model: str) -> None:
        for where, wanted, came in (
            ("model", model, manifest.model),
            ("version", self.version or manifest.version, manifest.version),
        ):
            if wanted != came:
                message = f"expected {wanted!r}, got {came!r}"
                raise errors.InvalidError(f"manifest.{where}: {message}", errors.Fault(f"manifest.{where}", message))


# The fields that a draft takes as they are.
_PLAIN = (
    "version",
    "parent",
    "family",
    "architecture",
    "hyperparameters",
    "feature_version",
    "target",
    "metrics",
    "labels",
    "artifact_sha256",
    "image",
    "run_id",
    "trained_at",
)


class VersionChanges(Request):
    """What is to be changed; what is left out stays. The last four can be said once, where they are not known yet."""

    metrics: Metrics | None = pydantic.Field(default=None, description="All metrics anew.")
    labels: Labels | None = pydantic.Field(default=None, description="All labels anew.")
    artifact_sha256: Sha256 | None = None
    image: Annotated[Line, pydantic.Field(min_length=1)] | None = None
    run_id: Annotated[Line, pydantic.Field(min_length=1)] | None = None
    trained_at: Moment | None = None

    def to_changes(self) -> versions.Changes:
        """Give the changes."""
        return versions.Changes(**{name: getattr(self, name) for name in type(self).model_fields})


class NewMove(Request):
    """A move through the lifecycle."""

    target: Stage
    why: Reason = pydantic.Field(examples=["backtest over a year passed"])
