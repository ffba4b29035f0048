"""Sizes of images, and the time of a build."""

import statistics
import sys
import time
from pathlib import Path

from serin_local import layout, store
from serin_services.image import engines, layouts
from serin_services.package import errors, folder

from . import environments, models

FAMILIES = ("xgboost", "lightgbm")
BUILDS = 3
ADVICE = "the end of its output says what is wrong; then measure it again: `ARGS=--parts=images`"
SERIN = str(Path(sys.executable).parent / "serin")


def measure(
    kinds: tuple[models.Kind, ...], artifacts: Path, workshop: environments.Workshop, scratch: Path
) -> dict[str, float]:
    """For each tree family: its unpacked runtime, and what a further version adds to it and takes to build.

    Raises:
        errors.PackageError: a package that is refused.
        serin_local.errors.ClusterError: no engine that could be installed, or a build that failed.
    """
    found, engine = {}, workshop.engine()
    for kind in kinds:
        if kind.family in FAMILIES:
            found |= measure_family(kind, artifacts, workshop.home, engine, scratch)
    return found


def measure_family(
    kind: models.Kind, artifacts: Path, home: layout.Layout, engine: engines.Engine, scratch: Path
) -> dict[str, float]:
    """Build a first version, which makes the runtime, and then further ones."""
    taken, names = [], []
    for number in range(BUILDS + 1):
        version = f"1.0.{number + 1}"
        package = models.package(kind, artifacts, scratch / version, version).package
        if package is None:
            raise errors.PackageError("Refused", f"`serin package` refused the {kind.name} model")
        name = f"localhost/serin-bench-{kind.name}:{version}"
        begun = time.monotonic()
        argv = [SERIN, "build", str(package), "-t", name, "--engine", engine.program]
        store.execute(home, "build an image", argv, ADVICE)
        taken.append(time.monotonic() - begun)
        names.append(name)
    base, *runtime, layer = read_layers(engine, name)
    store.execute(home, "remove images", [engine.program, "rmi", *names], ADVICE)
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


def read_layers(engine: engines.Engine, name: str) -> list[int]:
    """The unpacked bytes of each layer, from the base's."""
    with layouts.open_image(name, engine.program) as image:
        return [layer.size for layer in image.read_manifest(image.digest).layers]
