"""Which requests are let in while the server has more to do than it can: one place for both protocols.

Short predictions run on the event loop one after the other, so what waits for them waits in the sockets, and the sign
of too much of it is a turn of the loop that lasts too long. Long ones wait for a thread, and are counted.
"""

import asyncio
import math
import time

from serin_services.server import schema

MOST_WAITING = 256
PATIENCE_SECONDS = 0.5
PULSE_SECONDS = 0.02


class Admission:
    """Refuses what would wait too long: `most` requests wait at once, and each for `patience` seconds."""

    def __init__(self, most: int = MOST_WAITING, patience: float = PATIENCE_SECONDS) -> None:
        self._most = most
        self._patience = patience
        self._waiting = 0
        # When the loop last came round; never refused by while nothing beats.
        self._pulse = math.inf

    def check(self) -> None:
        """Refuse a request that has waited too long already, or would have to behind those that wait.

        Raises:
            schema.Limit: 429 or RESOURCE_EXHAUSTED.
        """
        if self._waiting >= self._most:
            raise busy(f"{self._waiting} requests wait already")
        if (late := time.monotonic() - self._pulse - PULSE_SECONDS) > self._patience:
            raise busy(f"requests have waited for {late:.1f} s")

    def enter(self) -> None:
        """Count a request that waits from now on.

        Raises:
            schema.Limit: 429 or RESOURCE_EXHAUSTED.
        """
        self.check()
        self._waiting += 1

    def leave(self) -> None:
        """Count it no more."""
        self._waiting -= 1

    async def beat(self) -> None:
        """Note each time that the loop comes round; runs as long as the server."""
        try:
            while True:
                self._pulse = time.monotonic()
                await asyncio.sleep(PULSE_SECONDS)
        finally:
            self._pulse = math.inf


def busy(message: str) -> schema.Limit:
    """Refuse a request for what there is to do besides."""
    return schema.Limit("Busy", f"the server is busy: {message}; try again later", 429, "RESOURCE_EXHAUSTED", 1)


def too_late(seconds: float | None = None) -> schema.Limit:
    """Give a request up whose time is over."""
    within = f" within {seconds:g} s" if seconds else " in time"
    return schema.Limit("DeadlineExceeded", f"no answer{within}", 504, "DEADLINE_EXCEEDED")
