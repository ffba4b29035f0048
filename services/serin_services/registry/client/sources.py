"""What a version is registered from: a package folder or a single file, which goes up with everything that belongs to it."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serin_services.registry import errors
from serin_services.registry.client import results, transfers
from serin_services.registry.client.files import Files
from serin_services.registry.client.versions import Versions

if TYPE_CHECKING:
    from serin_services.package.manifest import Manifest

MANIFEST = "manifest.json"

# Shows how far a file of so many bytes is; what it gives is told as `upload` tells it.
Bar = Callable[[str, int], AbstractContextManager[transfers.Progress]]


def show_nothing(_name: str, _size: int) -> AbstractContextManager[transfers.Progress]:
    """Show nobody how far a file is."""
    return contextlib.nullcontext(transfers.ignore)


def tell_nobody(_text: str) -> None:
    """Tell nobody what is done."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What is to be registered: the model's name, what is known of the version, and its files by their name there."""

    model: str
    body: Mapping[str, Any]
    files: Mapping[str, Path]


class Sources(Versions, Files):
    """The part of the client for versions with all their files."""

    def register_source(
        self, source: Source, *, tell: Callable[[str], None] = tell_nobody, bar: Bar = show_nothing
    ) -> results.Version:
        """Register a version and send its files, or go on with one that was registered before and is the same.

        The model is made if there is none of this name.

        Args:
            source: the version and its files.
            tell: is told each thing that is done, in words.
            bar: shows how far each file is.
        """
        self._ensure_model(source.model, tell)
        made = self._find_same(source) or self.register(source.model, source.body)
        tell(f"{made.model} {made.version}")
        for name, path in source.files.items():
            with bar(name, path.stat().st_size) as progress:
                self.upload(made.model, made.version, name, path, progress=progress)
        # With its artifact's digest, which the files have brought.
        return self.version(made.model, made.version)

    def _ensure_model(self, model: str, tell: Callable[[str], None]) -> None:
        try:
            self.model(model)
        except errors.NotFoundError:
            tell(f"model {model} is new")
            self.create_model(model)

    def _find_same(self, source: Source) -> results.Version | None:
        """Give the version of this number where it is of the same model file: an earlier run broke off behind it."""
        version, manifest = source.body.get("version"), source.body.get("manifest")
        number = version or (manifest["version"] if manifest else None)
        if number is None:
            return None
        try:
            found = self.version(source.model, number)
        except errors.NotFoundError:
            return None
        files = manifest["files"] if manifest else []
        digest = next((file["sha256"] for file in files if file["role"] == "artifact"), "")
        return found if digest and found.artifact_sha256 == digest else None


def read_package(path: Path, body: Mapping[str, Any]) -> Source:
    """Read a package folder, with every check that a server makes.

    Raises:
        errors.InvalidError: it is not as its manifest says.
    """
    from serin_services.package import errors as package_errors  # noqa: PLC0415 - only where there is a package
    from serin_services.package import folder  # noqa: PLC0415 - as above

    try:
        manifest = folder.read(path).manifest
    except package_errors.PackageError as error:
        raise errors.InvalidError(str(error)) from error
    document = json.loads(manifest.to_json())
    return Source(manifest.model, {**body, "manifest": document}, _name_files(path, manifest))


def _name_files(path: Path, manifest: "Manifest") -> dict[str, Path]:
    """Give each file its name in the registry: the model's own is `model`, its ONNX form `model.onnx`."""
    roles = {"artifact": "model", "form": "model.onnx"}
    files = {roles.get(file.role, f"package/{file.path}"): path / file.path for file in manifest.files}
    return {**files, f"package/{MANIFEST}": path / MANIFEST}
