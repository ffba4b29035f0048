"""How fast a version with a 100 MB artifact is registered through the API, next to what the disk or the S3 server takes."""

import base64
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import requests

from bench.registry import artifacts, crashes
from serin_services.registry.artifacts import bucket
from support import report
from support.registry_process import RegistryProcess

SIZE = 100 * artifacts.MEGABYTE
ROUNDS, QUICK_ROUNDS = 7, 2
LEAST_SHARE = 0.6
# Two parts of 8 MiB are on their way at once; what is beyond these grows with nothing.
MOST_MB = 64
KEPT: tuple[crashes.Kept, ...] = ("folder", "s3")
NOTES = """
Uploads: a version is registered and its model of 100 MB put through HTTP by one client on the same machine, in turn with the
barest way to have the same disk (written and synced) or the same versitygw (a multipart upload of the same parts) keep it.
Memory is what the registry's process takes at most beyond what it has when idle. In a folder it is not the disk that bounds the
API, but two cores: by py-spy the event loop's thread is busy for nearly all of the 0.2 s that 100 MB take (0.13 s receiving,
0.03 joining, 0.03 parsing HTTP), while another hashes for 0.1 s, a third writes, and the sender wants the rest. Blocks of 1 MiB
between those threads brought 0.32 s to 0.26 in one run.
"""


def measure(quick: bool, scratch: Path) -> list[report.Figure]:
    """Measure with the files in a folder, and in a bucket."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    return [figure for kept in KEPT for figure in _measure(kept, scratch / kept, rounds)]


def _measure(kept: crashes.Kept, scratch: Path, rounds: int) -> Iterator[report.Figure]:
    with crashes.open_rounds(kept, scratch) as servers:
        subject = _find_subject(kept, servers.registry.settings, scratch)
        sender = _Sender(servers.registry)
        idle, peak = sender.measure_memory()
        api, plain = [], []
        for number in range(rounds + 1):
            steps = [(api, sender.register), (plain, lambda: _keep_plainly(subject, sender.content))]
            # Whichever comes second finds the disk with the first one's work.
            for times, step in steps if number % 2 else reversed(steps):
                times.append(_time(step))
        speeds = [SIZE / artifacts.MEGABYTE / statistics.median(times[1:]) for times in (api, plain)]
    share = speeds[0] / speeds[1]
    what = f"a version with a 100 MB artifact through the API, {kept}"
    measured = f"{share:.0%} ({speeds[0]:.0f} of {speeds[1]:.0f} MB/s)"
    yield report.Figure(f"{what}: share of its own throughput", f"≥ {LEAST_SHARE:.0%}", measured, share >= LEAST_SHARE)
    yield report.Figure(f"{what}: memory", f"≤ {MOST_MB} MB", f"{peak - idle:.0f} MB", peak - idle <= MOST_MB)


def _find_subject(kept: crashes.Kept, settings: Mapping[str, str], scratch: Path) -> artifacts.Subject:
    if kept == "folder":
        return artifacts.of_folder(Path(tempfile.mkdtemp(dir=scratch)))
    name = settings["ARTIFACTS"].removeprefix("s3://")
    address = bucket.Address(name, settings["S3_ENDPOINT"], settings["S3_ACCESS_KEY"], settings["S3_SECRET_KEY"])
    return artifacts.of_bucket(address)


def _keep_plainly(subject: artifacts.Subject, content: bytes) -> None:
    view = memoryview(content)
    chunks = (bytes(view[start : start + artifacts.CHUNK]) for start in range(0, len(content), artifacts.CHUNK))
    subject.plain("plain", chunks)
    subject.forget("plain")


def _time(step: Callable[[], object]) -> float:
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


class _Sender:
    """One client that registers versions with one content, each of another model so that all are first versions."""

    def __init__(self, registry: RegistryProcess) -> None:
        self.registry = registry
        self.content = os.urandom(SIZE)
        self.digest = _digest(self.content)
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {registry.token()}"
        self.count = 0

    def register(self, size: int = SIZE) -> None:
        """Register a version with the content, or with its beginning."""
        self.count += 1
        root = f"{self.registry.url}/api/v1/models"
        self.session.post(root, json={"name": f"model-{self.count}"}).raise_for_status()
        version = self.session.post(f"{root}/model-{self.count}/versions", json={"family": "xgboost"})
        version.raise_for_status()
        content = self.content[:size]
        digest = self.digest if size == SIZE else _digest(content)
        headers = {"Content-Digest": f"sha-256=:{digest}:"}
        path = f"{root}/model-{self.count}/versions/{version.json()['version']}/artifacts/model"
        self.session.put(path, data=content, headers=headers).raise_for_status()

    def measure_memory(self) -> tuple[float, float]:
        """Give the registry's memory before and at most during an upload, in MB; a small one has warmed it up."""
        assert self.registry.process
        self.register(size=1024)
        process = psutil.Process(self.registry.process.pid)
        status = Path(f"/proc/{process.pid}/clear_refs")
        idle = process.memory_info().rss
        # So that the peak is counted anew.
        status.write_text("5")
        self.register()
        return idle / artifacts.MEGABYTE, _read_peak(process.pid)


def _read_peak(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / artifacts.MEGABYTE for line in lines if line.startswith("VmHWM:"))


def _digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()
