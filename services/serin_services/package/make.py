"""Makes a package of a trained model, and fills in what the model itself knows."""

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pydantic

from serin_services.package import errors, families, folder, manifest

# BentoML's own file, so that the folder is a project that `bentoml build` takes.
BENTOFILE = """\
service: serin_services.server.bento:ModelServer
name: {model}
labels:
  model: "{model}"
  version: "{version}"
include:
{files}
python:
  packages:
  - serin[server,{family}]
  lock_packages: false
envs:
- name: BENTOML_DO_NOT_TRACK
  value: "1"
"""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a package is made of; features and labels that are not given are taken from the model."""

    source: Path
    model: str
    version: str
    features: tuple[manifest.Feature, ...] | None = None
    labels: tuple[str, ...] | None = None
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    lineage: dict[str, str] = dataclasses.field(default_factory=dict)
    allow_nan: bool = False


def make(recipe: Recipe, target: Path, *, replace: bool = False) -> folder.Package:
    """Make the folder, read it back with every check, and open the model from it.

    Raises:
        errors.PackageError: the recipe does not fit the model, or the target cannot be written.
    """
    check_target(target, replace=replace)
    for problem in (manifest.name_problem(recipe.model), manifest.version_problem(recipe.version)):
        if problem:
            raise errors.PackageError("InvalidName", problem)
    artifact = folder.read_limited(recipe.source, folder.MAX_ARTIFACT_BYTES, "the model file")
    family = families.recognise(artifact, str(recipe.source))
    opened = families.open_model(family, artifact, str(recipe.source))
    document, contents = describe(recipe, family, opened.inspection, artifact)
    families.check_schema(document, opened.inspection)
    folder.write(target, document, contents)
    made = folder.read(target)
    folder.open_package(made)
    return made


def describe(
    recipe: Recipe, family: families.Family, found: families.Inspection, artifact: bytes
) -> tuple[manifest.Manifest, dict[str, bytes]]:
    """Write the manifest and the files beside it."""
    name = f"model{artifact_suffix(family, artifact)}"
    files = "\n".join(f"- {path}" for path in sorted([name, manifest.FILE_NAME, folder.BENTOFILE]))
    bentofile = BENTOFILE.format(model=recipe.model, version=recipe.version, family=family.name, files=files).encode()
    features = recipe.features or own_features(found)
    if recipe.allow_nan:
        features = tuple(feature.model_copy(update={"allow_nan": True}) for feature in features)
    labels = recipe.labels or tuple(str(index) for index in range(found.classes))
    try:
        inputs, outputs = families.describe_tensors(family, found, features)
        document = manifest.Manifest(
            model=recipe.model,
            version=recipe.version,
            family=family.name,
            task=found.task,
            inputs=inputs,
            outputs=outputs,
            classes=labels,
            metrics=recipe.metrics,
            lineage=recipe.lineage,
            files=(
                folder.make_file(name, "artifact", artifact),
                folder.make_file(folder.BENTOFILE, "project", bentofile),
            ),
        )
    except pydantic.ValidationError as error:
        raise errors.PackageError("ManifestInvalid", manifest.describe(error)) from error
    return document, {name: artifact, folder.BENTOFILE: bentofile}


def artifact_suffix(family: families.Family, artifact: bytes) -> str:
    """Give the suffix of the format that the artifact is in: XGBoost's JSON has text behind its first brace."""
    return family.suffixes[-1] if artifact[1:].lstrip()[:1] == b'"' else family.suffixes[0]


def own_features(found: families.Inspection) -> tuple[manifest.Feature, ...]:
    """Take names and types from the model; features without a name get f0, f1 and so on."""
    names = found.feature_names or tuple(f"f{index}" for index in range(found.width))
    return tuple(manifest.Feature(name=name, dtype=dtype) for name, dtype in zip(names, found.dtypes, strict=True))


def check_target(target: Path, *, replace: bool) -> None:
    """Refuse to write over anything but, when asked for, another package."""
    if not target.exists():
        return
    if not replace or not (target / manifest.FILE_NAME).is_file():
        hint = (
            "choose another folder" if replace else "choose another folder, or replace the package there with --force"
        )
        raise errors.PackageError("TargetExists", f"{target}: already exists; {hint}")


def read_features(path: Path) -> tuple[manifest.Feature, ...]:
    """Read features from JSON (names, or objects of name, dtype, unit, allow_nan) or CSV.

    A CSV has either a header with the column `name` and a line for each feature, or is data whose header names them.
    """
    content = folder.read_limited(path, manifest.MAX_MANIFEST_BYTES, "the features file")
    try:
        given = json.loads(content) if path.suffix == ".json" else from_csv(content.decode())
        if not isinstance(given, list):
            raise errors.PackageError(
                "InvalidFeatures", f"{path}: expected a list of features, got {type(given).__name__}"
            )
        return tuple(
            manifest.Feature(name=item) if isinstance(item, str) else manifest.Feature.model_validate(item)
            for item in given
        )
    except pydantic.ValidationError as error:
        said = manifest.describe(error)
    except ValueError as error:
        said = str(error)
    raise errors.PackageError("InvalidFeatures", f"{path}: {said}")


def from_csv(text: str) -> list[Any]:
    """Read features from CSV: blank cells count as not given."""
    lines = list(csv.reader(text.splitlines()))
    if not lines:
        return []
    header = [cell.strip() for cell in lines[0]]
    if "name" not in header:
        return header
    return [
        {column: cell.strip() for column, cell in zip(header, line, strict=False) if cell.strip()}
        for line in lines[1:]
        if line
    ]


def number(name: str, text: str) -> float:
    """Read a metric's value."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise errors.PackageError("InvalidMetric", f"metric {name}: expected a finite number, got {text!r}")
    return value
