"""How fast an artifact is registered, next to what its disk or S3 server takes by itself, and in how much memory."""

import dataclasses
import hashlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import obstore

from serin_services.registry.artifacts import bucket, encryption, folder, layout, store

MEGABYTE = 1_000_000
SIZE = 100 * MEGABYTE
# As much as a web server hands on at once.
CHUNK = 65_536
ROUNDS = 7
LIMIT = 10_000 * MEGABYTE


@dataclasses.dataclass(frozen=True)
class Subject:
    """A store, and the barest way to have the same disk or server keep the same bytes."""

    name: str
    kept: store.Store
    encrypted: bool
    plain: Callable[[str, Iterator[bytes]], None]
    forget: Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Figures:
    """Medians in megabytes per second, and the most memory that a stream took beyond what the process had, in MB."""

    name: str
    size_mb: float
    rounds: int
    store_mb_per_second: float
    plain_mb_per_second: float
    read_mb_per_second: float
    peak_mb: float

    @property
    def share(self) -> float:
        """Which part of the plain throughput the store has."""
        return self.store_mb_per_second / self.plain_mb_per_second


def of_folder(root: Path, keys: encryption.Keys | None = None) -> Subject:
    """A folder, beside a file that is written and synced."""
    aside = root.parent / f"{root.name}-plain"
    aside.mkdir(parents=True, exist_ok=True)

    def plain(name: str, chunks: Iterator[bytes]) -> None:
        with (aside / name).open("wb", buffering=0) as file:
            for chunk in chunks:
                file.write(chunk)
            os.fsync(file.fileno())

    name = "folder, encrypted" if keys else "folder"
    return Subject(
        name, store.Store(folder.Folder(root), keys), bool(keys), plain, lambda each: (aside / each).unlink()
    )


def of_bucket(address: bucket.Address, keys: encryption.Keys | None = None) -> Subject:
    """A bucket, beside a multipart upload of the same parts, of which nothing is known or checked."""
    kept = bucket.Bucket(address)

    def plain(name: str, chunks: Iterator[bytes]) -> None:
        obstore.put(kept.objects, name, chunks, chunk_size=bucket.PART, max_concurrency=bucket.PARTS_AT_ONCE)

    name = "bucket, encrypted" if keys else "bucket"
    return Subject(name, store.Store(kept, keys), bool(keys), plain, lambda each: obstore.delete(kept.objects, each))


def measure(subject: Subject, size: int = SIZE, rounds: int = ROUNDS) -> Figures:
    """Measure in rounds, each of which has both ways in turn, so that a busy minute of the machine meets both.

    The first round warms up and is not counted.
    """
    # First: later the process holds on to what the rounds have used.
    peak = peak_of(subject, size)
    block = os.urandom(CHUNK)
    sha256 = _digest(block, size)
    taken: dict[str, list[float]] = {"store": [], "plain": [], "read": []}
    for number in range(rounds + 1):
        place = layout.Place("bench", "artifact", str(number), "model.bin")
        name = f"plain-{number}"
        steps: list[tuple[str, Callable[[], object]]] = [
            ("store", partial(subject.kept.put, place, _chunks(block, size), sha256, LIMIT)),
            ("plain", partial(subject.plain, name, _chunks(block, size))),
        ]
        # Whichever comes second finds the disk with the first one's work.
        for kind, step in steps if number % 2 else reversed(steps):
            taken[kind].append(_seconds(step))
        key = place.key(sha256, encrypted=subject.encrypted)
        taken["read"].append(_seconds(partial(_read, subject.kept, key)))
        subject.forget(name)
        subject.kept.delete(key)
    speed = {kind: size / MEGABYTE / statistics.median(times[1:]) for kind, times in taken.items()}
    return Figures(subject.name, size / MEGABYTE, rounds, speed["store"], speed["plain"], speed["read"], peak)


def peak_of(subject: Subject, size: int) -> float:
    """Measure the most memory beyond the process's own that one artifact takes, in MB, going in and coming out."""
    block = os.urandom(CHUNK)
    place, sha256 = layout.Place("bench", "memory", "1", "model.bin"), _digest(block, size)
    Path("/proc/self/clear_refs").write_text("5")
    before = _memory("VmRSS")
    stored = subject.kept.put(place, _chunks(block, size), sha256, LIMIT)
    _read(subject.kept, stored.key)
    peak = _memory("VmHWM")
    subject.kept.delete(stored.key)
    return max(0.0, peak - before)


def _read(kept: store.Store, key: str) -> None:
    for _ in kept.open(key):
        pass


def _chunks(block: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, size, len(block)):
        # A copy, as from a network: of one object, thousands take no memory.
        yield bytes(memoryview(block)[: size - start])


def _digest(block: bytes, size: int) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(block, size):
        digest.update(chunk)
    return digest.hexdigest()


def _seconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def _memory(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / MEGABYTE for line in lines if line.startswith(f"{field}:"))
