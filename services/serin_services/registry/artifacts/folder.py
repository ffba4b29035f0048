"""Artifacts in a folder, for one person and one machine."""

import contextlib
import datetime as dt
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore

# In front of every tenant's name, none of which begins with a dot.
UNFINISHED = ".unfinished"
READ = 1024 * 1024
# Bytes after which the disk is made to write while more arrives: 100 MB at 750 MB/s, and at 660 with one sync at the end.
SYNC = 16 * 1024 * 1024


class Folder:
    """A folder with the artifacts, and with what is not yet one aside."""

    def __init__(self, root: Path) -> None:
        """Take the folder; it is made where it is missing."""
        self._root = root.absolute()
        (self._root / UNFINISHED).mkdir(parents=True, exist_ok=True)
        self.objects = LocalStore(self._root, automatic_cleanup=True)
        # Without cleaning up: the folder of the drafts has to stay when the last one goes.
        self._drafts = LocalStore(self._root)

    def write(self, key: str, chunks: Iterator[bytes]) -> None:
        """Write all chunks, have the disk keep them, and only then let the key be seen; never over another."""
        draft = f"{UNFINISHED}/{uuid.uuid4().hex}"
        try:
            _write(self._root / draft, chunks)
            with contextlib.suppress(AlreadyExistsError):
                obstore.rename(self._drafts, draft, key, overwrite=False)
        finally:
            (self._root / draft).unlink(missing_ok=True)
        # A power cut must not take the names that lead to it: those of the new folders too.
        for folder in (self._root / key).parents:
            _sync(folder)
            if folder == self._root:
                break

    def read(self, key: str) -> Iterator[bytes]:
        """Open the file; gives its bytes. Raises FileNotFoundError."""
        size = obstore.head(self.objects, key)["size"]
        return (
            bytes(obstore.get_range(self.objects, key, start=start, end=min(start + READ, size)))
            for start in range(0, size, READ)
        )

    def remove_unfinished(self, older_than: dt.datetime) -> int:
        """Remove what broken uploads left before this moment; gives their number."""
        old = [file for file in (self._root / UNFINISHED).iterdir() if _written_at(file) < older_than.timestamp()]
        for file in old:
            file.unlink(missing_ok=True)
        return len(old)

    def check(self) -> None:
        """Write a byte that goes at once. Raises OSError where the disk takes none."""
        with tempfile.TemporaryFile(dir=self._root / UNFINISHED) as file:
            file.write(b"\0")


def _written_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return float("inf")  # Its upload has just ended.


def _write(path: Path, chunks: Iterator[bytes]) -> None:
    # Not by obstore, which leaves it to the system when the disk has it.
    with path.open("xb") as file:
        synced = 0
        for chunk in chunks:
            file.write(chunk)
            if file.tell() - synced >= SYNC:
                file.flush()
                os.fdatasync(file.fileno())
                synced = file.tell()
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
