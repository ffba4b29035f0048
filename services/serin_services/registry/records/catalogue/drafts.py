"""What a new version is made of, as a caller says it field by field, or as a package's manifest says it."""

import dataclasses
import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

from serin_services.package.manifest import Manifest, Tensor
from serin_services.registry.core.configuration import Configuration
from serin_services.registry.database import tables

Json = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Draft:
    """A version to be registered; without a number it is given one, without a parent the latest version is it."""

    family: str
    version: str | None = None
    parent: str | None = None
    architecture: Json = dataclasses.field(default_factory=dict)
    hyperparameters: Json = dataclasses.field(default_factory=dict)
    # Each with its name, type and unit, in the order of a row.
    features: Sequence[Json] = ()
    feature_version: str = ""
    target: str = ""
    # `ranges` (by split, from when to when) and `samples` (by split, how many).
    data: Json = dataclasses.field(default_factory=dict)
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    artifact_sha256: str = ""
    image: str = ""
    run_id: str = ""
    trained_at: dt.datetime | None = None

    @property
    def configuration(self) -> Configuration:
        """What of it is compared with other versions."""
        return _make_configuration(self)


def from_manifest(manifest: Manifest) -> dict[str, Any]:
    """Give the fields of a draft that a package's manifest knows.

    The width of an input is left to its features: one more of these is an added feature and no other architecture.
    """
    architecture = {
        "task": manifest.task,
        "inputs": [_describe(tensor) for tensor in manifest.inputs],
        "outputs": [_describe(tensor) for tensor in manifest.outputs],
        "classes": list(manifest.classes),
        "quantiles": list(manifest.quantiles),
        "activation": manifest.activation,
    }
    features = [feature for tensor in manifest.inputs for feature in tensor.features]
    return {
        "family": manifest.family,
        "version": manifest.version,
        "architecture": {name: value for name, value in architecture.items() if value},
        "features": [{"name": each.name, "dtype": each.dtype, "unit": each.unit} for each in features],
        "metrics": {name: value for name, value in manifest.metrics.items() if math.isfinite(value)},
        "labels": {f"lineage.{name}": value for name, value in manifest.lineage.items()},
        "artifact_sha256": manifest.artifact.sha256,
    }


def configuration_of(version: tables.ModelVersion) -> Configuration:
    """Give what of a registered version is compared with others."""
    return _make_configuration(version)


def _make_configuration(found: Draft | tables.ModelVersion) -> Configuration:
    return Configuration.load(
        {
            "family": found.family,
            "structure": dict(found.architecture),
            "hyperparameters": dict(found.hyperparameters),
            "features": list(found.features),
            "feature_version": found.feature_version,
            "target": {"name": found.target} if found.target else {},
            "data": dict(found.data),
            "digest": found.artifact_sha256,
        }
    )


def _describe(tensor: Tensor) -> dict[str, Any]:
    shape = tensor.shape[:-1] if tensor.features else tensor.shape
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(shape)}
