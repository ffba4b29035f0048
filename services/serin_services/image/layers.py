"""Reads layers: which files of a package an image shows, whatever lies under them, and what digests the layers have."""

import dataclasses
import gzip
import hashlib
import io
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from serin_services.package import errors

PLAIN_TYPES = ("application/vnd.oci.image.layer.v1.tar", "application/vnd.docker.image.rootfs.diff.tar")
GZIP_TYPES = tuple(kind + ".gzip" for kind in PLAIN_TYPES) + tuple(kind + "+gzip" for kind in PLAIN_TYPES)
# Of a file whose content is kept: a manifest or a bill of materials.
MAX_KEPT_BYTES = 8 * 1024 * 1024
CHUNK = 1024 * 1024
# What a layer removes of those below it (OCI image specification, layer, whiteouts).
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
# As many ways by links as one path is followed; more are of no use to anyone who means well.
MAX_WAYS = 64


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file as an image shows it: its size and digest, and its content if it is small; or what it is instead."""

    size: int
    sha256: str
    content: bytes = b""
    kind: str = "file"


@dataclasses.dataclass(frozen=True)
class Digests:
    """What a layer really has: the digest and size of the blob, and the digest of the tar in it."""

    blob: str
    size: int
    diff: str


class Hashed(io.RawIOBase):
    """A stream that knows the digest of what was read of it."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner
        self._total = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read on, and hash what was read."""
        content = self._inner.read(len(buffer))
        buffer[: len(content)] = content
        self._total.update(content)
        self.size += len(content)
        return len(content)

    def drain(self) -> None:
        """Read the rest: a digest is of all of it."""
        while self.read(CHUNK):
            pass

    @property
    def digest(self) -> str:
        """The digest of what was read."""
        return f"sha256:{self._total.hexdigest()}"


class Tree:
    """The files that layers make, lowest first, as far as they are looked at.

    Engines differ in whether a path in a layer follows a link of a lower one: containerd unpacks onto what lies below,
    containers/storage unpacks each layer by itself. What is written by way of a link is therefore not laid down but
    kept in `unclear`, for whoever looks to refuse.
    """

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self.files: dict[str, Entry] = {}
        self.unclear: set[str] = set()
        self._wanted = wanted
        # A link keeps its targets even where something else has taken its place since: engines differ in that too.
        self._links: dict[str, set[str]] = {}

    def apply(self, blob: BinaryIO, media_type: str) -> Digests:
        """Lay a layer over those below it and give its digests.

        Raises:
            errors.PackageError: it cannot be read.
        """
        if media_type not in {*PLAIN_TYPES, *GZIP_TYPES}:
            raise errors.PackageError(
                "LayerUnreadable",
                f"expected a layer that is a tar, plain or with gzip, got {media_type}; push it with gzip",
            )
        raw = Hashed(blob)
        try:
            plain = Hashed(gzip.GzipFile(fileobj=raw) if media_type in GZIP_TYPES else raw)  # type: ignore[arg-type]
            with tarfile.open(fileobj=plain, mode="r|", bufsize=CHUNK) as archive:
                for member in archive:
                    self._lay(archive, member)
                    archive.members = []  # type: ignore[attr-defined] # it would keep all of them
            plain.drain()
            raw.drain()
        except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeError) as error:
            raise errors.PackageError(
                "LayerUnreadable", f"the layer cannot be unpacked: {error}; fetch or build the image again"
            ) from error
        return Digests(raw.digest, raw.size, plain.digest)

    def _lay(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        folder, _, base = clean(member.name).rpartition("/")
        whiteout = base.startswith(WHITEOUT)
        shown = "" if base == OPAQUE else base.removeprefix(WHITEOUT) if whiteout else base
        name = join(folder, shown)
        ways = self._follow(folder)
        if ways:
            self.unclear |= {other for way in (folder, *ways) if self._touches(other := join(way, shown))}
        if len(ways) > MAX_WAYS:
            self.unclear.add("")
        if whiteout or not member.isdir() or name in self.files:
            self._remove(name)
        if member.issym() and not whiteout:
            self._links.setdefault(name, set()).add(clean(posixpath.join("/", folder, member.linkname)))
        if self._wanted(name) and not member.isdir() and not whiteout:
            self.files[name] = read_entry(archive, member)

    def _touches(self, name: str) -> bool:
        """Whether a path is looked at, or one that is lies in it."""
        return self._wanted(name) or any(file.startswith(f"{name}/") for file in self.files) or not name

    def _follow(self, folder: str) -> set[str]:
        """Give every other path that a folder may be by the links on its way."""
        found: set[str] = set()
        ways = [folder]
        while ways and len(found) <= MAX_WAYS:
            way = ways.pop()
            for link in parents(way):
                others = {clean(target + way.removeprefix(link)) for target in self._links.get(link, ())}
                ways += others - found
                found |= others
        return found

    def _remove(self, name: str) -> None:
        """Take a file, or a folder with all that is in it, away."""
        for path in [path for path in self.files if path == name or path.startswith(f"{name}/") or not name]:
            del self.files[path]


def parents(name: str) -> Iterator[str]:
    """Give a path and all that it lies in, but the root."""
    while name:
        yield name
        name = name.rpartition("/")[0]


def join(folder: str, base: str) -> str:
    """Give the path of something in a folder, or of the folder itself."""
    return "/".join(filter(None, (folder, base)))


def clean(name: str) -> str:
    """Give a path from the root without leading slash, dots and doubled slashes."""
    return posixpath.normpath(f"/{name}").lstrip("/")


def read_entry(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    """Read a file of a layer, hashing it as it goes by; anything else is only named."""
    if not member.isfile():
        return Entry(0, "", kind="a link" if member.issym() or member.islnk() else "a special file")
    file = archive.extractfile(member)
    assert file is not None  # noqa: S101 - it is a plain file
    total, kept = hashlib.sha256(), bytearray()
    while chunk := file.read(CHUNK):
        total.update(chunk)
        if member.size <= MAX_KEPT_BYTES:
            kept += chunk
    return Entry(member.size, total.hexdigest(), bytes(kept))
