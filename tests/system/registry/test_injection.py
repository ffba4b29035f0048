"""SQL, paths, templates and control characters in every text that a caller sends: it is data, wherever it comes from."""

import copy
import itertools
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from support.registry_worlds import VERSION, World, world

__all__ = ["world"]

PAYLOADS = (
    "'; DROP TABLE models; -- ' OR '1'='1",
    '" OR ""="\\\'; SELECT pg_sleep(10); $$; COPY models TO PROGRAM \'id\'; $$',
    "../../../etc/passwd",
    "%2e%2e%2f..\\windows%s%n{0}{{7*7}}${jndi:ldap://x}",
    "a\r\nSet-Cookie: a=b",
    "\u202e\u0000",
    "\ufeff\U0001f600" + "x" * 300,
)
# What a body is where it is right; the texts in it are replaced one by one.
BODIES: dict[str, Any] = {
    "POST /models": {"name": "a", "description": "b", "labels": {"c": "d"}, "visibility": "tenant"},
    "PATCH /models/{model}": {"description": "b", "labels": {"c": "d"}},
    "POST /models/{model}/versions": {
        "version": "9.9.9",
        "parent": VERSION,
        "family": "xgboost",
        "architecture": {"a": "b"},
        "hyperparameters": {"a": ["b"]},
        "features": [{"name": "a", "dtype": "b", "unit": "c"}],
        "feature_version": "1",
        "target": "t",
        "data": {"ranges": {"train": ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]}, "samples": {"train": 1}},
        "metrics": {"accuracy": 1},
        "labels": {"a": "b"},
        "artifact_sha256": "",
        "image": "i",
        "run_id": "r",
    },
    "PATCH /models/{model}/versions/{version}": {"labels": {"a": "b"}, "metrics": {"a": 1}, "run_id": "r"},
    "POST /models/{model}/versions/{version}/move": {"target": "DRAFT", "why": "w"},
    "POST /models/{model}/versions/{version}/approvals": {"office": "lead", "approved": False, "why": "w"},
    "POST /models/{model}/versions/{version}/deploy": {"namespace": "n", "name": "m", "spec": {"strategy": {"a": "b"}}},
    "PUT /tenants/{tenant}": {"sign_off": ["lead"]},
    "POST /stop": {"namespace": "n"},
    "POST /predictions": {
        "predictions": [{"model": "m", "version": "1.0.0", "id": "i", "at": "2026-01-01T00:00:00Z", "label": "B"}]
    },
    "POST /outcomes": {"outcomes": [{"model": "m", "id": "i", "at": "2026-01-01T00:00:00Z", "label": "B"}]},
}
BODIES |= {
    "POST /models/{model}/drift-events": {
        "feature": "rsi",
        "statistic": 0.3,
        "p_value": 0.01,
        "severity": "high",
        "version": VERSION,
        "details": {"a": "b"},
    },
    "POST /models/{model}/training-jobs": {"parameters": {"a": ["b"]}},
    "POST /models/{model}/retraining-jobs": {"parameters": {"a": "b"}, "trigger": "drift"},
    "POST /training-jobs/{job}/report": {"state": "RUNNING", "message": "m", "version": VERSION},
    "POST /retraining-jobs/{job}/report": {"state": "RUNNING", "message": "m", "version": VERSION},
}
BODIES["POST /models/{model}/decide"] = BODIES["POST /models/{model}/versions"]


def spoil(document: Any, payload: str) -> Iterator[Any]:
    """The document once for each text in it, a key or a value, with the payload there."""
    if isinstance(document, str):
        yield payload
    elif isinstance(document, list):
        for index, inner in enumerate(document):
            for spoilt in spoil(inner, payload):
                yield [*document[:index], spoilt, *document[index + 1 :]]
    elif isinstance(document, dict):
        for key, inner in document.items():
            for spoilt in spoil(inner, payload):
                yield {**document, key: spoilt}
            rest = {name: copy.deepcopy(value) for name, value in document.items() if name != key}
            yield {**rest, payload: inner}


def check(answer: requests.Response, payload: str, world: World) -> None:
    """Hold an answer against what no payload may do."""
    assert answer.status_code < 500 or answer.status_code == 503, f"{payload!r}: {answer.status_code} {answer.text}"
    assert "Set-Cookie" not in answer.headers
    for secret in ("sqlalchemy", "psycopg", "sqlite3", "Traceback", "root:x:0", world.models["user"]):
        assert secret not in answer.text, f"{payload!r}: {answer.text}"


def find_operations(world: World) -> list[tuple[str, str, dict[str, Any]]]:
    paths = world.served.anonymous().ok("GET", "/openapi.json")["paths"]
    return [
        (method.upper(), path.removeprefix("/api/v1"), operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]


@pytest.mark.parametrize("payload", PAYLOADS, ids=ascii)
def test_in_every_parameter(world: World, payload: str) -> None:
    client = world.served.client(sub="otto", role="admin", offices=["lead"])
    right = {
        "model": "momentum",
        "version": VERSION,
        "name": "model",
        "tenant": "alpha",
        "deployment": world.deployments["tenant"],
        "verb": "pause",
        "request": "abc",
        "job": world.trainings["tenant"],
    }
    asked = 0

    for method, path, operation in find_operations(world):
        for parameter in operation.get("parameters", []):
            given, query, headers = dict(right), {}, {"If-Match": "*"}
            if parameter["in"] == "path":
                given[parameter["name"]] = payload
            elif parameter["in"] == "query":
                query[parameter["name"]] = payload
            else:
                headers[parameter["name"]] = (
                    payload.encode("ascii", "replace").decode().replace("\r\n", " ").strip("\0")
                )
            quoted = {name: urllib.parse.quote(value, safe="") for name, value in given.items()}
            url = f"{world.served.url}/api/v1{path.format(**quoted)}"
            answer = client.request(method, url, params=query, json=BODIES.get(f"{method} {path}"), headers=headers)
            check(answer, payload, world)
            asked += 1

    assert asked > 100


@pytest.mark.parametrize("payload", PAYLOADS, ids=ascii)
def test_in_every_text_of_a_body(world: World, payload: str) -> None:
    client = world.served.client(sub="otto", role="admin", offices=["lead"])
    places = {"model": "momentum", "version": VERSION, "tenant": "alpha", "job": world.trainings["tenant"]}

    for operation, body in BODIES.items():
        method, path = operation.split()
        for spoilt in spoil(body, payload):
            answer = client.request(method, path.format(**places), json=spoilt, headers={"If-Match": "*"})
            check(answer, payload, world)


def test_every_body_is_tried(world: World) -> None:
    takes = {f"{method} {path}" for method, path, operation in find_operations(world) if "requestBody" in operation}
    # The bytes of an artifact, and the same bodies as others.
    takes -= {
        "PUT /models/{model}/versions/{version}/artifacts/{name}",
        "POST /models/{model}/versions/{version}/shadow/deploy",
        "POST /models/{model}/versions/{version}/shadow/comparison",
    }

    assert takes == set(BODIES)


def test_bytes_that_are_no_text_are_refused(world: World) -> None:
    client = world.served.client()
    for body, kind in itertools.product(
        (
            b"\xff\xfe",
            b'{"name": "\xff"}',
            b'{"name": "a", "description": "\\ud800"}',
            b"\x00",
            b"NaN",
            b'{"name": 1e999}',
        ),
        ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
    ):
        answer = client.post("/models", data=body, headers={"Content-Type": kind})
        assert 400 <= answer.status_code < 500, (body, kind, answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_after_all_that_everything_is_still_there(world: World) -> None:
    dora = world.served.client(role="admin")

    assert dora.ok("GET", "/models/momentum")["id"] == world.models["user"]
    assert dora.ok("GET", f"/models/{world.models['tenant']}/versions")["items"]
    assert dora.ok("GET", "/audit/verify")["ok"] is True
    assert json.dumps(dora.ok("GET", "/health")["state"]) == '"up"'
