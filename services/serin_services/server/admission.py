"""Which requests are let in while the server has more to do than it can: one place for both protocols.

Short predictions run on the event loop one after the other, so what waits for them waits in the sockets, and the sign
of too much of it is a turn of the loop that is too much work. Work is processor time: a server that was kept from running,
by a quota or by others on its machine, can answer at once what has come meanwhile. Long ones wait for a thread, and are
counted.
"""

import asyncio
import functools
import itertools
import math
import time
from collections.abc import Callable

from serin_services.server import schema

MOST_WAITING = 256
PATIENCE_SECONDS = 1.0
PULSE_SECONDS = 0.02


class Admission:
    """Refuses what would wait too long: at most `most` requests wait for a thread, and each for `patience` seconds."""

    def __init__(self, most: int = MOST_WAITING, patience: float = PATIENCE_SECONDS) -> None:
        self._most = most
        self._patience = patience
        # Since when each one waits, the oldest first.
        self._waiting: dict[int, float] = {}
        self._numbers = itertools.count()
        # The loop's processor time when it last came round; never refused by while nothing beats.
        self._pulse = math.inf

    def check(self) -> None:
        """Refuse a request that has waited too long already, or would have to behind those that wait.

        Raises:
            schema.Limit: 429 or RESOURCE_EXHAUSTED.
        """
        # A copy, which is one step of the interpreter: a thread may take one away at any moment.
        since = list(self._waiting.values())
        if len(since) >= self._most:
            raise busy(f"{len(since)} requests wait")
        waited = time.thread_time() - self._pulse - PULSE_SECONDS
        if since:
            waited = max(waited, time.monotonic() - since[0])
        if waited > self._patience:
            raise busy(f"requests wait for {waited:.1f} s")

    def enter(self) -> Callable[[], object]:
        """Count a request that waits from now on; gives what to call, on any thread, when it waits no more.

        Raises:
            schema.Limit: 429 or RESOURCE_EXHAUSTED.
        """
        self.check()
        number = next(self._numbers)
        self._waiting[number] = time.monotonic()
        return functools.partial(self._waiting.pop, number, None)

    async def beat(self) -> None:
        """Note each time that the loop comes round; runs as long as the server."""
        try:
            while True:
                self._pulse = time.thread_time()
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
