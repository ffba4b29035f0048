"""One look at one object, end to end: a real connection to a small API server, and a Prometheus that a test answers for."""

import asyncio
import contextlib
import copy
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import kubernetes.aio as kubernetes
import pytest
from aiohttp import web

from serin import reconcile
from serin.adapters import alerts, analysis, cluster, exporter, prometheus, watches
from serin.api import names
from serin.core.phases import Phase
from support import apis, servers

KEY = ("trading", "momentum")
KINDS = {kind.plural: kind for kind in (*cluster.WATCHED, cluster.MODELDEPLOYMENT)}
SOON = 20.0


def spec(version: str, **changes: Any) -> dict[str, Any]:
    canary = {
        "staging": {"duration": "0s"},
        "steps": [{"weight": 25, "duration": "1ms"}, {"weight": 100}],
        "bake": "1ms",
    }
    return {
        "model": "momentum",
        "version": version,
        "image": f"momentum:{version}@sha256:{version}",
        "route": {"gateway": {"name": "public", "namespace": "infra"}},
        "strategy": {"type": "Canary", "canary": canary},
        "analysis": {"minRequests": 10, "criteria": [{"name": "errorRate", "max": "0.05"}]},
        **changes,
    }


class World:
    """An API server with its controllers, a Prometheus that counts as the route says, and an operator that can die."""

    def __init__(self, api: apis.Api) -> None:
        self.api = api
        self.urls = ("", "")
        self.firing: list[Any] = []
        self.counts: dict[tuple[str, str], list[list[Any]]] = {}
        self.failing = 0.0
        self.stack = contextlib.AsyncExitStack()
        self.weights_seen: list[tuple[int, int]] = []
        api.put(("gateways", "infra", "public"), {"metadata": {"name": "public", "namespace": "infra"}, "spec": {}})

    async def start_operator(self) -> None:
        """Start anew, as after a crash: everything is read from the cluster again."""
        await self.stack.aclose()
        self.store = watches.Store()
        configuration = kubernetes.client.Configuration(host=self.urls[0])
        configuration.retries = 0
        client = cluster.Cluster(kubernetes.client.ApiClient(configuration))
        self.source = prometheus.Prometheus(self.urls[1])
        self.stack.push_async_callback(client.close)
        self.stack.push_async_callback(self.source.close)
        self.board = alerts.AlertBoard(self.source, 0.01, lambda _: None)
        self.export = exporter.Exporter()
        self.reconciler = reconcile.Reconciler(
            client,
            self.store,
            analysis.Analyst(self.source),
            self.board,
            self.export,
            reconcile.Settings(evaluation_seconds=0.001),
        )
        self.stack.push_async_callback(self.finish_events)

    async def finish_events(self) -> None:
        await asyncio.gather(*self.reconciler._posting)

    def apply(self, version: str, request: str = "", **changes: Any) -> None:
        metadata: dict[str, Any] = {"name": KEY[1], "namespace": KEY[0], "creationTimestamp": "2026-01-01T00:00:00Z"}
        if request:
            metadata["annotations"] = {names.REQUEST_ANNOTATION: request}
        self.api.put(("modeldeployments", *KEY), {"metadata": metadata, "spec": spec(version, **changes)})

    # What a cluster does by itself.

    def run_controllers(self, ready: bool = True) -> None:
        """Pods for Deployments, endpoints for Services, a gateway for routes."""
        for found in self.api.all("deployments"):
            name, labels = found["metadata"]["name"], found["spec"]["template"]["metadata"]["labels"]
            conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
            pod = {"metadata": {"name": f"{name}-0", "namespace": "trading", "labels": labels}}
            self.api.put(("pods", "trading", f"{name}-0"), {**pod, "spec": {}, "status": {"conditions": conditions}})
        alive = {found["metadata"]["name"] for found in self.api.all("deployments")}
        for found in self.api.all("pods"):
            if found["metadata"]["name"][:-2] not in alive:
                del self.api.objects["pods", "trading", found["metadata"]["name"]]
        for found in self.api.all("services"):
            self.fill_slice(found)
        for found in self.api.all("httproutes"):
            accepted = {"type": "Accepted", "status": "True", "observedGeneration": found["metadata"]["generation"]}
            status = {"parents": [{"parentRef": {"name": "public"}, "conditions": [accepted]}]}
            self.api.put(("httproutes", "trading", found["metadata"]["name"]), {"status": status}, "status")

    def fill_slice(self, service: dict[str, Any]) -> None:
        name, selector = service["metadata"]["name"], service["spec"]["selector"]
        chosen = [p for p in self.api.all("pods") if selector.items() <= p["metadata"]["labels"].items()]
        endpoints = [{"targetRef": {"name": p["metadata"]["name"]}, "conditions": {"ready": True}} for p in chosen]
        labels = {**service["metadata"]["labels"], "kubernetes.io/service-name": name}
        slice_of = {"metadata": {"name": name, "namespace": "trading", "labels": labels}, "endpoints": endpoints}
        self.api.put(("endpointslices", "trading", name), slice_of)

    def see(self) -> None:
        """Bring everything into the store, as the watches do."""
        for plural, kind in KINDS.items():
            present = {watches.key_of(found) for found in self.api.all(plural)}
            for known in self.store.all(kind):
                if watches.key_of(known) not in present:
                    self.store.remove(kind, watches.key_of(known))
            for found in self.api.all(plural):
                labels = found["metadata"].get("labels", {})
                if not kind.selector or labels.get(names.MANAGED_BY_LABEL) == names.MANAGER:
                    self.store.put(kind, found)

    async def look(self, ready: bool = True) -> None:
        """Let the cluster do its part and the operator look once."""
        self.run_controllers(ready)
        self.see()
        await self.reconciler.reconcile(KEY)

    async def until(self, done: Callable[[dict[str, Any]], bool], ready: bool = True) -> dict[str, Any]:
        """Look until the status is as wanted."""
        async with asyncio.timeout(SOON):
            while not done(self.status):
                await self.look(ready)
                self.weights_seen.append(self.weights)
                await asyncio.sleep(0.002)
        return self.status

    async def reach(self, phase: Phase, version: str) -> dict[str, Any]:
        return await self.until(lambda s: s.get("phase") == phase and self.version_of(s) == version)

    def version_of(self, status: dict[str, Any]) -> str:
        return str((status.get("candidate") or status.get("stable") or {}).get("version"))

    @property
    def status(self) -> dict[str, Any]:
        return copy.deepcopy(self.api.get("modeldeployments", "momentum").get("status", {}))

    @property
    def weights(self) -> tuple[int, int]:
        found = self.api.objects.get(("httproutes", *KEY))
        if not found:
            return (0, 0)
        a, b = (backend["weight"] for backend in found["spec"]["rules"][0]["backendRefs"])
        return a, b

    # What Prometheus says: each read finds a sample more, with traffic as the route's weights share it out.

    async def ask(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("alerts"):
            return web.json_response({"status": "success", "data": {"alerts": self.firing}})
        self.sample()
        result = [
            {"metric": {"revision": revision, "outcome": outcome}, "values": values}
            for (revision, outcome), values in self.counts.items()
        ]
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": result}})

    def sample(self) -> None:
        slots = {
            s["metadata"]["name"][-1]: s["spec"]["selector"][names.REVISION_LABEL] for s in self.api.all("services")
        }
        shares = dict(zip("ab", self.weights, strict=True))
        now = time.time()
        for slot, revision in slots.items():
            share = shares[slot] if revision != slots["a" if slot == "b" else "b"] else 0
            for outcome, part in (("ok", 1 - self.failing), ("failed", self.failing)):
                values = self.counts.setdefault((revision, outcome), [])
                grown = float(values[-1][1]) if values else 0.0
                values.append([now, str(grown + 10 * share * (part if slot == "b" else float(outcome == "ok")))])


@pytest.fixture
async def world() -> AsyncIterator[World]:
    api = apis.Api()
    made = World(api)
    async with servers.serve(api.answer) as kubernetes_side, servers.serve(made.ask) as prometheus_side:
        made.urls = (kubernetes_side.url, prometheus_side.url)
        await made.start_operator()
        yield made
        await made.stack.aclose()


def alert(revision: str) -> dict[str, Any]:
    labels = {"alertname": "TooManyErrors", "namespace": "trading", "modeldeployment": "momentum"}
    return {
        "labels": {**labels, "serin_action": "rollback", "revision": revision},
        "annotations": {"summary": "6 of 30 failed"},
        "state": "firing",
        "activeAt": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }


async def start_canary(world: World, **changes: Any) -> dict[str, Any]:
    """Bring 1.0.0 to production and 1.1.0 to a quarter of the traffic, where it stays."""
    world.apply("1.0.0")
    await world.reach(Phase.PRODUCTION, "1.0.0")
    slow = spec("1.1.0")["strategy"]
    slow["canary"]["steps"][0]["duration"] = "1h"
    world.apply("1.1.0", strategy=slow, **changes)
    return await world.until(lambda s: s.get("phase") == Phase.CANARY and bool(s.get("since")))


async def test_a_good_version_goes_all_the_way(world: World) -> None:
    world.apply("1.0.0")
    await world.look(ready=False)
    assert (world.status["phase"], world.weights) == ("Pending", (0, 0))
    await world.reach(Phase.PRODUCTION, "1.0.0")
    world.apply("1.1.0")
    status = await world.until(
        lambda s: s.get("phase") == Phase.PRODUCTION and s["stable"]["version"] == "1.1.0" and not s.get("leaving")
    )

    assert list(dict.fromkeys(world.weights_seen)) == [(100, 0), (75, 25), (0, 100)]
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "True"
    await world.until(lambda _: len(world.api.all("deployments")) == 1)
    reasons = [found["reason"] for found in world.api.all("events")]
    assert {"Promoted", "Starting", "StepReached", "FullWeight"} <= set(reasons)
    assert world.export.rollouts.labels(*KEY, "promoted")._value.get() == 2


async def test_an_earlier_version_that_begins_once_more_is_the_newer_one_for_a_recovery(world: World) -> None:
    world.apply("1.0.0")
    await world.reach(Phase.PRODUCTION, "1.0.0")
    world.apply("1.1.0")
    await world.reach(Phase.PRODUCTION, "1.1.0")
    slow = spec("1.0.0")["strategy"]
    slow["canary"]["steps"][0]["duration"] = "1h"
    world.apply("1.0.0", strategy=slow)
    await world.until(lambda s: s.get("phase") == Phase.CANARY and bool(s.get("since")))
    numbers = {found["data"]["version"]: found["revision"] for found in world.api.all("controllerrevisions")}
    assert numbers["1.0.0"] > numbers["1.1.0"]
    world.api.get("modeldeployments", "momentum")["status"] = {}
    await world.start_operator()
    await world.look()
    assert (world.status["phase"], world.status["stable"]["version"]) == ("Canary", "1.1.0")


async def test_a_look_at_what_is_settled_writes_nothing(world: World) -> None:
    world.apply("1.0.0")
    await world.reach(Phase.PRODUCTION, "1.0.0")
    await world.until(lambda s: bool(s.get("since")))
    for _ in range(2):
        await world.look()
    world.api.writes.clear()
    for _ in range(5):
        await world.look()
    assert world.api.writes == []


async def test_the_operator_that_starts_anew_goes_on_where_it_was_and_writes_nothing(world: World) -> None:
    before = await start_canary(world)
    await world.start_operator()
    world.api.writes.clear()
    await world.look()
    after = world.status
    assert [write for write in world.api.writes if write[1] != "modeldeployments"] == []
    for field in ("phase", "weight", "since", "started", "candidate", "stable"):
        assert after[field] == before[field]


@pytest.mark.parametrize("writes", [2, 3, 5])
async def test_an_operator_that_dies_after_every_few_writes_still_gets_there_by_the_same_weights(
    world: World, writes: int
) -> None:
    world.apply("1.0.0")
    await world.reach(Phase.PRODUCTION, "1.0.0")
    await world.until(lambda s: bool(s.get("since")))
    world.weights_seen.clear()
    world.apply("1.1.0")
    async with asyncio.timeout(SOON):
        while not (world.status["phase"] == Phase.PRODUCTION and world.status["stable"]["version"] == "1.1.0"):
            world.api.die_before_write = len(world.api.writes) + writes
            with contextlib.suppress(cluster.ApiError):
                await world.look()
            await world.start_operator()
            world.weights_seen.append(world.weights)
    assert list(dict.fromkeys(world.weights_seen)) == [(100, 0), (75, 25), (0, 100)]


async def test_an_alert_takes_the_traffic_before_anything_else(world: World) -> None:
    status = await start_canary(world)
    world.firing = [alert(status["candidate"]["revision"])]
    await world.board._read()
    world.api.writes.clear()
    await world.look()

    assert world.api.writes[0] == ("PATCH", "httproutes", "momentum")
    assert world.weights == (100, 0)
    assert (world.status["phase"], world.status["failure"]["alert"]) == ("RollingBack", "TooManyErrors")
    world.firing = []
    await world.reach(Phase.ROLLED_BACK, "1.0.0")
    assert len(world.api.all("deployments")) == 2, "the failed version's pods stay for inspection"


@pytest.mark.parametrize("writes", [0, 1, 2])
async def test_an_operator_that_dies_while_it_rolls_back_gives_no_traffic_back(world: World, writes: int) -> None:
    status = await start_canary(world)
    world.firing = [alert(status["candidate"]["revision"])]
    await world.board._read()
    world.api.die_before_write = len(world.api.writes) + writes
    with contextlib.suppress(cluster.ApiError):
        await world.look()
    world.api.die_before_write = None
    # The alert has ended by the time that the operator is back, because the version gets no traffic any more.
    world.firing = []
    await world.start_operator()
    world.weights_seen.clear()
    for _ in range(3):
        await world.look()
        world.weights_seen.append(world.weights)
    if writes:
        assert set(world.weights_seen) == {(100, 0)}
        assert world.status["failure"]["alert"] == "TooManyErrors"
    else:
        assert world.status["phase"] == "Canary", "nothing was written, so nothing had been decided"


async def test_a_lost_status_is_rebuilt_without_a_promotion(world: World) -> None:
    await start_canary(world)
    world.api.get("modeldeployments", "momentum")["status"] = {}
    await world.start_operator()
    await world.look()
    status = world.status
    assert (status["phase"], status["weight"], status["stable"]["version"]) == ("Canary", 25, "1.0.0")
    assert world.weights == (75, 25)


async def test_weights_that_somebody_changes_are_put_back_and_counted(world: World) -> None:
    await start_canary(world)
    await world.look()
    live = copy.deepcopy(world.api.get("httproutes", "momentum"))
    for rule in live["spec"]["rules"]:
        rule["backendRefs"][0]["weight"], rule["backendRefs"][1]["weight"] = 0, 100
    world.api.put(("httproutes", *KEY), {"metadata": live["metadata"], "spec": live["spec"]})
    await world.look()
    assert world.weights == (75, 25)
    assert world.export.foreign_writes.labels(*KEY, "HTTPRoute")._value.get() == 1


async def test_a_bad_version_is_rolled_back_by_what_was_counted(world: World) -> None:
    await start_canary(world)
    world.failing = 0.5
    status = await world.until(lambda s: s.get("phase") == Phase.ROLLING_BACK)
    assert status["failure"]["reason"] == "CriterionFailed"
    assert "requests failed" in status["failure"]["message"]
    assert status["failure"]["numbers"]["errorRate"].endswith("limit 0.05")


async def test_a_request_is_carried_out_and_acknowledged(world: World) -> None:
    await start_canary(world)
    world.apply("1.1.0", request="rollback:7")
    status = await world.until(lambda s: s.get("phase") == Phase.ROLLING_BACK)
    assert (status["request"]["id"], status["request"]["accepted"]) == ("7", True)
    assert status["failure"]["reason"] == "RollbackRequested"


async def test_an_object_that_is_deleted_is_forgotten_and_nothing_is_made_for_it(world: World) -> None:
    await start_canary(world)
    del world.api.objects["modeldeployments", "trading", "momentum"]
    world.api.writes.clear()
    await world.look()
    assert world.api.writes == []
    assert KEY not in world.export.snapshots


async def test_an_api_server_that_refuses_is_counted_and_told(world: World) -> None:
    world.apply("1.0.0")
    world.api.die_before_write = 0
    with pytest.raises(cluster.ApiError, match="503: the operator is dead"):
        await world.look()
    assert world.export.errors.labels(*KEY)._value.get() == 1
