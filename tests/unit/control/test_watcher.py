"""Listing and watching one kind over a real connection: what is missed, expired or refused is read again."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import kubernetes.aio as kubernetes
import pytest
from aiohttp import web

from serin.adapters import cluster, watches
from support import servers

SOON = 5.0
# An event after which the connection breaks.
CUT: dict[str, Any] = {}


def pod(name: str, version: int, namespace: str = "trading") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "resourceVersion": str(version)}}


def event(kind: str, found: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": found}


class Api:
    """Lists what a test says, and streams the events that it puts into the queue until it ends the stream."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.version = 1
        self.events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.listed: list[web.Request] = []
        self.watched: list[web.Request] = []
        self.refusals: list[int] = []
        self.progress = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            self.listed.append(request)
            return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": self.items})
        self.watched.append(request)
        if self.refusals:
            return web.json_response({"message": "no"}, status=self.refusals.pop(0))
        stream = web.StreamResponse()
        await stream.prepare(request)
        while (found := await self.events.get()) is not None:
            if found is CUT and request.transport:
                request.transport.abort()
                break
            await stream.write(json.dumps(found).encode() + b"\n")
        return stream


class World:
    """A watcher of pods, what it woke, and the API."""

    def __init__(self, api: Api, client: cluster.Cluster, namespace: str = "") -> None:
        self.api, self.store = api, watches.Store()
        self.woken: asyncio.Queue[str] = asyncio.Queue()
        self.watcher = watches.Watcher(client, cluster.POD, self.store, self.wake, namespace)

    def wake(self, _: cluster.Kind, found: dict[str, Any]) -> None:
        self.woken.put_nowait(found["metadata"]["name"])

    async def next(self) -> str:
        async with asyncio.timeout(SOON):
            return await self.woken.get()

    async def until(self, fact: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON):
            while not fact():  # noqa: ASYNC110 - the facts are those of a server without events for them
                await asyncio.sleep(0.001)

    def names(self) -> set[str]:
        return {found["metadata"]["name"] for found in self.store.all(cluster.POD)}


@pytest.fixture
async def client() -> AsyncIterator[tuple[Api, cluster.Cluster]]:
    api = Api()
    async with servers.serve(api.answer) as served:
        configuration = kubernetes.client.Configuration(host=served.url)
        configuration.retries = 0
        made = cluster.Cluster(kubernetes.client.ApiClient(configuration))
        yield api, made
        api.events.put_nowait(None)
        await made.close()


@pytest.fixture
async def world(client: tuple[Api, cluster.Cluster]) -> AsyncIterator[World]:
    made = World(*client)
    task = asyncio.create_task(made.watcher.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_is_there_is_listed_by_our_label_and_followed_from_there(
    client: tuple[Api, cluster.Cluster],
) -> None:
    api, _ = client
    api.items, api.version = [pod("one", 3)], 7
    made = World(*client, namespace="trading")
    task = asyncio.create_task(made.watcher.run())
    assert await made.next() == "one"
    await made.until(lambda: bool(api.watched))
    assert made.watcher.synced.is_set()
    assert api.listed[0].path == "/api/v1/namespaces/trading/pods"
    assert api.listed[0].query["labelSelector"] == "app.kubernetes.io/managed-by=serin"
    query = api.watched[0].query
    assert (query["resourceVersion"], query["allowWatchBookmarks"]) == ("7", "true")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_events_go_into_the_store_and_wake(world: World) -> None:
    world.api.events.put_nowait(event("ADDED", pod("one", 2)))
    assert await world.next() == "one"
    world.api.events.put_nowait(event("MODIFIED", pod("one", 3)))
    assert await world.next() == "one"
    world.api.events.put_nowait(event("DELETED", pod("one", 4)))
    assert await world.next() == "one"
    assert world.names() == set()


async def test_bookmarks_and_old_news_wake_nobody(world: World) -> None:
    world.api.events.put_nowait(event("ADDED", pod("one", 5)))
    assert await world.next() == "one"
    world.api.events.put_nowait(event("BOOKMARK", {"metadata": {"resourceVersion": "9"}}))
    world.api.events.put_nowait(event("MODIFIED", pod("one", 4)))
    world.api.events.put_nowait(event("ADDED", pod("two", 10)))
    assert await world.next() == "two"


async def test_a_watch_that_ends_goes_on_where_it_was(world: World) -> None:
    world.api.events.put_nowait(event("BOOKMARK", {"metadata": {"resourceVersion": "42"}}))
    world.api.events.put_nowait(None)
    await world.until(lambda: len(world.api.watched) == 2)
    assert world.api.watched[1].query["resourceVersion"] == "42"
    assert len(world.api.listed) == 1


@pytest.mark.parametrize("inside", [True, False], ids=["in the stream", "as the answer"])
async def test_a_position_that_is_too_old_is_listed_anew_and_deletions_are_found(world: World, inside: bool) -> None:
    world.api.events.put_nowait(event("ADDED", pod("gone", 2)))
    assert await world.next() == "gone"
    world.api.items = [pod("new", 8)]
    if inside:
        world.api.events.put_nowait(event("ERROR", {"code": 410, "message": "too old"}))
    else:
        world.api.refusals = [410]
        world.api.events.put_nowait(None)
    assert {await world.next(), await world.next()} == {"gone", "new"}
    assert world.names() == {"new"}
    world.api.events.put_nowait(None)


async def test_a_refusal_is_told_and_tried_again(
    client: tuple[Api, cluster.Cluster], caplog: pytest.LogCaptureFixture
) -> None:
    api, _ = client
    api.refusals = [403]
    made = World(*client)
    with caplog.at_level(logging.WARNING):
        task = asyncio.create_task(made.watcher.run())
        await made.until(lambda: len(api.watched) == 2)
    assert "watching Pod failed (403: no): again in" in caplog.text
    assert len(api.listed) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_connection_that_breaks_is_opened_anew(world: World) -> None:
    world.api.events.put_nowait(event("ADDED", pod("one", 2)))
    assert await world.next() == "one"
    world.api.items = [pod("one", 2)]
    world.api.events.put_nowait(CUT)
    await world.until(lambda: len(world.api.watched) == 2)
    world.api.events.put_nowait(event("ADDED", pod("two", 3)))
    assert await world.next() == "two"


async def test_another_namespaces_objects_are_not_taken_for_deleted(client: tuple[Api, cluster.Cluster]) -> None:
    made = World(*client, namespace="trading")
    made.store.put(cluster.POD, pod("other", 1, namespace="research"))
    task = asyncio.create_task(made.watcher.run())
    await made.until(made.watcher.synced.is_set)
    assert made.names() == {"other"}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# The requests of the client.


async def test_a_connection_that_breaks_during_a_request_is_an_os_error_as_any_other() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.transport:
            request.transport.abort()
        return web.Response()

    async with servers.serve(answer) as served:
        configuration = kubernetes.client.Configuration(host=served.url)
        configuration.retries = 0
        made = cluster.Cluster(kubernetes.client.ApiClient(configuration))
        with pytest.raises(OSError, match="the connection to the API server broke"):
            await made.delete(cluster.POD, "trading", "one")
        await made.close()


@pytest.mark.parametrize(
    ("kind", "arguments", "path"),
    [
        (cluster.POD, (), "/api/v1/pods"),
        (cluster.POD, ("trading",), "/api/v1/namespaces/trading/pods"),
        (
            cluster.ROUTE,
            ("trading", "momentum"),
            "/apis/gateway.networking.k8s.io/v1/namespaces/trading/httproutes/momentum",
        ),
        (
            cluster.MODELDEPLOYMENT,
            ("trading", "momentum", "status"),
            "/apis/serving.serin.dev/v1alpha1/namespaces/trading/modeldeployments/momentum/status",
        ),
    ],
)
def test_paths(kind: cluster.Kind, arguments: tuple[str, ...], path: str) -> None:
    assert kind.path(*arguments) == path


@pytest.fixture
async def refusing() -> AsyncIterator[tuple[cluster.Cluster, servers.Served, list[web.Response]]]:
    answers: list[web.Response] = []

    async def answer(_: web.Request) -> web.StreamResponse:
        return answers.pop(0)

    async with servers.serve(answer) as served:
        configuration = kubernetes.client.Configuration(host=served.url)
        configuration.retries = 0
        made = cluster.Cluster(kubernetes.client.ApiClient(configuration))
        yield made, served, answers
        await made.close()


async def test_what_is_not_there_is_none_and_its_deletion_no_error(refusing: Any) -> None:
    client, _, answers = refusing
    answers += [web.json_response({"message": "not found"}, status=404) for _ in range(2)]
    assert await client.get(cluster.POD, "trading", "one") is None
    await client.delete(cluster.POD, "trading", "one")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param({"body": b'{"message": "pods is forbidden"}'}, "403: pods is forbidden", id="a status"),
        pytest.param({"body": b"<html>no</html>"}, "403: <html>no</html>", id="no JSON"),
    ],
)
async def test_an_error_has_the_servers_words(refusing: Any, answer: dict[str, Any], text: str) -> None:
    client, _, answers = refusing
    for call in (lambda: client.get(cluster.POD, "a", "b"), lambda: client.delete(cluster.POD, "a", "b")):
        answers.append(web.Response(status=403, **answer))
        with pytest.raises(cluster.ApiError) as caught:
            await call()
        assert str(caught.value) == text


async def test_applying_is_a_forced_apply_of_ours(refusing: Any) -> None:
    client, served, answers = refusing
    answers.append(web.json_response({"metadata": {}}))
    await client.apply(cluster.SERVICE, pod("momentum-a", 1))
    [request] = served.requests
    assert (request.method, request.path) == ("PATCH", "/api/v1/namespaces/trading/services/momentum-a")
    assert dict(request.query) == {"fieldManager": "serin", "force": "true"}
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
