"""What the cluster was last seen to be: the store, the events that go into it, and the proof that they still come."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import kubernetes.aio as kubernetes
import pytest
from aiohttp import web

from serin import handlers
from serin.adapters import cluster, health, watches
from support import servers

KEY = ("trading", "momentum")


def found(version: int, generation: int = 1, name: str = "momentum", **metadata: Any) -> dict[str, Any]:
    own = {
        "name": name,
        "namespace": "trading",
        "uid": "u-1",
        "resourceVersion": str(version),
        "generation": generation,
    }
    return {"metadata": {**own, **metadata}, "spec": {}}


def test_the_newest_is_kept_and_older_news_are_none() -> None:
    store = watches.Store()
    assert store.put(cluster.MODELDEPLOYMENT, found(9))
    assert not store.put(cluster.MODELDEPLOYMENT, found(9))
    assert not store.put(cluster.MODELDEPLOYMENT, found(8))
    assert store.put(cluster.MODELDEPLOYMENT, found(10)), "by number, not by letters"
    kept = store.get(cluster.MODELDEPLOYMENT, KEY)
    assert kept is not None
    assert kept["metadata"]["resourceVersion"] == "10"


def test_children_are_found_by_their_owner() -> None:
    store = watches.Store()
    child = found(1, name="momentum-a", labels={"serin.dev/modeldeployment": "momentum"})
    store.put(cluster.SERVICE, child)
    store.put(cluster.SERVICE, found(1, name="other-a", labels={"serin.dev/modeldeployment": "other"}))
    store.put(cluster.SERVICE, found(1, name="stray"))
    assert store.owned(cluster.SERVICE, KEY) == [child]
    store.remove(cluster.SERVICE, ("trading", "momentum-a"))
    assert store.owned(cluster.SERVICE, KEY) == []


# Events of ModelDeployments.


class Woken:
    """A store and what was woken."""

    def __init__(self) -> None:
        self.store = watches.Store()
        self.keys: list[Any] = []

    def note(self, kind: str | None, thing: dict[str, Any]) -> None:
        handlers.note(self.store, self.keys.append, {"type": kind, "object": thing})


def test_what_people_change_wakes_and_what_we_write_does_not() -> None:
    woken = Woken()
    woken.note(None, found(1))
    woken.note("MODIFIED", found(2))
    assert woken.keys == [KEY], "a change of the status alone is our own"
    woken.note("MODIFIED", found(3, generation=2))
    woken.note("MODIFIED", found(4, generation=2, annotations={"serin.dev/request": "pause:1"}))
    assert woken.keys == [KEY] * 3


def test_an_event_that_is_older_than_what_is_known_wakes_nobody() -> None:
    woken = Woken()
    woken.note("ADDED", found(5))
    woken.note("MODIFIED", found(4, generation=2))
    assert woken.keys == [KEY]


def test_a_deletion_wakes_and_a_new_object_of_the_name_too() -> None:
    woken = Woken()
    woken.note("ADDED", found(5))
    woken.note("DELETED", found(6))
    assert woken.store.get(cluster.MODELDEPLOYMENT, KEY) is None
    woken.note("ADDED", found(7, uid="u-2"))
    assert woken.keys == [KEY] * 3


def test_a_deletion_that_is_under_way_wakes() -> None:
    woken = Woken()
    woken.note("ADDED", found(5))
    woken.note("MODIFIED", found(6, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert woken.keys == [KEY, KEY]


# The proof that events come, against a server with the API's paths.


class Api:
    """An API server that lists what a test says."""

    def __init__(self) -> None:
        self.items: dict[str, list[Any]] = {}
        self.version = 100

    async def answer(self, request: web.Request) -> web.StreamResponse:
        namespace = request.path.split("/namespaces/")[1].split("/")[0] if "/namespaces/" in request.path else ""
        return web.json_response(
            {"metadata": {"resourceVersion": str(self.version)}, "items": self.items.get(namespace, [])}
        )


class Proof:
    """Health over a real connection to that server."""

    def __init__(self, api: Api, client: cluster.Cluster, *namespaces: str) -> None:
        self.api, self.woken = api, Woken()
        self.late = 0.0
        self.health = health.Health(client, self.woken.store, self.woken.keys.append, lambda: self.late, namespaces)


@pytest.fixture
async def client() -> AsyncIterator[tuple[Api, cluster.Cluster]]:
    api = Api()
    async with servers.serve(api.answer) as served:
        made = cluster.Cluster(kubernetes.client.ApiClient(kubernetes.client.Configuration(host=served.url)))
        yield api, made
        await made.close()


@pytest.fixture
async def proof(client: tuple[Api, cluster.Cluster]) -> Proof:
    return Proof(*client)


async def test_what_the_watch_has_brought_is_no_news(proof: Proof) -> None:
    proof.woken.store.put(cluster.MODELDEPLOYMENT, found(5))
    proof.api.items[""] = [found(6)]
    await proof.health._compare()
    assert (proof.woken.keys, proof.health.complaint()) == ([], "")


async def test_a_change_that_the_watch_has_not_brought_is_worked_on(proof: Proof) -> None:
    proof.woken.store.put(cluster.MODELDEPLOYMENT, found(5))
    proof.api.items[""] = [found(6, generation=2)]
    await proof.health._compare()
    assert proof.woken.keys == [KEY]
    assert proof.health.complaint() == "", "it may be on its way"
    await proof.health._compare()
    assert (proof.woken.keys, proof.health.complaint()) == ([KEY], "")


async def test_two_changes_in_a_row_that_it_has_not_brought_show_a_stuck_watch(proof: Proof) -> None:
    for version in (5, 6):
        proof.api.items[""] = [found(version, generation=version)]
        await proof.health._compare()
    assert proof.health.complaint() == "the watch brings no changes any more, first missed: trading/momentum"
    await proof.health._compare()
    assert proof.health.complaint() == ""


async def test_a_stuck_watch_is_seen_in_the_first_of_several_namespaces(client: tuple[Api, cluster.Cluster]) -> None:
    proof = Proof(*client, "trading", "research")
    for version in (5, 6):
        proof.api.items["trading"] = [found(version, generation=version)]
        await proof.health._compare()
    assert "trading/momentum" in proof.health.complaint()


async def test_what_was_deleted_while_the_watch_was_interrupted_is_forgotten(proof: Proof) -> None:
    proof.woken.store.put(cluster.MODELDEPLOYMENT, found(5))
    await proof.health._compare()
    assert proof.woken.store.get(cluster.MODELDEPLOYMENT, KEY) is None
    assert proof.woken.keys == [KEY]


async def test_what_was_created_after_the_listing_is_kept(proof: Proof) -> None:
    proof.woken.store.put(cluster.MODELDEPLOYMENT, found(101))
    await proof.health._compare()
    assert proof.woken.store.get(cluster.MODELDEPLOYMENT, KEY) is not None


async def test_one_namespaces_listing_says_nothing_of_another(client: tuple[Api, cluster.Cluster]) -> None:
    proof = Proof(*client, "research")
    proof.woken.store.put(cluster.MODELDEPLOYMENT, found(5))
    await proof.health._compare()
    assert proof.woken.store.get(cluster.MODELDEPLOYMENT, KEY) is not None


async def test_a_heart_that_stopped_is_a_complaint(proof: Proof, monkeypatch: pytest.MonkeyPatch) -> None:
    assert proof.health.complaint() == "", "not before the first beat: the cluster is still being read"
    proof.health.beat()
    assert proof.health.complaint() == ""
    now = asyncio.get_running_loop().time()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now + 62, raising=False)
    assert proof.health.complaint() == "no work was done for 62 s"


async def test_work_that_waits_is_a_complaint(proof: Proof) -> None:
    proof.late = 61.0
    assert proof.health.complaint() == "an object has waited 61 s to be reconciled"
