"""Builds images: a runtime per family, kept by its content's hash, and thin versions on it."""

import dataclasses
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import serin
import serin_services
from serin_services.image import engines, inventory, sbom
from serin_services.package import errors, folder, manifest

BASE = "docker.io/library/python:3.11-slim"
DOCKERFILE = "Dockerfile"
# Where a version's parts stand in its image.
PACKAGE = "package"
BILL = "sbom.cdx.json"
# What an image of the family is made of, relative to the distribution's source.
RUNTIME_SOURCES = (
    DOCKERFILE,
    "requirements/bootstrap.txt",
    # For its OpenMP, whatever the family.
    "requirements/server-xgboost.txt",
    "operator/serin/__init__.py",
    "operator/serin/api",
    "services/serin_services/__init__.py",
    "services/serin_services/package",
    "services/serin_services/server",
)
# Where the tree's folders of code are: in the tree, or where a wheel was installed.
PACKAGES = {"operator": Path(serin.__file__).parent.parent, "services": Path(serin_services.__file__).parent.parent}
# Lineage that has a label of its own in every registry and scanner (OCI image specification, annotations).
SOURCE_LABELS = {
    "source": "org.opencontainers.image.source",
    "repository": "org.opencontainers.image.source",
    "commit": "org.opencontainers.image.revision",
    "revision": "org.opencontainers.image.revision",
}

Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Image:
    """A built image: its name, the digest that its engine gives it, its runtime, and its bill of materials."""

    name: str
    digest: str
    runtime: str
    bill: bytes


def build(package: folder.Package, name: str, wanted: str, progress: Progress) -> Image:
    """Build the image of a package.

    Raises:
        errors.PackageError: no engine, no base image, or a build that failed.
    """
    engine = engines.find_engine(wanted)
    runtime = ensure_runtime(engine, package.manifest.family, progress)
    progress(f"building {name}")
    bill = sbom.write(package, inventory.read(engine, runtime), engines.epoch())
    with tempfile.TemporaryDirectory(prefix="serin-build-") as scratch:
        context = Path(scratch)
        fill_layer(package, bill, context / "layer")
        (context / DOCKERFILE).write_text(f"FROM {runtime}\nCOPY layer/ /\n")
        engine.build(context, ["-t", name, *label_arguments(make_labels(package, bill))], cached=False)
    return Image(name, engine.digest(name), runtime, bill)


def fill_layer(package: folder.Package, bill: bytes, layer: Path) -> None:
    """Lay out what a version adds to its runtime: the files that the manifest names, and the bill of materials."""
    for name in [manifest.FILE_NAME, *(file.path for file in package.manifest.files)]:
        target = layer / PACKAGE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package.path / name, target)
    (layer / BILL).write_bytes(bill)
    for path in (layer, *layer.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def make_labels(package: folder.Package, bill: bytes) -> dict[str, str]:
    """Say on the image what is in it: `serin verify` holds the image against this."""
    document = package.manifest
    labels = {
        "dev.serin.model": document.model,
        "dev.serin.version": document.version,
        "dev.serin.family": document.family,
        "dev.serin.package": f"sha256:{package.digest}",
        "dev.serin.sbom": f"sha256:{folder.sha256(bill)}",
        "org.opencontainers.image.title": document.model,
        "org.opencontainers.image.version": document.version,
    }
    labels |= {label: document.lineage[key] for key, label in SOURCE_LABELS.items() if key in document.lineage}
    return labels


def label_arguments(labels: dict[str, str]) -> list[str]:
    """Give the words that put labels on a build."""
    return [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]


def ensure_runtime(engine: engines.Engine, family: str, progress: Progress) -> str:
    """Give the name of the family's runtime image, built if what goes into it has changed."""
    with tempfile.TemporaryDirectory(prefix="serin-runtime-") as scratch:
        context = Path(scratch)
        stage(source_root(), [*RUNTIME_SOURCES, f"requirements/server-{family}.txt"], context)
        name = f"localhost/serin-runtime-{family}:{content_key(context)}"
        if engine.exists(name):
            return name
        ensure_base(engine)
        progress(f"building {name}, once for the family {family}")
        arguments = ["--target", "runtime", "--build-arg", f"FAMILY={family}", "-t", name]
        engine.build(context, [*arguments, *engine.environment_arguments()])
    return name


def ensure_base(engine: engines.Engine) -> None:
    """Refuse to start when buildah, which is kept from pulling, has no base image."""
    if engine.program == "buildah" and not engine.exists(BASE):
        raise errors.PackageError(
            "NoBaseImage",
            f"the base image {BASE} is not on this machine: run `serin local up` first, or, "
            f"where a registry is in reach, `buildah pull {BASE}`",
        )


def source_root() -> Path:
    """Find the distribution's source: the tree it was installed from, or what the wheel carries of it."""
    package_folder = Path(serin_services.__file__).parent
    for root in (package_folder.parent.parent, package_folder / "image_source"):
        if (root / DOCKERFILE).is_file():
            return root
    raise errors.PackageError(
        "NoSource",
        f"{package_folder}: expected the Dockerfile and lock files of serin beside it; install serin from its source",
    )


def stage(root: Path, sources: Iterable[str], context: Path) -> None:
    """Copy what a build reads, and nothing else, so that nothing else changes its result or its key."""
    for path in sources:
        source, target = locate(root, path), context / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)


def locate(root: Path, path: str) -> Path:
    """Find a source by its path in the tree; a wheel has installed the code, and carries the rest."""
    part, _, rest = path.partition("/")
    return PACKAGES[part] / rest if part in PACKAGES else root / path


def content_key(context: Path) -> str:
    """Hash names and contents of every file, and the time that the image will say."""
    total = hashlib.sha256(f"{engines.epoch()}\n".encode())
    for path in sorted(path for path in context.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(context)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:12]
