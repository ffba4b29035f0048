"""What is installed in an image, asked of the image itself: a lock file says only what was meant to be."""

import dataclasses
import json
from typing import Any

from serin_services.image import engines
from serin_services.package import errors

# Runs inside the image, so it has the standard library alone. Lists what Python finds there and what dpkg wrote down.
LISTING = r"""
import importlib.metadata, json, pathlib, platform, sysconfig

def read_paragraphs(path):
    text = pathlib.Path(path).read_text() if pathlib.Path(path).exists() else ""
    for paragraph in filter(None, text.split("\n\n")):
        yield dict(line.split(": ", 1) for line in paragraph.splitlines() if line[:1].strip() and ": " in line)

def describe(found):
    said = found.metadata
    license = said.get("License-Expression") or said.get("License") or ""
    return [said["Name"], found.version, license if len(license) <= 40 else ""]

system = [p for p in read_paragraphs("/var/lib/dpkg/status") if p.get("Status", "").endswith(" installed")]
print(json.dumps({
    "python": platform.python_version(),
    "distribution": platform.freedesktop_os_release().get("ID", "linux"),
    "packages": sorted(describe(found) for found in importlib.metadata.distributions(path=[sysconfig.get_path("purelib")])),
    "system": sorted([p["Package"], p["Version"], p["Architecture"]] for p in system),
}))
"""


@dataclasses.dataclass(frozen=True)
class PythonPackage:
    """A distribution in the image's site-packages; its license is as its author wrote it, or empty."""

    name: str
    version: str
    license: str


@dataclasses.dataclass(frozen=True)
class SystemPackage:
    """A package of the base image's distribution."""

    name: str
    version: str
    architecture: str


@dataclasses.dataclass(frozen=True)
class Inventory:
    """Everything installed in an image, by name."""

    runtime: str
    python: str
    distribution: str
    packages: tuple[PythonPackage, ...]
    system: tuple[SystemPackage, ...]


def read(engine: engines.Engine, image: str) -> Inventory:
    """List what is installed in an image.

    Raises:
        errors.PackageError: the image cannot be run, or answers something else.
    """
    said = engine.run_python(image, LISTING)
    try:
        return parse(image, json.loads(said))
    except (ValueError, KeyError, TypeError) as error:
        raise errors.PackageError(
            "EngineFailed", f"{image}: expected a list of what is installed in it, got {said[:80]!r}; build it again"
        ) from error


def parse(image: str, found: dict[str, Any]) -> Inventory:
    """Read what the listing printed."""
    return Inventory(
        runtime=image,
        python=found["python"],
        distribution=found["distribution"],
        packages=tuple(PythonPackage(*row) for row in found["packages"]),
        system=tuple(SystemPackage(*row) for row in found["system"]),
    )
