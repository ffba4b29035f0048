"""The client of Prometheus against a server that answers what Prometheus does."""

import math
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from serin.adapters import prometheus
from support import servers

Answer = dict[str, Any]


def success(data: Any) -> Answer:
    return {"status": "success", "data": data}


def vector(*values: str) -> Answer:
    return success({"resultType": "vector", "result": [{"metric": {}, "value": [1767225600.1, v]} for v in values]})


@pytest.fixture
async def ask() -> AsyncIterator[Callable[..., Any]]:
    """Give a client of a server that answers as told, and what the server was asked."""
    told: dict[str, Any] = {}

    async def answer(_: web.Request) -> web.StreamResponse:
        if "text" in told:
            return web.Response(text=told["text"], status=told.get("status", 200))
        return web.json_response(told["body"], status=told.get("status", 200))

    async with servers.serve(answer) as served:
        client = prometheus.Prometheus(served.url + "/")

        def given(**kind: Any) -> tuple[prometheus.Prometheus, servers.Served]:
            told.update(kind)
            return client, served

        yield given
        await client.close()


MATRIX = success(
    {
        "resultType": "matrix",
        "result": [
            {
                "metric": {"__name__": "serin_requests_total", "revision": "r1", "outcome": "ok"},
                "values": [[1767225600.5, "3"], [1767225601.5, "7"]],
            },
            {"metric": {"__name__": "serin_request_seconds_bucket", "le": "+Inf"}, "values": [[1767225600.5, "1e+02"]]},
        ],
    }
)


async def test_raw_samples_of_one_object(ask: Any) -> None:
    client, served = ask(body=MATRIX)
    first, second = await client.samples("trading", "momentum", (0.25, 10.0), 61.2)
    assert first.labels == {"__name__": "serin_requests_total", "revision": "r1", "outcome": "ok"}
    assert first.samples == [(1767225600.5, 3.0), (1767225601.5, 7.0)]
    assert second.samples == [(1767225600.5, 100.0)]
    [request] = served.requests
    assert request.path == "/api/v1/query"
    assert request.query["query"] == (
        '{__name__=~"serin_requests_total|serin_request_seconds_bucket",namespace="trading",'
        r'modeldeployment="momentum",le=~"|0\\.25|10\\.0|\\+Inf"}[61200ms]'
    )


@pytest.mark.parametrize(
    ("body", "value"),
    [
        pytest.param(vector("0.25"), 0.25, id="one series"),
        pytest.param(vector(), None, id="no series"),
        pytest.param(vector("+Inf"), math.inf, id="infinite"),
        pytest.param(success({"resultType": "scalar", "result": [1767225600, "4"]}), 4.0, id="a scalar"),
    ],
)
async def test_one_number(ask: Any, body: Answer, value: float | None) -> None:
    client, _ = ask(body=body)
    assert await client.value("up") == value


async def test_not_a_number_is_given_as_it_is(ask: Any) -> None:
    client, _ = ask(body=vector("NaN"))
    found = await client.value("0/0")
    assert found is not None
    assert math.isnan(found)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        pytest.param(
            {"body": vector("1", "2")}, "the query gives 2 series of type vector; expected one number", id="two series"
        ),
        pytest.param({"body": MATRIX}, "the query gives 2 series of type matrix; expected one number", id="a range"),
        pytest.param(
            {"body": {"status": "error", "errorType": "bad_data", "error": "1:3: parse error"}, "status": 400},
            "refused /api/v1/query: 1:3: parse error",
            id="a query that cannot be read",
        ),
        pytest.param({"text": "<html>gateway timeout</html>", "status": 504}, "does not answer", id="no JSON"),
        pytest.param({"body": ["?"]}, "refused /api/v1/query: ", id="JSON of something else"),
    ],
)
async def test_what_cannot_be_used_is_unavailable(ask: Any, told: dict[str, Any], message: str) -> None:
    client, _ = ask(**told)
    with pytest.raises(prometheus.UnavailableError) as caught:
        await client.value("up")
    assert message in str(caught.value)


async def test_nobody_there_is_unavailable() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response()

    async with servers.serve(answer) as served:
        url = served.url
    client = prometheus.Prometheus(url)
    with pytest.raises(prometheus.UnavailableError, match=f"Prometheus at {url} does not answer: "):
        await client.alerts()
    await client.close()


def alert(state: str = "firing", active: str = "2026-01-01T00:00:00.123456789Z", **labels: str) -> Answer:
    return {
        "labels": {"alertname": "TooManyErrors", "namespace": "trading", **labels},
        "annotations": {"summary": "13 of 100 failed", "description": "more"},
        "state": state,
        "activeAt": active,
        "value": "1e+00",
    }


async def test_firing_alerts_that_name_an_object_and_an_action(ask: Any) -> None:
    ours = {"serin_action": "rollback", "modeldeployment": "momentum"}
    client, served = ask(
        body=success(
            {
                "alerts": [
                    alert(**ours, revision="r2"),
                    alert(**ours, active="2026-01-01T00:00:00Z"),
                    alert(state="pending", **ours),
                    alert(serin_action="rollback"),
                    alert(modeldeployment="momentum"),
                ]
            }
        )
    )
    first, second = await client.alerts()
    assert served.requests[0].path == "/api/v1/alerts"
    assert first == prometheus.FiringAlert(
        "TooManyErrors",
        "rollback",
        "trading",
        "momentum",
        "r2",
        "13 of 100 failed",
        datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC),
    )
    assert (second.revision, second.active_at) == ("", datetime(2026, 1, 1, tzinfo=UTC))


async def test_no_alerts(ask: Any) -> None:
    client, _ = ask(body=success({"alerts": []}))
    assert await client.alerts() == []
