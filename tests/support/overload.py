"""A server under twice its capacity."""

import asyncio
import dataclasses
import json
import statistics
from pathlib import Path

from support import open_loop, packages, server_process

ROW = [30, 1000.5, 0.25, 4]
# How a prediction takes its time, and of how many rows: on a thread, as one does that takes more than a millisecond at the
# start; or on the event loop itself, as one does whose rows seemed to take less.
WAYS = {
    "thread": ("time.sleep(0.005)", 1),
    "loop": (
        """until = time.perf_counter() + (0.005 if len(inputs[0]) > 8 else 0)
        while time.perf_counter() < until:
            pass""",
        50,
    ),
}
WRAPPER = """
import time

from serin_services.server import main

class Slow:
    def __init__(self, inner):
        self.inner = inner

    def predict(self, *inputs):
        {how}
        return self.inner.predict(*inputs)

main.serve(wrap=Slow)
"""
# The server refuses what has waited for longer; what it takes may then wait for as long again.
PATIENCE_SECONDS = 0.25
MEASURED_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of the requests: how many a second were answered, and how each kind fared."""

    capacity: float
    answered: float
    refused: int
    lost: int
    without_advice: int
    slowest: float
    after: float


def start(scratch: Path, way: str) -> server_process.ServerProcess:
    """Start a server of a slow model."""
    package = scratch / "slow"
    packages.make_package(package)
    wrapper = scratch / "slow.py"
    wrapper.write_text(WRAPPER.format(how=WAYS[way][0]))
    patience = str(PATIENCE_SECONDS)
    return server_process.start(
        package, scratch / f"run-{way}", str(wrapper), SERIN_MAX_WAIT_SECONDS=patience, SERIN_DRAIN_SECONDS="0"
    )


def press(server: server_process.ServerProcess, way: str, seconds: float) -> Result:
    """Send twice what the server can answer, and then one request more."""

    body = json.dumps({"rows": [ROW] * WAYS[way][1]}).encode()

    async def run() -> Result:
        capacity = await measure(server.http_port, body)
        found = await open_loop.send(server.http_port, body, 2 * capacity, seconds)
        after = await open_loop.send(server.http_port, body, 20, 0.25)
        good = [each for each in found if each.status == 200]
        refused = [each for each in found if each.status == 429]
        lasted = max(each.ended for each in found)
        return Result(
            capacity,
            len(good) / lasted,
            len(refused),
            len(found) - len(good) - len(refused),
            sum(b"retry-after: 1" not in each.head for each in refused),
            max(each.seconds for each in good),
            statistics.median(each.seconds for each in after if each.status == 200),
        )

    return asyncio.run(run())


async def measure(port: int, body: bytes) -> float:
    """Give how many a second are answered to eight clients that each wait for their answers."""
    loop = asyncio.get_running_loop()
    head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    client = open_loop.Client(port, head.encode() + body)
    started = loop.time()

    async def keep_asking() -> int:
        count = 0
        while loop.time() < started + MEASURED_SECONDS:
            count += (await client.ask(0, started)).status == 200
        return count

    counts = await asyncio.gather(*(keep_asking() for _ in range(8)))
    client.close()
    return sum(counts) / (loop.time() - started)
