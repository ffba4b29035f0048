"""Versions that must not start: a good version's image under a layer in which its package is not what it should be."""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serin_services.image import builds, engines
from serin_services.package import folder

Document = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Corruption:
    """What is done to a package's folder, and the reason and the words that the server must answer it with."""

    reason: str
    said: str
    apply: Callable[[Path], None]


def artifact_of(package: Path) -> Path:
    """Find the trained model in a package's folder."""
    document = json.loads((package / "manifest.json").read_bytes())
    return package / next(file["path"] for file in document["files"] if file["role"] == "artifact")


def change_artifact(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change the trained model, and leave the manifest as it was."""

    def apply(package: Path) -> None:
        artifact = artifact_of(package)
        artifact.write_bytes(change(artifact.read_bytes()))

    return apply


def replace_artifact(content: bytes) -> Callable[[Path], None]:
    """Put another file in the model's place, and vouch for it in the manifest."""

    def apply(package: Path) -> None:
        artifact = artifact_of(package)
        artifact.write_bytes(content)

        def vouch(document: Document) -> None:
            entry = next(file for file in document["files"] if file["role"] == "artifact")
            entry |= {"size": len(content), "sha256": folder.sha256(content)}

        change_manifest(vouch)(package)

    return apply


def change_manifest(change: Callable[[Document], None]) -> Callable[[Path], None]:
    """Change the manifest."""

    def apply(package: Path) -> None:
        document = json.loads((package / "manifest.json").read_bytes())
        change(document)
        (package / "manifest.json").write_text(json.dumps(document))

    return apply


def leave_out_a_feature(document: Document) -> None:
    """Describe the rows with one feature fewer than the model takes."""
    rows = document["inputs"][0]
    rows["features"].pop()
    rows["shape"][-1] -= 1


CORRUPTIONS = {
    "truncated": Corruption("WrongDigest", "expected", change_artifact(lambda content: content[: len(content) // 2])),
    "flipped": Corruption("WrongDigest", "sha256", change_artifact(lambda content: content[:-1] + b"\xff")),
    "pickle": Corruption(
        "WrongFormat", "a pickle", replace_artifact(b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00}.")
    ),
    "schema": Corruption("FeatureSchemaMismatch", "features", change_manifest(leave_out_a_feature)),
}


def corrupt(package: Path, corruption: Corruption, target: Path) -> Path:
    """Copy a package's folder and do to the copy what a corruption does."""
    copied = Path(shutil.copytree(package, target))
    corruption.apply(copied)
    return copied


def build(image: str, package: Path, name: str, engine: engines.Engine) -> str:
    """Build a corrupt version on the image of the good one, and name it."""
    with tempfile.TemporaryDirectory(prefix="serin-corrupt-") as scratch:
        context = Path(scratch)
        corrupted = corrupt(package, CORRUPTIONS[name], context / builds.PACKAGE)
        for path in (corrupted, *corrupted.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        layer = f"FROM localhost/{image}\nCOPY {builds.PACKAGE}/ /{builds.PACKAGE}/\n"
        (context / builds.DOCKERFILE).write_text(layer)
        engine.build(context, ["-t", f"{image}-{name}"])
    return f"{image}-{name}"
