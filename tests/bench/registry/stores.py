"""How fast the store itself takes an artifact, in a folder and in a bucket, plain and encrypted, and in how much memory."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pyrage import x25519

from bench.registry import artifacts
from serin_services.registry.artifacts import encryption
from support import report, versitygw

QUICK_ROUNDS = 2
LEAST_SHARE = 0.6
MOST_MB = 64
NOTES = """
Stores: `Store.put` by itself, beside the barest way to have the same disk or server keep the same bytes; it computes the
digest on the way, and encrypts where there is a key, which the barest way does not.
"""


def measure(quick: bool, scratch: Path) -> list[report.Figure]:
    """Measure each store in turn."""
    rounds = QUICK_ROUNDS if quick else artifacts.ROUNDS
    with contextlib.ExitStack() as stack:
        measured = [artifacts.measure(subject, rounds=rounds) for subject in _make_subjects(scratch, stack)]
    return [figure for found in measured for figure in _describe(found)]


def _make_subjects(scratch: Path, stack: contextlib.ExitStack) -> Iterator[artifacts.Subject]:
    server = stack.enter_context(versitygw.run(scratch))
    for keys in (None, encryption.Keys((x25519.Identity.generate(),))):
        yield artifacts.of_folder(scratch / f"folder-{bool(keys)}", keys)
        yield artifacts.of_bucket(server.address, keys)


def _describe(found: artifacts.Figures) -> Iterator[report.Figure]:
    what = f"the store by itself, {found.size_mb:.0f} MB, {found.name}"
    speeds = f"{found.share:.0%} ({found.store_mb_per_second:.0f} of {found.plain_mb_per_second:.0f} MB/s)"
    target = f"≥ {LEAST_SHARE:.0%}"
    yield report.Figure(f"{what}: share of its own throughput", target, speeds, found.share >= LEAST_SHARE)
    yield report.Figure(f"{what}: read", "-", f"{found.read_mb_per_second:.0f} MB/s", None)
    yield report.Figure(f"{what}: memory", f"≤ {MOST_MB} MB", f"{found.peak_mb:.0f} MB", found.peak_mb <= MOST_MB)
