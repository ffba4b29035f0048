"""JSON lines: to a file that is rotated by its size, or to standard output."""

import contextlib
import dataclasses
import datetime as dt
import fcntl
import os
import select
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from serin_services.server.predictions import documents, records, sinks

PIECE_BYTES = 256 * 1024
TAIL_BYTES = 64 * 1024


@dataclasses.dataclass
class LineEncoder:
    """Makes a line of each prediction."""

    describer: documents.Describer

    def encode(self, batch: Sequence[records.Record], rest: sinks.Rest) -> Iterator[sinks.Piece]:
        """Give pieces of whole lines."""
        encoder = msgspec.json.Encoder()
        buffer, rows = bytearray(), 0
        for prediction in self.describer.describe(batch, rest):
            encoder.encode_into(prediction, buffer, -1)
            buffer += b"\n"
            rows += 1
            if len(buffer) >= PIECE_BYTES:
                yield sinks.Piece(bytes(buffer), rows)
                buffer, rows = bytearray(), 0
        if rows:
            yield sinks.Piece(bytes(buffer), rows)


class LineFile:
    """A file of whole lines, whatever happens: a piece that does not fit on the disk is taken back.

    Once it would grow beyond `rotate_bytes` it is brought to the disk and renamed with the time in its name; the
    newest `keep` of those stay.
    """

    flush_bytes = 1024 * 1024

    def __init__(
        self,
        path: Path,
        encoder: LineEncoder,
        *,
        rotate_bytes: int,
        keep: int,
        flush_seconds: float,
        retry_seconds: float,
    ) -> None:
        self.flush_seconds = flush_seconds
        self.retry_seconds = retry_seconds
        self.encode = encoder.encode
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._keep = keep
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._size = open_whole(path)

    def write(self, piece: sinks.Piece) -> None:
        """Append a piece, in the next file if this one is full."""
        if self._size and self._size + len(piece.payload) > self._rotate_bytes:
            self._rotate()
        try:
            write_all(self._file, piece.payload)
        except OSError:
            # Lines that were half written, or written and not counted, would be found torn or twice.
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(piece.payload)

    def close(self) -> None:
        """Bring the file to the disk."""
        os.fsync(self._file)
        os.close(self._file)

    def _rotate(self) -> None:
        os.fsync(self._file)
        moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        # Somebody may have taken it away, or the last try came no further than here.
        with contextlib.suppress(FileNotFoundError):
            self._path.rename(self._path.with_name(f"{self._path.stem}-{moment}{self._path.suffix}"))
        full = self._file
        self._file, self._size = open_whole(self._path)
        os.close(full)
        sync_folder(self._path.parent)
        kept = sorted(self._path.parent.glob(f"{self._path.stem}-*T*Z{self._path.suffix}"))
        for old in kept[: -self._keep] if self._keep else []:
            with contextlib.suppress(FileNotFoundError):
                old.unlink()


class StandardOutput:
    """Standard output, for the cluster's own collector of logs."""

    flush_bytes = 256 * 1024
    # Its end is final, and its slowness is waited for.
    retry_seconds = 0.0

    def __init__(self, encoder: LineEncoder, *, flush_seconds: float, descriptor: int = 1) -> None:
        self.flush_seconds = flush_seconds
        self.encode = encoder.encode
        self._descriptor = descriptor

    def write(self, piece: sinks.Piece) -> None:
        """Write a piece; whoever reads sets the pace, and its end is final."""
        try:
            write_all(self._descriptor, piece.payload)
        except OSError as error:
            raise sinks.Rejected(f"standard output: {error.strerror}") from error

    def close(self) -> None:
        """Leave it open: others may write to it."""


def write_all(descriptor: int, payload: bytes) -> None:
    """Write everything; waits where a pipe is full, whether it blocks by itself or not."""
    rest = memoryview(payload)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


def open_whole(path: Path) -> tuple[int, int]:
    """Open a file for appending, and take back the line that a power cut may have torn; gives its size too.

    Raises:
        OSError: it cannot be opened, or another process writes to it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = end_of_lines(descriptor, os.fstat(descriptor).st_size)
        os.ftruncate(descriptor, size)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, size


def end_of_lines(descriptor: int, size: int) -> int:
    """Find where the last whole line ends."""
    while size:
        start = max(0, size - TAIL_BYTES)
        if (found := os.pread(descriptor, size - start, start).rfind(b"\n")) >= 0:
            return start + found + 1
        size = start
    return 0


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
