"""Sizes of images, and the time of a build."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from serin_services.image import engines, layouts
from serin_services.package import errors, folder

from . import models

FAMILIES = ("xgboost", "lightgbm")
BUILDS = 3
SERIN = str(Path(sys.executable).parent / "serin")


def measure(kinds: tuple[models.Kind, ...], artifacts: Path, engine: engines.Engine, scratch: Path) -> dict[str, float]:
    """For each tree family: its unpacked runtime, and what a further version adds to it and takes to build.

    Raises:
        errors.PackageError: a package that is refused, or a build that failed.
    """
    found = {}
    for kind in kinds:
        if kind.family in FAMILIES:
            found |= measure_family(kind, artifacts, engine, scratch)
    return found


def measure_family(kind: models.Kind, artifacts: Path, engine: engines.Engine, scratch: Path) -> dict[str, float]:
    """Build a first version, which makes the runtime, and then further ones."""
    taken, names = [], []
    for number in range(BUILDS + 1):
        version = f"1.0.{number + 1}"
        package = models.package(kind, artifacts, scratch / version, version).package
        if package is None:
            raise errors.PackageError("Refused", f"`serin package` refused the {kind.name} model")
        name = f"localhost/serin-bench-{kind.name}:{version}"
        begun = time.monotonic()
        run(SERIN, "build", str(package), "-t", name, "--engine", engine.program)
        taken.append(time.monotonic() - begun)
        names.append(name)
    base, *runtime, layer = read_layers(engine, name)
    run(engine.program, "rmi", *names)
    files = folder.read(package).manifest.files
    artifact = sum(file.size for file in files if file.role == "artifact")
    return {
        f"{kind.name}: Python's base image, MB": base / 1e6,
        f"{kind.name}: runtime, MB": sum(runtime) / 1e6,
        f"{kind.name}: version beyond the artifact, KB": (layer - artifact) / 1024,
        f"{kind.name}: version beyond the model's files, KB": (layer - sum(file.size for file in files)) / 1024,
        f"{kind.name}: first build, s": taken[0],
        f"{kind.name}: further build, s": statistics.median(taken[1:]),
    }


def run(*argv: str) -> None:
    """Run a program. Raises `PackageError` with what it said."""
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise errors.PackageError("BuildFailed", f"`{' '.join(argv)}`: {ended.stderr.strip()}")


def read_layers(engine: engines.Engine, name: str) -> list[int]:
    """The unpacked bytes of each layer, from the base's."""
    with layouts.open_image(name, engine.program) as image:
        return [layer.size for layer in image.read_manifest(image.digest).layers]
