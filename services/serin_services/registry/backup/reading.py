"""Reads a backup: every byte is held against the manifest, before anything is done and again while it is done."""

import collections
import dataclasses
import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Self

from serin_services.registry import errors
from serin_services.registry.backup import archive

Progress = Callable[[int], None]


@dataclasses.dataclass(frozen=True)
class Member:
    """One member that is being read: its chunks can be had once, and are checked by the time they end."""

    name: str
    size: int
    chunks: Iterator[bytes]


def check(path: Path, progress: Progress = lambda _: None) -> archive.Contents:
    """Read a backup from end to end and say what it holds.

    Raises:
        errors.InvalidError: it is not whole, was changed, or is no backup; nothing was done with it.
    """
    digest = hashlib.sha256()
    with _open(path) as tar, _open_manifest(path) as lines:
        count = 0
        for info in _walk(path, tar):
            count += 1
            line = lines.readline()
            digest.update(line)
            for chunk in _read_checked(path, tar, info, _parse(path, line)):
                progress(len(chunk))
        return _read_seal(path, lines.readline(), count, digest)


def read(path: Path, prefix: str) -> Iterator[Member]:
    """Give the members whose names begin with `prefix`, in their order; each must be read before the next.

    Raises:
        errors.InvalidError: it is not what the manifest says any more.
    """
    with _open(path) as tar, _open_manifest(path) as lines:
        for info in _walk(path, tar):
            line = lines.readline()
            if info.name.startswith(prefix):
                yield Member(info.name, info.size, _read_checked(path, tar, info, _parse(path, line)))


def _open(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, mode="r:")
    except FileNotFoundError as error:
        raise errors.InvalidError(f"{path}: there is no such file") from error
    except (OSError, tarfile.TarError) as error:
        raise _refuse(path, f"it is no tar file ({error})") from error


def _open_manifest(path: Path) -> "_Lines":
    """Find the manifest: the last member, or there is none."""
    tar = _open(path)
    try:
        last = collections.deque(_next(path, tar), maxlen=1)
        file = tar.extractfile(last[0]) if last and last[0].name == archive.MANIFEST and last[0].isreg() else None
    except BaseException:
        tar.close()
        raise
    if file is None:
        tar.close()
        raise _refuse(path, f"its last member is not {archive.MANIFEST}: it broke off, or was made by something else")
    return _Lines(path, tar, file)


class _Lines:
    """The manifest, line by line."""

    def __init__(self, path: Path, tar: tarfile.TarFile, file: IO[bytes]) -> None:
        self._path, self._tar, self._file = path, tar, file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._tar.close()

    def readline(self) -> bytes:
        try:
            return bytes(self._file.readline())
        except (OSError, tarfile.TarError) as error:
            raise _refuse(self._path, f"its manifest cannot be read ({error})") from error


def _next(path: Path, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Give the members without keeping them."""
    try:
        while info := tar.next():
            tar.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out
            yield info
    except (OSError, tarfile.TarError) as error:
        raise _refuse(path, f"it broke off ({error})") from error


def _walk(path: Path, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Give the members before the manifest."""
    for info in _next(path, tar):
        if info.name == archive.MANIFEST:
            return
        yield info


def _read_checked(path: Path, tar: tarfile.TarFile, info: tarfile.TarInfo, expected: dict[str, Any]) -> Iterator[bytes]:
    """Give a member's bytes, and hold them against its line of the manifest at the end."""
    file = tar.extractfile(info) if info.isreg() else None
    if file is None or (info.name, info.size) != (expected.get("name"), expected.get("size")):
        raise _refuse(path, f"member {info.name!r} stands where its manifest has {expected.get('name')!r}")
    digest = hashlib.sha256()
    try:
        while chunk := file.read(archive.CHUNK):
            digest.update(chunk)
            yield chunk
    except (OSError, tarfile.TarError) as error:
        raise _refuse(path, f"member {info.name!r} broke off ({error})") from error
    if digest.hexdigest() != expected.get("sha256"):
        raise _refuse(path, f"member {info.name!r}: expected sha256 {expected.get('sha256')}, got {digest.hexdigest()}")


def _read_seal(path: Path, line: bytes, count: int, digest: "hashlib._Hash") -> archive.Contents:
    """Read the manifest's last line and hold it against what was read."""
    found = _parse(path, line)
    if found.pop("sha256", None) is None or archive.seal(found, digest) != line:
        raise _refuse(path, "its manifest was changed")
    if found.pop("format") != archive.FORMAT or found.pop("members") != count:
        raise _refuse(path, f"expected {archive.FORMAT} with {count} members")
    return archive.Contents(**found)


def _parse(path: Path, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise _refuse(path, "its manifest and its members do not fit") from error
    if not isinstance(found, dict):
        raise _refuse(path, "its manifest and its members do not fit")
    return found


def _refuse(path: Path, why: str) -> errors.InvalidError:
    return errors.InvalidError(f"{path} is no whole backup: {why}; nothing was restored. Take another copy of it")
