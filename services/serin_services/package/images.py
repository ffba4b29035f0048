"""Builds images with buildah or docker: a runtime per family, kept by its content's hash, and thin versions on it."""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import serin_services
from serin_services.package import errors, folder

BASE = "docker.io/library/python:3.11-slim"
DOCKERFILE = "Dockerfile"
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
# Where packages come from and whom to trust, handed on from this machine to the build, and to no image.
BUILD_ENVIRONMENT = ("SSL_CERT_FILE", "PIP_CERT", "PIP_INDEX_URL", "UV_INDEX_URL")
CERTIFICATES = Path("/etc/ssl/certs")

Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Image:
    """A built image: its name, the digest that its engine gives it, and the runtime it stands on."""

    name: str
    digest: str
    runtime: str


@dataclasses.dataclass(frozen=True)
class Engine:
    """A tool that builds images, with the forms of its commands that differ."""

    program: str

    def exists(self, image: str) -> bool:
        """Whether the image is in the engine's own store."""
        return (
            subprocess.run(
                [self.program, "inspect", "--type", "image", image], capture_output=True, check=False
            ).returncode
            == 0
        )

    def build(self, context: Path, arguments: list[str]) -> None:
        """Build from a folder.

        Raises:
            errors.PackageError: with the last lines that the engine wrote.
        """
        own = ["bud", "--isolation", "chroot", "--pull-never", "--layers"] if self.program == "buildah" else ["build"]
        ended = subprocess.run(
            [self.program, *own, *arguments, "."],
            cwd=context,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if ended.returncode:
            last = "\n".join(ended.stdout.splitlines()[-15:])
            raise errors.PackageError(
                "BuildFailed", f"{self.program} ended with {ended.returncode}; its last lines:\n{last}"
            )

    def digest(self, image: str) -> str:
        """The digest by which the engine knows the image."""
        form = "{{.FromImageDigest}}" if self.program == "buildah" else "{{.Id}}"
        ended = subprocess.run(
            [self.program, "inspect", "--type", "image", "--format", form, image],
            capture_output=True,
            text=True,
            check=True,
        )
        return ended.stdout.strip()


def build(package: folder.Package, name: str, wanted: str, progress: Progress) -> Image:
    """Build the image of a package.

    Raises:
        errors.PackageError: no engine, no base image, or a build that failed.
    """
    engine = find_engine(wanted)
    runtime = ensure_runtime(engine, package.manifest.family, progress)
    progress(f"building {name}")
    with tempfile.TemporaryDirectory(prefix="serin-build-") as scratch:
        context = Path(scratch)
        copy_package(package, context / "package")
        (context / DOCKERFILE).write_text(f"FROM {runtime}\nCOPY package/ /package/\n")
        engine.build(context, ["-t", name, *label_arguments(package)])
    return Image(name, engine.digest(name), runtime)


def copy_package(package: folder.Package, target: Path) -> None:
    """Copy only the files that the manifest names, readable for everyone."""
    for path in ["manifest.json", *(file.path for file in package.manifest.files)]:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package.path / path, target / path)
        (target / path).chmod(0o644)


def label_arguments(package: folder.Package) -> list[str]:
    """Say on the image what is in it."""
    labels = {
        "dev.serin.model": package.manifest.model,
        "dev.serin.version": package.manifest.version,
        "dev.serin.family": package.manifest.family,
        "dev.serin.package": f"sha256:{package.digest}",
        "org.opencontainers.image.version": package.manifest.version,
    }
    return [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]


def find_engine(wanted: str) -> Engine:
    """Take the engine asked for, or the first that works."""
    if wanted not in {"auto", "buildah", "docker"}:
        raise errors.PackageError("UnknownEngine", f"--engine: expected auto, buildah or docker, got {wanted!r}")
    for program in ("buildah", "docker") if wanted == "auto" else (wanted,):
        probe = "info" if program == "docker" else "version"
        if shutil.which(program) and subprocess.run([program, probe], capture_output=True, check=False).returncode == 0:
            return Engine(program)
    asked = "buildah or docker" if wanted == "auto" else wanted
    raise errors.PackageError(
        "NoEngine",
        f"expected {asked} to be installed and to work, found neither; install buildah, or start docker's service"
        if wanted == "auto"
        else f"expected {asked} to be installed and to work; install it, or use --engine auto",
    )


def ensure_runtime(engine: Engine, family: str, progress: Progress) -> str:
    """Give the name of the family's runtime image, built if what goes into it has changed."""
    with tempfile.TemporaryDirectory(prefix="serin-runtime-") as scratch:
        context = Path(scratch)
        stage(source_root(), [*RUNTIME_SOURCES, f"requirements/server-{family}.txt"], context)
        name = f"localhost/serin-runtime-{family}:{content_key(context)}"
        if engine.exists(name):
            return name
        ensure_base(engine)
        progress(f"building {name}, once for the family {family}")
        engine.build(
            context,
            ["--target", "runtime", "--build-arg", f"FAMILY={family}", "-t", name, *environment_arguments(engine)],
        )
    return name


def ensure_base(engine: Engine) -> None:
    """Refuse to start when buildah, which is kept from pulling, has no base image."""
    if engine.program == "buildah" and not engine.exists(BASE):
        raise errors.PackageError(
            "NoBaseImage",
            f"the base image {BASE} is not on this machine: run `serin local up` first, or, "
            f"where a registry is in reach, `buildah pull {BASE}`",
        )


def environment_arguments(engine: Engine) -> list[str]:
    """Let the build reach the package index as this machine does."""
    given = [word for name in BUILD_ENVIRONMENT if name in os.environ for word in ("--build-arg", name)]
    trusts = engine.program == "buildah" and CERTIFICATES.is_dir()
    return [*given, *(["-v", f"{CERTIFICATES}:{CERTIFICATES}:ro"] if trusts else [])]


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
        target = context / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (root / path).is_dir():
            shutil.copytree(root / path, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(root / path, target)


def content_key(context: Path) -> str:
    """Hash names and contents of every file."""
    total = hashlib.sha256()
    for path in sorted(path for path in context.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(context)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:12]
