"""The queue on a real event loop: serial per object, woken during work, due again, and later after a failure."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from serin.adapters import queue
from serin.adapters.queue import Key, Queue

ONE, TWO = ("trading", "one"), ("trading", "two")
SOON = 5.0
Work = Callable[[Key], Awaitable[float | None]]
Start = Callable[[Work], Queue]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Run queues until the test ends."""
    tasks: list[asyncio.Task[None]] = []

    def run(work: Work) -> Queue:
        made = Queue(work)
        tasks.append(asyncio.create_task(made.run()))
        return made

    yield run
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Recorder:
    """Work that waits for a go at each call, and tells when it began."""

    def __init__(self) -> None:
        self.began: asyncio.Queue[Key] = asyncio.Queue()
        self.go = asyncio.Semaphore(0)
        self.running: dict[Key, int] = {}
        self.most = 0
        self.calls = 0
        self.after: list[float | Exception | None] = []

    async def work(self, key: Key) -> float | None:
        self.calls += 1
        self.running[key] = self.running.get(key, 0) + 1
        self.most = max(self.most, self.running[key])
        self.began.put_nowait(key)
        await self.go.acquire()
        self.running[key] -= 1
        answer = self.after.pop(0) if self.after else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def next(self) -> Key:
        async with asyncio.timeout(SOON):
            return await self.began.get()


async def test_what_is_woken_is_worked_on(start: Start) -> None:
    recorder = Recorder()
    start(recorder.work).wake(ONE)
    assert await recorder.next() == ONE


async def test_objects_do_not_wait_for_each_other(start: Start) -> None:
    recorder = Recorder()
    made = start(recorder.work)
    made.wake(ONE)
    made.wake(TWO)
    assert {await recorder.next(), await recorder.next()} == {ONE, TWO}


async def test_one_object_is_never_worked_on_twice_at_once(start: Start) -> None:
    recorder = Recorder()
    made = start(recorder.work)
    for _ in range(20):
        made.wake(ONE)
    await recorder.next()
    for _ in range(20):
        made.wake(ONE)
        await asyncio.sleep(0)
    recorder.go.release()
    await recorder.next()
    recorder.go.release()
    assert recorder.most == 1


async def test_a_wake_during_work_is_not_lost_and_many_are_one(start: Start) -> None:
    recorder = Recorder()
    made = start(recorder.work)
    made.wake(ONE)
    await recorder.next()
    for _ in range(5):
        made.wake(ONE)
    recorder.go.release()
    await recorder.next()
    recorder.go.release()
    made.wake(TWO)
    assert await recorder.next() == TWO
    assert recorder.calls == 3


async def test_work_is_due_again_after_what_it_says(start: Start) -> None:
    recorder = Recorder()
    recorder.after = [0.02]
    made = start(recorder.work)
    made.wake(ONE)
    await recorder.next()
    before = asyncio.get_running_loop().time()
    recorder.go.release()
    await recorder.next()
    assert asyncio.get_running_loop().time() - before >= 0.02


async def test_a_wake_comes_before_a_later_due_time(start: Start) -> None:
    recorder = Recorder()
    made = start(recorder.work)
    made.wake(ONE, delay=3600)
    made.wake(ONE)
    assert await recorder.next() == ONE


async def test_a_later_wake_does_not_put_an_earlier_one_off(start: Start) -> None:
    recorder = Recorder()
    made = start(recorder.work)
    made.wake(ONE)
    made.wake(ONE, delay=3600)
    assert await recorder.next() == ONE


async def test_a_due_time_that_comes_during_work_waits_for_its_end(start: Start) -> None:
    recorder = Recorder()
    made = start(recorder.work)
    made.wake(ONE)
    await recorder.next()
    made.wake(ONE, delay=0.01)
    made.wake(TWO, delay=0.03)
    assert await recorder.next() == TWO, "the first is still at work"
    recorder.go.release(), recorder.go.release()
    assert await recorder.next() == ONE


async def test_a_failure_stops_neither_the_object_nor_the_others(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queue, "FIRST_RETRY_SECONDS", 0.01)
    recorder = Recorder()
    recorder.after = [OSError("the API server does not answer"), OSError("still not"), None]
    made = start(recorder.work)
    recorder.go.release(), recorder.go.release(), recorder.go.release()
    with caplog.at_level(logging.WARNING):
        made.wake(ONE)
        for _ in range(3):
            assert await recorder.next() == ONE
    assert "trading/one failed: OSError('the API server does not answer')" in caplog.text
    made.wake(TWO)
    assert await recorder.next() == TWO


@pytest.mark.parametrize(
    ("failures", "pause"),
    [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (8, 60.0), (5000, 60.0)],
)
async def test_pauses_grow_to_a_minute(failures: int, pause: float) -> None:
    """Five thousand failures in a row are three and a half days of an unreachable API server."""
    made = Queue(Recorder().work)
    found = 0.0
    for _ in range(failures):
        found = made._note_failure(ONE, OSError("no"))
    assert found == pause


async def test_a_success_ends_the_growth_of_pauses(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "FIRST_RETRY_SECONDS", 0.001)
    recorder = Recorder()
    recorder.after = [OSError("once"), 0.0]
    made = start(recorder.work)
    recorder.go.release(), recorder.go.release()
    made.wake(ONE)
    for _ in range(3):
        await recorder.next()
    assert made._note_failure(ONE, OSError("again")) == 0.001


async def test_lateness_shows_work_that_does_not_end(start: Start) -> None:
    recorder = Recorder()
    made = start(recorder.work)
    assert made.lateness() == 0.0
    made.wake(TWO, delay=3600)
    assert made.lateness() == 0.0
    made.wake(ONE)
    await recorder.next()
    loop = asyncio.get_running_loop()
    began = loop.time()
    while made.lateness() == 0.0:
        assert loop.time() - began < SOON
        await asyncio.sleep(0)
    recorder.go.release()
    while made.lateness():
        assert loop.time() - began < SOON
        await asyncio.sleep(0)


async def test_lateness_shows_work_that_nobody_begins() -> None:
    made = Queue(Recorder().work)
    made.wake(ONE, delay=-90)
    assert made.lateness() >= 90
