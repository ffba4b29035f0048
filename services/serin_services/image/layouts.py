"""Reads images where they lie: an OCI layout folder, an archive of one, or what buildah or docker has in its store.

After the OCI image specification 1.1 (image layout, manifest, layer). Nothing is trusted: every size is limited, and who
reads a blob is told the digest that it really has.
"""

import contextlib
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, TypeVar

import pydantic

from serin_services.image import engines
from serin_services.package import errors, folder

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
SIGNATURE_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"

Digest = Annotated[str, pydantic.StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
# The name of a file in a layout, opened; raises KeyError or OSError when it is not there.
Opener = Callable[[str], BinaryIO]


class Document(pydantic.BaseModel):
    """A part of an image's own description; fields that nothing here reads are left alone."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Descriptor(Document):
    """A reference to a blob."""

    media_type: str = pydantic.Field(default=MANIFEST_TYPE, alias="mediaType")
    digest: Digest
    size: int = pydantic.Field(ge=0)
    annotations: dict[str, str] = {}


class Index(Document):
    """What a layout holds."""

    manifests: tuple[Descriptor, ...]


class Manifest(Document):
    """An image, or the signatures of one: they have the same form."""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def signatures(self) -> tuple[Descriptor, ...]:
        """The layers that are signatures and not file systems."""
        return tuple(layer for layer in self.layers if layer.media_type == SIGNATURE_TYPE)


class RunConfig(Document):
    """How a container of the image starts."""

    user: str = pydantic.Field(default="", alias="User")
    labels: dict[str, str] | None = pydantic.Field(default=None, alias="Labels")


class RootFs(Document):
    """The digests of the layers, unpacked."""

    diff_ids: tuple[Digest, ...]


class Config(Document):
    """An image's configuration."""

    config: RunConfig = RunConfig()
    rootfs: RootFs


Part = TypeVar("Part", bound=Document)


class Layout:
    """An image and its signatures, wherever they lie; `where` is how messages call it."""

    def __init__(self, where: str, opener: Opener) -> None:
        self.where = where
        self._open = opener
        index = self._parse(Index, "index.json", self._read("index.json"))
        read = [(entry, self.read_manifest(entry.digest)) for entry in index.manifests]
        images = [entry for entry, manifest in read if not manifest.signatures]
        if len(images) != 1:
            raise errors.PackageError(
                "NotOneImage",
                f"{where}: expected one image, found {len(images)}; export the one to look at on its own, "
                "such as with `buildah push NAME oci:FOLDER`",
            )
        self.digest = images[0].digest
        self.signatures = tuple(layer for _, manifest in read for layer in manifest.signatures)

    def read_manifest(self, digest: str) -> Manifest:
        """Read a manifest, whose digest must be the one it is named by."""
        return self._parse(Manifest, digest, self.read_blob(digest))

    def read_config(self, digest: str) -> Config:
        """Read a configuration, whose digest must be the one it is named by."""
        return self._parse(Config, digest, self.read_blob(digest))

    def read_blob(self, digest: str) -> bytes:
        """Read a small blob and hold it against its digest.

        Raises:
            errors.PackageError: it is missing, too large, or another.
        """
        content = self._read(blob_path(digest))
        if f"sha256:{folder.sha256(content)}" != digest:
            raise errors.PackageError(
                "WrongDigest",
                f"{self.where}: blob {digest}: expected a content of this digest, got sha256:{folder.sha256(content)}; "
                "it was changed or cut off on its way: fetch or build the image again",
            )
        return content

    def open_blob(self, digest: str) -> BinaryIO:
        """Open a blob of any size, unchecked.

        Raises:
            errors.PackageError: it is missing.
        """
        return self._opened(blob_path(digest))

    def _opened(self, name: str) -> BinaryIO:
        try:
            return self._open(name)
        except (KeyError, OSError) as error:
            raise errors.PackageError(
                "BlobMissing",
                f"{self.where}: {name} is missing; expected an OCI image layout (oci-layout, index.json, blobs): "
                "write one with `buildah push NAME oci-archive:FILE`",
            ) from error

    def _read(self, name: str) -> bytes:
        with self._opened(name) as file:
            content = file.read(MAX_DOCUMENT_BYTES + 1)
        if len(content) > MAX_DOCUMENT_BYTES:
            raise errors.PackageError(
                "TooLarge", f"{self.where}: {name} has more than the {MAX_DOCUMENT_BYTES} bytes expected at most"
            )
        return content

    def _parse(self, kind: type[Part], name: str, content: bytes) -> Part:
        try:
            return kind.model_validate(json.loads(content))
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            said = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        except (ValueError, RecursionError) as error:
            said = f"not JSON: {error}"
        raise errors.PackageError("ImageInvalid", f"{self.where}: {name}: {said}; fetch or build the image again")


def blob_path(digest: str) -> str:
    """Where a blob stands in a layout."""
    return "blobs/" + digest.replace(":", "/")


@contextlib.contextmanager
def open_image(wanted: str, engine: str) -> Iterator[Layout]:
    """Open a layout folder, an archive, or an image of an engine's store, whichever the word names.

    Raises:
        errors.PackageError: there is nothing of that name, or it is no image.
    """
    path = Path(wanted)
    if path.is_dir():
        yield Layout(wanted, lambda name: (path / name).open("rb"))
    elif path.is_file():
        with open_archive(path) as opener:
            yield Layout(wanted, opener)
    else:
        with exported(wanted, engine) as opener:
            yield Layout(wanted, opener)


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[Opener]:
    """Open a tar of a layout."""
    try:
        archive = tarfile.open(path, "r:")  # noqa: SIM115 - closed below
        members = {member.name.removeprefix("./"): member for member in archive if member.isfile()}
    except (tarfile.TarError, EOFError) as error:
        raise errors.PackageError(
            "ImageInvalid", f"{path}: expected an uncompressed tar of an OCI layout, got something else: {error}"
        ) from error

    def opener(name: str) -> BinaryIO:
        found = archive.extractfile(members[name])
        assert found is not None  # noqa: S101 - only plain files are members
        return found  # type: ignore[return-value]

    with archive:
        yield opener


@contextlib.contextmanager
def exported(image: str, engine: str) -> Iterator[Opener]:
    """Export an image of an engine's store for a while."""
    chosen = engines.find_engine(engine)
    if not chosen.exists(image):
        raise errors.PackageError(
            "ImageMissing",
            f"{image}: expected a layout folder, an archive, or an image that {chosen.program} has; found none of them; "
            f"check the name with `{chosen.program} images`",
        )
    with tempfile.TemporaryDirectory(prefix="serin-image-") as scratch:
        target = Path(scratch) / "image"
        chosen.export(image, target)
        if target.is_file():
            with open_archive(target) as opener:
                yield opener
        else:
            yield lambda name: open_exported(target, name)


def open_exported(target: Path, name: str) -> BinaryIO:
    """Open a file of a layout in what `buildah push dir:` wrote, which has no index and no folders."""
    if name == "index.json":
        content = (target / "manifest.json").read_bytes()
        entry = {"mediaType": MANIFEST_TYPE, "digest": f"sha256:{folder.sha256(content)}", "size": len(content)}
        written = target / name
        written.write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        (target / str(entry["digest"]).removeprefix("sha256:")).write_bytes(content)
    return (target / name.rpartition("/")[2]).open("rb")
