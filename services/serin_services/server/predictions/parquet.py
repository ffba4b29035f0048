"""Parquet files in folders by model, version and date, none of which is ever seen half written."""

import contextlib
import itertools
import os
import socket
import time
from pathlib import Path

from serin_services.package import manifest
from serin_services.server.predictions import lines, sinks, tables

PART = ".part"


class ParquetFolder:
    """A folder that Hive, Spark, DuckDB and Arrow read as one table: `model=…/version=…/date=…/….parquet`.

    A file is written under a name that those readers pass over, brought to the disk, and then renamed.
    """

    flush_bytes = 8 * 1024 * 1024

    def __init__(
        self, folder: Path, document: manifest.Manifest, *, flush_seconds: float, retry_seconds: float
    ) -> None:
        self.flush_seconds = flush_seconds
        self.retry_seconds = retry_seconds
        self.encode = tables.TableEncoder(document).encode
        self._folder = folder / f"model={document.model}" / f"version={document.version}"
        self._folder.mkdir(parents=True, exist_ok=True)
        # Replicas and restarts share a folder without ever choosing the same name.
        self._host = socket.gethostname()
        self._start = f"{self._host}-{os.getpid()}-{time.time_ns()}"
        self._numbers = itertools.count()
        self._remove_left_over()

    def write(self, piece: sinks.Piece) -> None:
        """Write a file."""
        folder = self._folder / f"date={piece.name}"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self._start}-{next(self._numbers):06d}.parquet"
        part = folder / f".{name}{PART}"
        try:
            write_file(part, piece.payload)
            part.rename(folder / name)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        # It is there: to write it again because its name is not on the disk yet would be to write it twice.
        with contextlib.suppress(OSError):
            lines.sync_folder(folder)

    def close(self) -> None:
        """Leave nothing behind: every file is already on the disk."""

    def _remove_left_over(self) -> None:
        """Remove what this pod's container was writing when it was killed."""
        for left_over in self._folder.glob(f"date=*/.{self._host}-*{PART}"):
            with contextlib.suppress(OSError):
                left_over.unlink()


def write_file(path: Path, content: bytes) -> None:
    """Write a file and bring it to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        lines.write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
