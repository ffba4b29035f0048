"""The queue of due work: one reconcile at a time per object, at once when woken, again when due, later when it failed."""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable

Key = tuple[str, str]
logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0


class Queue:
    """Keys with due times on the loop's clock, in seconds."""

    def __init__(self, work: Callable[[Key], Awaitable[float | None]]) -> None:
        self._work = work
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._numbers = itertools.count()
        self._busy: dict[Key, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()

    def wake(self, key: Key, delay: float = 0.0) -> None:
        """Make a key due after a delay, unless it is due earlier; a key at work is due again when it is done."""
        due = asyncio.get_running_loop().time() + delay
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._numbers), key))
        self._changed.set()

    def lateness(self) -> float:
        """Give how long the longest overdue or unfinished work has taken, in seconds: it shows whether work is being done."""
        now = asyncio.get_running_loop().time()
        return max((0.0, *(now - since for since in (*self._due.values(), *self._busy.values()))))

    async def run(self) -> None:
        """Work until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            self._start_due(loop.time())
            pause = self._heap[0][0] - loop.time() if self._heap else None
            try:
                async with asyncio.timeout(None if pause is None else max(0.0, pause)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _start_due(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            # A later push replaced this entry, or the key is at work: then its end looks at it again.
            if self._due.get(key) != due or key in self._busy:
                continue
            del self._due[key]
            self._busy[key] = now
            task = asyncio.create_task(self._do(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _do(self, key: Key) -> None:
        try:
            after = await self._work(key)
            self._failures.pop(key, None)
        except Exception as error:  # noqa: BLE001 - one object's failure must not stop the others
            after = self._note_failure(key, error)
        finally:
            del self._busy[key]
        if key in self._due:
            heapq.heappush(self._heap, (self._due[key], next(self._numbers), key))
            self._changed.set()
        if after is not None:
            self.wake(key, after)

    def _note_failure(self, key: Key, error: Exception) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 10))
        level = logging.WARNING if failures < 3 else logging.ERROR
        detail = error if failures > 1 else None
        logger.log(level, "%s/%s failed: %r; again in %.0f s", *key, error, pause, exc_info=detail)
        return pause
