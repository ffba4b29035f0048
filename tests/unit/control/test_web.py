"""The operator's own HTTP over a real socket: health, metrics, and the webhook."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web as server
from prometheus_client.parser import text_string_to_metric_families

from serin.adapters import exporter, health, watches, web

KEY = ("trading", "momentum")


@dataclass
class Site:
    """The application, what it is made of, and a client."""

    client: aiohttp.ClientSession
    export: exporter.Exporter
    state: health.Health
    late: list[float] = field(default_factory=lambda: [0.0])
    ready: list[bool] = field(default_factory=lambda: [False])
    pokes: list[None] = field(default_factory=list)

    async def get(self, path: str) -> tuple[int, str]:
        async with self.client.get(path) as response:
            return response.status, await response.text()

    async def post(self, token: str | None) -> int:
        headers = {"Authorization": token} if token is not None else {}
        async with self.client.post("/alerts", json={"alerts": []}, headers=headers) as response:
            return response.status


async def open_site(token: str) -> AsyncIterator[Site]:
    late, ready, pokes = [0.0], [False], []
    nobody: Any = None
    state = health.Health(nobody, watches.Store(), lambda _: None, lambda: late[0], ())
    export = exporter.Exporter()
    app = web.make_app(state, export, lambda: ready[0], token, lambda: pokes.append(None))
    runner = server.AppRunner(app, access_log=None)
    await runner.setup()
    site = server.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession(base_url=site.name) as client:
        yield Site(client, export, state, late, ready, pokes)
    await runner.cleanup()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async for opened in open_site("s3cret"):
        yield opened


@pytest.fixture
async def closed_site() -> AsyncIterator[Site]:
    async for opened in open_site(""):
        yield opened


async def test_alive_while_work_is_done(site: Site) -> None:
    assert await site.get("/livez") == (200, "ok")


async def test_not_alive_when_an_object_waits_too_long(site: Site) -> None:
    site.late[0] = 61.0
    assert await site.get("/livez") == (503, "an object has waited 61 s to be reconciled")


async def test_not_alive_when_the_watch_is_stuck(site: Site) -> None:
    site.state.stuck = "the watch brings no changes any more"
    assert await site.get("/livez") == (503, "the watch brings no changes any more")


async def test_ready_once_the_cluster_is_read(site: Site) -> None:
    assert await site.get("/readyz") == (503, "still reading the cluster")
    site.ready[0] = True
    assert await site.get("/readyz") == (200, "ok")


async def test_metrics_are_what_a_scrape_can_read(site: Site) -> None:
    site.export.start(KEY, ("promoted", "rolled_back"))
    site.export.snapshots[KEY] = exporter.Snapshot("Canary", ("Canary", "Baking"), 2, "Pass", ("Pass", "Fail"))
    status, text = await site.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert status == 200
    assert [(s.labels["phase"], s.value) for s in families["serin_phase"].samples] == [("Canary", 1), ("Baking", 0)]
    assert [s.value for s in families["serin_step"].samples] == [2]
    outcomes = {
        s.labels["outcome"]: s.value for s in families["serin_rollouts"].samples if s.name == "serin_rollouts_total"
    }
    assert outcomes == {"promoted": 0, "rolled_back": 0}, "a counter that starts at 1 hides its first event"


async def test_nothing_of_a_deleted_object_stays(site: Site) -> None:
    site.export.start(KEY, ("promoted",))
    site.export.foreign_writes.labels(*KEY, "Deployment").inc()
    site.export.snapshots[KEY] = exporter.Snapshot("Canary", ("Canary",), 0, "", ())
    site.export.start(("trading", "other"), ("promoted",))
    site.export.forget(KEY)
    _, text = await site.get("/metrics")
    assert 'modeldeployment="momentum"' not in text
    assert 'modeldeployment="other"' in text


@pytest.mark.parametrize(
    ("token", "status"),
    [
        pytest.param("Bearer s3cret", 204, id="the token"),
        pytest.param("Bearer wrong", 401, id="another token"),
        pytest.param("Bearer ", 401, id="an empty token"),
        pytest.param("Bearer s3cret\u00e9", 401, id="a token beyond ASCII"),
        pytest.param(None, 401, id="no token"),
    ],
)
async def test_the_webhook_wakes_only_with_its_token(site: Site, token: str | None, status: int) -> None:
    assert await site.post(token) == status
    assert len(site.pokes) == (status == 204)


@pytest.mark.parametrize("token", [None, "Bearer ", "Bearer x"])
async def test_without_a_token_the_webhook_is_closed(closed_site: Site, token: str | None) -> None:
    assert await closed_site.post(token) == 401
    assert closed_site.pokes == []


async def test_an_alert_cannot_be_read_but_only_posted(site: Site) -> None:
    assert (await site.get("/alerts"))[0] == 405
