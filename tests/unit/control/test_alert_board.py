"""The board of firing alerts, polled from a real server while somebody is interested."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from serin.adapters import alerts, prometheus
from serin.core.model import Alert
from support import servers

KEY, OTHER = ("trading", "momentum"), ("trading", "reversal")
SOON = 5.0
POLL_SECONDS = 0.01


def firing(
    name: str = "TooManyErrors", of: str = "momentum", action: str = "rollback", revision: str = "r2"
) -> dict[str, Any]:
    labels = {
        "alertname": name,
        "namespace": "trading",
        "modeldeployment": of,
        "serin_action": action,
        "revision": revision,
    }
    return {"labels": labels, "annotations": {"summary": "bad"}, "state": "firing", "activeAt": "2026-01-01T00:00:00Z"}


class World:
    """A Prometheus whose alerts a test sets, and the board that polls it."""

    def __init__(self, url: str) -> None:
        self.source = prometheus.Prometheus(url)
        self.woken: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.board = alerts.AlertBoard(self.source, POLL_SECONDS, self.woken.put_nowait)
        self.alerts: list[Any] = []
        self.answers = True
        self.polls = 0
        self.polled = asyncio.Condition()

    async def answer(self, _: web.Request) -> web.StreamResponse:
        async with self.polled:
            self.polls += 1
            self.polled.notify_all()
        if not self.answers:
            return web.Response(status=503, text="down")
        return web.json_response({"status": "success", "data": {"alerts": self.alerts}})

    async def next_wake(self) -> tuple[str, str]:
        async with asyncio.timeout(SOON):
            return await self.woken.get()

    async def more_polls(self, count: int = 2) -> None:
        """Wait until the answer to a poll that began after now has been read."""
        async with asyncio.timeout(SOON), self.polled:
            wanted = self.polls + count
            await self.polled.wait_for(lambda: self.polls >= wanted)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made: list[World] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        return await made[0].answer(request)

    async with servers.serve(answer) as served:
        made.append(World(served.url))
        task = asyncio.create_task(made[0].board.run())
        yield made[0]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made[0].source.close()


async def test_nobody_interested_nothing_polled(world: World) -> None:
    for _ in range(50):
        await asyncio.sleep(0)
    assert world.polls == 0


async def test_a_firing_alert_wakes_its_object(world: World) -> None:
    world.alerts = [firing()]
    world.board.follow(KEY, interested=True)
    assert await world.next_wake() == KEY
    since = datetime(2026, 1, 1, tzinfo=UTC)
    assert world.board.firing(KEY) == (Alert("TooManyErrors", "r2", "bad", since),)
    assert world.board.firing(OTHER) == ()


@pytest.mark.parametrize("action", ["notify", "scale", "retrain"])
async def test_other_actions_roll_nothing_back(world: World, action: str) -> None:
    world.alerts = [firing(action=action)]
    world.board.follow(KEY, interested=True)
    await world.more_polls()
    assert world.board.firing(KEY) == ()


async def test_an_alert_wakes_once_and_again_when_it_ends(world: World) -> None:
    world.alerts = [firing()]
    world.board.follow(KEY, interested=True)
    assert await world.next_wake() == KEY
    await world.more_polls(3)
    assert world.woken.empty()
    world.alerts = []
    assert await world.next_wake() == KEY
    assert world.board.firing(KEY) == ()


async def test_an_outage_ends_no_alert(world: World) -> None:
    world.alerts = [firing()]
    world.board.follow(KEY, interested=True)
    await world.next_wake()
    world.answers = False
    await world.more_polls(3)
    assert len(world.board.firing(KEY)) == 1
    assert world.woken.empty()
    world.answers, world.alerts = True, [firing(), firing("TooSlow")]
    assert await world.next_wake() == KEY


async def test_a_poke_polls_although_nobody_is_interested(world: World) -> None:
    world.board.poke()
    await world.more_polls(1)


async def test_polling_ends_with_the_interest(world: World) -> None:
    world.board.follow(KEY, interested=True)
    await world.more_polls()
    world.board.follow(KEY, interested=False)
    for _ in range(10):
        try:
            async with asyncio.timeout(5 * POLL_SECONDS):
                await world.more_polls(1)
        except TimeoutError:
            return
    pytest.fail("nobody is interested, and it is polled all the same")
