"""Reads what is given to `serin package` besides the model: features, scalers, and numbers by name."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pydantic

from serin_services.package import errors, folder, manifest

# The words of scikit-learn and of statistics for what a scaler is made of.
SCALER_WORDS = {"mean": "offset", "mean_": "offset", "std": "scale", "scale_": "scale"}


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
    except (ValueError, RecursionError) as error:
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


def read_scaler(path: Path) -> dict[str, Any]:
    """Read a scaler from JSON: offset and scale, or mean and std, as lists, and the input's name where there are more.

    The numbers are checked with the manifest that they go into.
    """
    content = folder.read_limited(path, manifest.MAX_MANIFEST_BYTES, "the scaler file")
    try:
        given = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise errors.PackageError("InvalidScaler", f"{path}: not JSON: {error}") from error
    if not isinstance(given, dict):
        raise errors.PackageError(
            "InvalidScaler", f"{path}: expected an object with offset and scale, got {type(given).__name__}"
        )
    return {SCALER_WORDS.get(str(key), str(key)): value for key, value in given.items()}


def number(name: str, text: str) -> float:
    """Read a metric's value."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise errors.PackageError("InvalidMetric", f"metric {name}: expected a finite number, got {text!r}")
    return value


def quantiles(text: str) -> tuple[float, ...]:
    """Read quantiles by comma; the manifest checks that they ascend."""
    return tuple(number("--quantiles", part.strip()) for part in text.split(","))
