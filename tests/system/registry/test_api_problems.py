"""Errors over HTTP: always problem+json, always helpful, and never anything of the inside."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serin_services.registry import errors
from serin_services.registry.database.sessions import Database
from serin_services.registry.records.catalogue import models
from support.registry_server import Served, make_services, serve


@pytest.fixture
def served(sqlite_database: Database, tmp_path: Path) -> Iterator[Served]:
    with serve(make_services(sqlite_database, tmp_path / "artifacts")) as served:
        yield served


@pytest.mark.parametrize(
    ("method", "path", "given", "status", "detail"),
    [
        pytest.param("GET", "/nowhere", {}, 404, "nothing at this path", id="a path that there is not"),
        pytest.param("GET", "/models/none", {}, 404, "there is no model 'none'", id="a thing that there is not"),
        pytest.param(
            "DELETE", "/models", {}, 405, "does not take this method", id="a method that a path does not take"
        ),
        pytest.param("POST", "/models", {"data": "{"}, 422, "JSON", id="half a document"),
        pytest.param("POST", "/models", {"data": "[" * 100_000}, 400, "body", id="a document nested without end"),
        pytest.param("POST", "/models", {"json": []}, 422, "body", id="a document of another form"),
        pytest.param("GET", "/models?limit=x", {}, 422, "query.limit", id="a number that is none"),
        pytest.param("GET", "/models?limit=201", {}, 422, "query.limit", id="a number that is too large"),
        pytest.param("GET", "/models?created_since=2026-01-01T00:00:00", {}, 422, "created_since", id="no zone"),
        pytest.param("GET", "/models?q=%00", {}, 400, "NUL", id="a NUL"),
        pytest.param("GET", "/deployments/x", {}, 422, "deployment", id="an id that is none"),
    ],
)
def test_every_error_is_a_problem(
    served: Served, method: str, path: str, given: dict[str, Any], status: int, detail: str
) -> None:
    headers = {"Content-Type": "application/json", "X-Request-Id": "mine-1"}

    answer = served.client().request(method, path, headers=headers, **given)

    document = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, document["status"]) == (status, status), document
    assert detail in document["detail"]
    assert document["instance"] == "urn:serin:request:mine-1"
    assert answer.headers["X-Request-Id"] == "mine-1"


def test_a_method_that_a_path_does_not_take_is_told_the_others(served: Served) -> None:
    assert served.client().delete("/models").headers["Allow"] == "GET, POST"
    assert served.client().post("/models/a/versions/1.0.0/artifacts/model").headers["Allow"] == "GET, HEAD, PUT"


@pytest.mark.parametrize("given", ["a b", "x" * 65, "a\tb", "", "ä"])
def test_an_id_that_could_forge_a_line_of_the_log_is_not_taken(served: Served, given: str) -> None:
    answer = served.client().get("/me", headers={"X-Request-Id": given.encode()})

    assert len(answer.headers["X-Request-Id"]) == 32


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        pytest.param(RuntimeError("password=hunter2"), 500, False, id="what nobody expected tells nothing"),
        pytest.param(errors.UnavailableError("the database does not answer"), 503, True, id="what may come back"),
        pytest.param(errors.TooLargeError("too many rows"), 413, True, id="what is too large"),
        pytest.param(errors.RegistryError("of no kind"), 500, True, id="an error of no kind"),
    ],
)
def test_an_error_inside_has_its_status(
    served: Served, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, told: bool
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(models, "list_models", fail)

    answer = served.client().get("/models")

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (str(error) in answer.text) is told
    assert "Traceback" not in answer.text
    assert ("Retry-After" in answer.headers) is (status == 503)


def test_no_token_and_no_query_is_in_the_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    client = served.client(sub="a b\u00e9")
    token = str(client.headers["Authorization"]).split()[1]
    with caplog.at_level(logging.DEBUG):
        client.get("/models?q=secret-of-the-query")
        client.get("/models/a%0aINFO forged line")
        served.anonymous("forged.token.here").get("/models")

    # What the client of this test writes is not the registry's.
    written = "\n".join(record.getMessage() for record in caplog.records if "urllib3" not in record.name)
    for secret in (token, token.split(".")[2], "secret-of-the-query", "forged.token.here"):
        assert secret not in written
    lines = [record.getMessage() for record in caplog.records if record.name == "serin.registry.access"]
    assert len(lines) == 3
    assert lines[0].startswith("GET /api/v1/models 200 ")
    assert " alpha/a%20b%C3%A9 " in lines[0]
    assert "\n" not in lines[1]


def test_answers_are_nothing_for_a_browser_or_a_shared_cache(served: Served) -> None:
    headers = served.client().get("/models").headers

    assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")
    assert "server" not in headers


def test_the_probes_need_no_token_and_all_else_does(served: Served) -> None:
    anonymous = served.anonymous()

    assert anonymous.get(f"{served.url}/livez").status_code == 200
    assert anonymous.get(f"{served.url}/readyz").json()["status"] == "up"
    assert anonymous.get("/openapi.json").json()["openapi"].startswith("3.1")
    for path in ("/me", "/nowhere", "/health"):
        assert anonymous.get(path).status_code == 401
    assert anonymous.get(f"{served.url}/docs").status_code == 401


def test_health_tells_what_is_down(served: Served, tmp_path: Path) -> None:
    client = served.client()
    assert client.ok("GET", "/health")["dependencies"]["cluster"]["state"] == "off"
    served.services.database.close()
    (tmp_path / "registry.db").rename(tmp_path / "gone.db")
    (tmp_path / "registry.db").mkdir()

    answer = client.get("/health")

    assert answer.status_code == 503
    found = answer.json()
    assert (found["state"], found["dependencies"]["database"]["state"]) == ("down", "down")
    assert found["dependencies"]["artifacts"]["state"] == "up"
    assert found["dependencies"]["database"]["latency_ms"] >= 0
    assert served.anonymous().get(f"{served.url}/readyz").status_code == 503
    assert served.anonymous().get(f"{served.url}/livez").status_code == 200
    assert client.get("/models").status_code == 503
    (tmp_path / "registry.db").rmdir()
    (tmp_path / "gone.db").rename(tmp_path / "registry.db")
    assert client.ok("GET", "/health")["state"] == "up"


def test_requests_are_counted_by_route_and_not_by_path(served: Served) -> None:
    client = served.client()
    for path in ("/models/a", "/models/b", "/forged/1", "/forged/2"):
        client.get(path)
    registry = served.services.telemetry.registry

    def count(route: str) -> float | None:
        labels = {"method": "GET", "route": route, "status": "404"}
        return registry.get_sample_value("serin_registry_requests_total", labels)

    assert count("/models/{model}") == 2
    assert count("none") == 2
