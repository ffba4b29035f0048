"""Trainings, retrainings and drift over HTTP: what pipelines and monitors report, and nothing that could not have happened."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serin_services.registry.core import jobs
from serin_services.registry.core.jobs import State
from serin_services.registry.database.sessions import Database
from support.registry_server import Client, Served, make_services, serve


@pytest.fixture
def served(sqlite_database: Database, tmp_path: Path) -> Iterator[Served]:
    with serve(make_services(sqlite_database, tmp_path / "artifacts")) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Client:
    client = served.client()
    client.make_model()
    client.register()
    return client


@pytest.mark.parametrize("noun", ["training", "retraining"])
def test_a_job_is_asked_for_runs_and_names_what_it_made(client: Client, noun: str) -> None:
    job = client.ok("POST", f"/models/momentum/{noun}-jobs", json={"parameters": {"days": 90}})
    path = f"/{noun}-jobs/{job['id']}"

    running = client.ok("POST", f"{path}/report", json={"state": "RUNNING", "message": "epoch 1"})
    early = client.post(f"{path}/report", json={"state": "COMPLETED"})
    unknown = client.post(f"{path}/report", json={"state": "COMPLETED", "version": "7.0.0"})
    done = client.ok("POST", f"{path}/report", json={"state": "COMPLETED", "version": "1.0.0"})
    again = client.post(f"{path}/report", json={"state": "FAILED"})

    assert (job["state"], job["started_at"]) == ("PENDING", None)
    assert (running["state"], running["message"], running["ended_at"]) == ("RUNNING", "epoch 1", None)
    assert (early.status_code, unknown.status_code, again.status_code) == (409, 404, 409)
    assert done["version_id"] == client.ok("GET", "/models/momentum/versions/1.0.0")["id"]
    assert done["ended_at"] >= done["started_at"]
    assert client.ok("GET", path) == done
    assert client.ok("GET", f"/{noun}-jobs", params={"model": "momentum", "state": "COMPLETED"})["items"] == [done]
    assert client.ok("GET", f"/{noun}-jobs", params={"state": "PENDING"})["items"] == []


def test_a_retraining_says_what_asked_for_it(client: Client) -> None:
    assert client.ok("POST", "/models/momentum/retraining-jobs", json={"trigger": "drift"})["trigger"] == "drift"
    assert client.ok("POST", "/models/momentum/retraining-jobs", json={})["trigger"] == "manual"
    assert client.post("/models/momentum/retraining-jobs", json={"trigger": "mood"}).status_code == 422


@pytest.mark.parametrize("state", State)
def test_what_has_ended_goes_nowhere_and_all_else_can_end(state: State) -> None:
    ended = state in {State.COMPLETED, State.FAILED, State.CANCELLED}

    for target in State:
        problem = jobs.find_problem(state, target, has_version=target is State.COMPLETED)
        assert problem if ended or target in {state, State.PENDING} else True
    assert (jobs.find_problem(state, State.FAILED, has_version=False) is None) is not ended


def test_drift_is_reported_and_listed(client: Client) -> None:
    found = {"feature": "rsi", "statistic": 0.31, "p_value": 0.003, "severity": "high", "version": "1.0.0"}

    event = client.ok("POST", "/models/momentum/drift-events", json=found)
    client.ok("POST", "/models/momentum/drift-events", json={**found, "severity": "low", "at": "2026-01-01T00:00:00Z"})

    def listed(**query: Any) -> list[Any]:
        return [each["severity"] for each in client.ok("GET", "/drift-events", params=query)["items"]]

    assert event["version_id"] is not None
    assert listed() == ["high", "low"]
    assert listed(severity="low", model="momentum") == ["low"]
    assert listed(since="2026-02-01T00:00:00Z") == ["high"]
    assert listed(until="2026-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    "change",
    [{"p_value": 1.5}, {"statistic": "NaN"}, {"severity": "terrible"}, {"feature": ""}, {"at": "2026-01-01T00:00:00"}],
    ids=str,
)
def test_what_no_test_can_find_is_refused(client: Client, change: dict[str, Any]) -> None:
    body = {"feature": "rsi", "statistic": 0.3, "p_value": 0.1, "severity": "low", **change}

    assert client.post("/models/momentum/drift-events", json=body).status_code == 422
