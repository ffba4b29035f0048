"""The file of a backup: a tar whose last member says what all the others must be.

The manifest is lines of JSON, one for each member in their order with its size and sha256, and a last line with what the
backup holds and the digest of all that. It can only be written when everything else is there, so a backup that broke off
has none; and it is read beside the members, so that neither needs memory.
"""

import dataclasses
import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any, Self

from serin_services.registry import errors

FORMAT = "serin.dev/registry-backup/v1"
MANIFEST = "manifest.jsonl"
# Where the artifacts are, each by its key in the store.
ARTIFACTS = "artifacts/"
# Bytes that are read at once.
CHUNK = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a backup holds; `schema` is the Alembic revision that its rows belong to."""

    made_at: str
    schema: str
    rows: dict[str, int]
    artifacts: int
    # Of the artifacts, those that only the store's key can open.
    encrypted: int


class Writer:
    """Writes members in turn, then the manifest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w:", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed below
        self._tar.copybufsize = CHUNK  # type: ignore[attr-defined]  # typeshed leaves it out
        self._lines = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
        self._digest = hashlib.sha256()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._lines.close()
        # Without the manifest the file is no backup, whatever else stands in it.
        self._tar.close()

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Add a member of exactly `size` bytes.

        Raises:
            errors.UnavailableError: there came more or fewer bytes.
        """
        digest = self._put(name, size, chunks)
        self._write_line(dump({"name": name, "size": size, "sha256": digest}))
        self._count += 1

    def finish(self, contents: Contents) -> None:
        """Write the manifest; from now on it is a backup."""
        self._write_line(seal({"format": FORMAT, "members": self._count, **dataclasses.asdict(contents)}, self._digest))
        size = self._lines.tell()
        self._lines.seek(0)
        self._put(MANIFEST, size, iter(lambda: self._lines.read(CHUNK), b""))

    def _write_line(self, line: bytes) -> None:
        self._digest.update(line)
        self._lines.write(line)

    def _put(self, name: str, size: int, chunks: Iterable[bytes]) -> str:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        source = _Source(iter(chunks))
        try:
            self._tar.addfile(info, source)
        except OSError as error:
            if source.ended:
                raise errors.UnavailableError(f"{name}: expected {size} bytes, got {source.count}: {error}") from error
            raise
        if source.read(1):
            raise errors.UnavailableError(f"{name}: expected {size} bytes, got more")
        # tarfile remembers every member, which a registry of many artifacts would notice.
        self._tar.members.clear()  # type: ignore[attr-defined]  # as above
        return source.digest.hexdigest()


class _Source(io.RawIOBase):
    """Chunks as a file that is read once, with their digest."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self.digest = hashlib.sha256()
        self.count = 0
        self.ended = False

    def read(self, size: int = -1, /) -> bytes:
        """Give exactly `size` bytes, or what is left."""
        parts = []
        missing = size
        while missing and not self.ended:
            part, self._rest = self._rest[:missing], self._rest[missing:]
            parts.append(part)
            missing -= len(part)
            if not self._rest:
                chunk = next(self._chunks, None)
                self.ended = chunk is None
                self._rest = memoryview(chunk or b"")
        found = b"".join(parts)
        self.digest.update(found)
        self.count += len(found)
        return found


def seal(document: dict[str, Any], above: "hashlib._Hash") -> bytes:
    """Write a line that carries the digest of itself and of all lines above it."""
    whole = above.copy()
    whole.update(dump(document))
    return dump({**document, "sha256": whole.hexdigest()})


def dump(document: dict[str, Any]) -> bytes:
    """Write one line."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"
