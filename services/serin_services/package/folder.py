"""The package folder: written by `serin package`, and read with every check before a parser sees a byte of a model."""

import dataclasses
import hashlib
import json
import shutil
import stat
import tempfile
from pathlib import Path

import pydantic

from serin_services.package import errors, families, forms, manifest

# Of a file, by its role.
MAX_BYTES = {"artifact": 1024 * 1024 * 1024, "form": 1024 * 1024 * 1024, "project": 64 * 1024}
BENTOFILE = "bentofile.yaml"


@dataclasses.dataclass(frozen=True)
class Package:
    """A package whose files are all what its manifest says; its digest is the manifest's, which holds theirs.

    What the model starts from is kept in memory until it is read.
    """

    path: Path
    manifest: manifest.Manifest
    digest: str
    contents: dict[str, bytes]

    @property
    def family(self) -> families.Family:
        """The family that the artifact belongs to."""
        return families.FAMILIES[self.manifest.family]

    def read(self, path: str) -> bytes:
        """Give a file as it was checked; one that is no longer in memory is read and checked again."""
        if path in self.contents:
            return self.contents.pop(path)
        file = next(file for file in self.manifest.files if file.path == path)
        return verified(self.path, file, self.manifest.family)


def read(path: Path) -> Package:
    """Read a package folder and check all of it.

    What the model is opened from is given on from memory, so what was checked is what is parsed.

    Raises:
        errors.PackageError: anything is not as the manifest says.
    """
    found = regular_files(path)
    content = read_limited(path / manifest.FILE_NAME, manifest.MAX_MANIFEST_BYTES, "the manifest")
    document = parse(content, path / manifest.FILE_NAME)
    listed = {file.path for file in document.files}
    if extra := sorted(found - listed - {manifest.FILE_NAME}):
        raise errors.PackageError(
            "UnexpectedFile",
            f"{path}: {extra[0]!r} is not in {manifest.FILE_NAME} ({len(extra)} such); expected only "
            f"{', '.join(sorted(listed))}; remove what does not belong there, or make the package again",
        )
    start = document.routes[0][1]
    contents: dict[str, bytes] = {}
    for file in document.files:
        checked = verified(path, file, document.family)
        if file.path == start:
            contents[start] = checked
    return Package(path, document, sha256(content), contents)


def open_package(package: Package) -> families.Predictor:
    """Open the model of a checked package, in the form that its plan begins with.

    Raises:
        errors.PackageError: the library refuses the artifact, or it is not the model that the manifest describes.
    """
    return forms.open_planned(package.manifest, package.read, str(package.path))


def write(target: Path, document: manifest.Manifest, contents: dict[str, bytes]) -> str:
    """Write a package folder in one step and give its digest: a folder is there as a whole, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        scratch.chmod(0o755)
        for name, content in {**contents, manifest.FILE_NAME: document.to_json()}.items():
            (scratch / name).write_bytes(content)
            (scratch / name).chmod(0o644)
        if target.exists():
            shutil.rmtree(target)
        scratch.replace(target)
    except BaseException:
        shutil.rmtree(scratch)
        raise
    return sha256(document.to_json())


def make_file(path: str, role: str, content: bytes) -> manifest.File:
    """Describe a file by its content."""
    return manifest.File.model_validate({"path": path, "role": role, "size": len(content), "sha256": sha256(content)})


def sha256(content: bytes) -> str:
    """Give the digest in hex."""
    return hashlib.sha256(content).hexdigest()


def regular_files(path: Path) -> set[str]:
    """List the folder's files by their path inside it, and refuse anything that could lead out of it."""
    if not path.is_dir():
        raise errors.PackageError(
            "PackageMissing",
            f"{path}: expected a package folder with a {manifest.FILE_NAME}, found none; make one with `serin package`",
        )
    found: set[str] = set()
    for entry in sorted(path.rglob("*")):
        name = entry.relative_to(path).as_posix()
        mode = entry.lstat().st_mode
        if stat.S_ISREG(mode):
            found.add(name)
        elif not stat.S_ISDIR(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "a special file"
            raise errors.PackageError(
                "UnsafeFile",
                f"{path}: {name!r} is {kind}; a package holds plain files only: copy the file itself into it",
            )
        if len(found) > manifest.MAX_FILES + 1:
            raise errors.PackageError(
                "UnexpectedFile",
                f"{path}: more than {manifest.MAX_FILES} files; is this a package? Make one with `serin package`",
            )
    return found


def read_limited(path: Path, limit: int, what: str) -> bytes:
    """Read a file of at most `limit` bytes."""
    try:
        size = path.stat().st_size
        if size > limit:
            raise errors.PackageError("TooLarge", f"{path}: {what} has {size} bytes, expected at most {limit}")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError as error:
        raise errors.PackageError(
            "FileMissing", f"{path}: {what} is missing; make the package again with `serin package`"
        ) from error
    except OSError as error:
        raise errors.PackageError("FileUnreadable", f"{path}: {what} cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise errors.PackageError("TooLarge", f"{path}: {what} has more than the {limit} bytes expected at most")
    return content


def parse(content: bytes, path: Path) -> manifest.Manifest:
    """Read the manifest from JSON."""
    try:
        return manifest.Manifest.model_validate(json.loads(content), strict=False)
    except pydantic.ValidationError as error:
        said = manifest.describe(error)
    except (ValueError, RecursionError) as error:
        said = f"not JSON: {error}"
    raise errors.PackageError("ManifestInvalid", f"{path}: {said}; make the package again with `serin package`")


def verified(path: Path, file: manifest.File, family: str) -> bytes:
    """Read a file and refuse it when its size or digest is another than the manifest's, or its format not its role's."""
    content = read_limited(path / file.path, MAX_BYTES[file.role], f"the {file.role} file")
    if len(content) != file.size or sha256(content) != file.sha256:
        raise errors.PackageError(
            "WrongDigest",
            f"{path / file.path}: expected {file.size} bytes with sha256 {file.sha256}, got {len(content)} bytes with "
            f"sha256 {sha256(content)}; the file was changed since: make the package or the image again",
        )
    if file.role != "project":
        expected = families.FAMILIES[family if file.role == "artifact" else "onnx"]
        families.check_format(expected, content, str(path / file.path))
    return content
