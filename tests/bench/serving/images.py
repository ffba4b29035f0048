"""Sizes of images and the time of a build, where this machine has an engine and the base image."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from serin_services.image import builds, engines
from serin_services.package import errors, folder

from . import models

FAMILIES = ("xgboost", "lightgbm")


def measure(made: list[models.Model], artifacts: Path, scratch: Path) -> dict[str, float]:
    """The unpacked size of each family's runtime, and what a further version adds to it and takes to build.

    Raises:
        errors.PackageError: no engine, no base image, or a build that failed.
    """
    engine = engines.find_engine("auto")
    found = {}
    for model in made:
        if model.package and model.kind.family in FAMILIES:
            runtime = builds.ensure_runtime(engine, model.kind.family, lambda _: None)
            found[f"runtime {model.kind.family} MB"] = sum(read_layers(engine, runtime)) / 1e6
    tree = next((model for model in made if model.package and model.kind.family in FAMILIES), None)
    return {**found, **(measure_version(engine, tree, artifacts, scratch) if tree else {})}


def measure_version(engine: engines.Engine, model: models.Model, artifacts: Path, scratch: Path) -> dict[str, float]:
    """Build one more version of a model whose runtime is there."""
    further = models.package(model.kind, artifacts, scratch / "further", version="1.0.1")
    if further.package is None:
        raise errors.PackageError("Refused", further.refusal)
    name = f"localhost/serin-bench-{model.kind.name}:1.0.1"
    begun = time.monotonic()
    build = [str(Path(sys.executable).parent / "serin"), "build", str(further.package), "-t", name]
    subprocess.run(build, capture_output=True, check=True)
    seconds = time.monotonic() - begun
    layer = read_layers(engine, name)[-1]
    package = folder.read(further.package)
    files = sum(file.size for file in package.manifest.files)
    return {
        "build s": seconds,
        "version layer beyond the artifact KB": (layer - package.manifest.artifact.size) / 1024,
        "version layer beyond the model's files KB": (layer - files) / 1024,
    }


def read_layers(engine: engines.Engine, image: str) -> list[int]:
    """The unpacked bytes of each layer, from the first."""
    with tempfile.TemporaryDirectory(prefix="serin-layers-") as scratch:
        target = Path(scratch) / "image"
        engine.export(image, target)
        if target.is_dir():
            return [layer["size"] for layer in json.loads((target / "manifest.json").read_text())["layers"]]
        return []
