"""Artifacts on their way: hashed before they are sent, and while they come."""

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from serin_services.registry import errors

CHUNK = 1024 * 1024

# Is told how many bytes of how many are there; the first number goes back where a transfer begins again.
Progress = Callable[[int, int], None]


def ignore(done: int, total: int) -> None:
    """Take no notice."""


def measure(file: IO[bytes]) -> tuple[str, int]:
    """Give the digest and the size in bytes of a file, and go back to its beginning."""
    digest = hashlib.sha256()
    size = 0
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    file.seek(0)
    return digest.hexdigest(), size


class Outgoing(io.RawIOBase):
    """A file that is being sent; it can be wound back, so that it can be sent again."""

    def __init__(self, file: IO[bytes], size: int, progress: Progress) -> None:
        """Take a file whose size in bytes is known, and what is told how far it is."""
        self._file, self._progress = file, progress
        # By this name the HTTP library looks for the length.
        self.len = size

    def read(self, size: int = -1, /) -> bytes:
        """Give the next bytes."""
        found = self._file.read(size)
        self._progress(self._file.tell(), self.len)
        return found

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Give the position."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to another position."""
        return self._file.seek(offset, whence)


def verified(chunks: Iterable[bytes], sha256: str, name: str) -> Iterator[bytes]:
    """Give the chunks on, and hold their digest against what it must be at the end.

    Raises:
        errors.UnavailableError: it is another; whoever has taken the chunks must not use them.
    """
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != sha256:
        raise errors.UnavailableError(
            f"{name}: expected sha256 {sha256}, got {digest.hexdigest()}: it did not arrive whole; fetch it again"
        )


def keep(chunks: Iterable[bytes], target: Path, progress: Callable[[int], None]) -> None:
    """Write chunks to a file that has its name when all are there, and never before.

    Raises:
        errors.InvalidError: the file cannot be written.
    """
    try:
        number, scratch = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise errors.InvalidError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(number, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                progress(file.tell())
        Path(scratch).chmod(0o644)
        Path(scratch).replace(target)
    finally:
        Path(scratch).unlink(missing_ok=True)
