"""Versions over HTTP: numbered by what changed, listed, compared, traced, moved and signed off."""

import concurrent.futures
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serin_services.package import manifest
from serin_services.registry import errors
from serin_services.registry.core.access import Caller, Role
from serin_services.registry.database.sessions import Database
from serin_services.registry.records.catalogue import approvals, versions
from support.registry_server import Client, Served, make_services, serve

BASE: dict[str, Any] = {
    "family": "xgboost",
    "architecture": {"trees": 100},
    "hyperparameters": {"eta": 0.1},
    "features": [{"name": "rsi"}, {"name": "volume", "unit": "shares"}],
    "target": "direction_1h",
    "data": {"samples": {"train": 1000}},
    "metrics": {"accuracy": 0.60},
    "artifact_sha256": "a" * 64,
}
LEAD, RISK = "technical-lead", "risk-manager"


@pytest.fixture
def served(sqlite_database: Database, tmp_path: Path) -> Iterator[Served]:
    with serve(make_services(sqlite_database, tmp_path / "artifacts")) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Client:
    client = served.client()
    client.make_model()
    return client


@pytest.mark.parametrize(
    ("changes", "expected", "reason"),
    [
        pytest.param({"artifact_sha256": "b" * 64}, "1.0.1", "the artifact is another one", id="retrained: PATCH"),
        pytest.param({"hyperparameters": {"eta": 0.2}}, "1.1.0", "hyperparameters", id="tuned: MINOR"),
        pytest.param({"data": {"samples": {"train": 2000}}}, "1.1.0", "more data", id="more data: MINOR"),
        pytest.param(
            {"features": [*BASE["features"], {"name": "macd"}]}, "1.1.0", "features were added", id="a feature: MINOR"
        ),
        pytest.param({"features": BASE["features"][:1]}, "2.0.0", "features are gone", id="a feature less: MAJOR"),
        pytest.param({"architecture": {"trees": 200}}, "2.0.0", "architecture", id="another architecture: MAJOR"),
        pytest.param({"family": "lightgbm"}, "2.0.0", "architecture", id="another family: MAJOR"),
        pytest.param({"target": "return_1h"}, "2.0.0", "target", id="another target: MAJOR"),
    ],
)
def test_the_number_says_what_changed(client: Client, changes: dict[str, Any], expected: str, reason: str) -> None:
    assert client.register(**BASE)["version"] == "1.0.0"
    body = {**BASE, **changes}

    decided = client.ok("POST", "/models/momentum/decide", json=body)
    registered = client.register(**body)

    assert registered["version"] == decided["version"] == expected
    assert registered["parent"] == "1.0.0"
    assert reason in "; ".join(registered["change_reasons"])
    assert registered["stage"] == "DRAFT"
    assert client.ok("GET", f"/models/momentum/versions/{expected}") == registered


def test_a_number_that_is_too_small_is_refused_with_the_rule(client: Client) -> None:
    client.register(**BASE)
    changed = {**BASE, "target": "return_1h"}

    answer = client.post("/models/momentum/versions", json={**changed, "version": "1.1.0"})

    assert answer.status_code == 409
    assert "it takes 2.0.0 or more" in answer.json()["detail"]
    assert "the target changed" in answer.json()["detail"]
    assert client.register(**changed, version="2.0.0-rc.1")["version"] == "2.0.0-rc.1"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"version": "1.0.0"}, 409, id="a number is given once"),
        pytest.param({"version": "v2-final"}, 422, id="a number is semantic"),
        pytest.param({"version": "2.0.0+build"}, 422, id="a number has no build metadata"),
        pytest.param({"parent": "9.9.9"}, 404, id="a parent must be there"),
        pytest.param({"family": None}, 422, id="a version has a family"),
        pytest.param({"features": [{"name": "a"}, {"name": "a"}]}, 422, id="a feature stands once"),
        pytest.param({"metrics": {"accuracy": "high"}}, 422, id="a metric is a number"),
        pytest.param({"architecture": {"text": "\0"}}, 422, id="JSON has no NUL"),
        pytest.param({"architecture": {"n": 2**53}}, 422, id="JSON has no number that a double does not hold"),
        pytest.param({"architecture": {"a": "\ud800"}}, 422, id="JSON has no half character"),
        pytest.param({"data": {"ranges": {"train": ["2026-01-01", "2026-02-01"]}}}, 422, id="a range has zones"),
        pytest.param({"stage": "PRODUCTION"}, 422, id="nobody registers into production"),
    ],
)
def test_what_is_no_version_is_refused(client: Client, body: dict[str, Any], status: int) -> None:
    client.register(**BASE)

    answer = client.post("/models/momentum/versions", json={**BASE, "artifact_sha256": "b" * 64, **body})

    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_json_that_is_nested_without_end_is_refused(client: Client) -> None:
    for depth in (40, 100_000):
        body = '{"family":"a","architecture":' + '{"a":' * depth + "1" + "}" * depth + "}"
        answer = client.post("/models/momentum/versions", data=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 422}, answer.text


def test_versions_registered_at_once_get_numbers_of_their_own(served: Served, client: Client) -> None:
    client.register(**BASE)

    def register(number: int) -> str:
        return str(served.client().register(**{**BASE, "artifact_sha256": f"{number:064x}"})["version"])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        numbers = sorted(pool.map(register, range(8)))

    assert numbers == [f"1.0.{patch}" for patch in range(1, 9)]


def test_a_manifest_says_what_a_version_is_made_of(client: Client) -> None:
    document = manifest.Manifest(
        model="momentum",
        version="1.0.0",
        family="onnx",
        task="binary",
        inputs=(
            manifest.Tensor(
                name="rows",
                dtype="float32",
                shape=(-1, 2),
                features=tuple(manifest.Feature(name=n) for n in ("a", "b")),
            ),
        ),
        outputs=(manifest.Tensor(name="probability", dtype="float32", shape=(-1, 2)),),
        classes=("down", "up"),
        metrics={"accuracy": 0.6},
        lineage={"commit": "abc"},
        files=(manifest.File(path="model.onnx", role="artifact", size=1, sha256="c" * 64),),
    ).model_dump(mode="json", by_alias=True)

    version = client.ok("POST", "/models/momentum/versions", json={"manifest": document, "metrics": {"sharpe": 1.2}})

    assert (version["version"], version["family"], version["artifact_sha256"]) == ("1.0.0", "onnx", "c" * 64)
    assert [feature["name"] for feature in version["features"]] == ["a", "b"]
    assert version["metrics"] == {"accuracy": 0.6, "sharpe": 1.2}
    assert version["labels"] == {"lineage.commit": "abc"}
    # One more feature makes the input wider, and is no other architecture for that.
    wider = {**document, "version": "1.1.0"}
    wider["inputs"] = [{**document["inputs"][0], "shape": [-1, 3]}]
    wider["inputs"][0]["features"] = [*document["inputs"][0]["features"], {"name": "c"}]
    assert client.ok("POST", "/models/momentum/versions", json={"manifest": wider})["change"] == "MINOR"
    assert client.post("/models/momentum/versions", json={"manifest": {**document, "model": "b"}}).status_code == 422
    doubled = client.post("/models/momentum/versions", json={"manifest": document, "family": "onnx"})
    assert "the manifest says it already" in doubled.json()["detail"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({}, ["1.0.0", "1.1.0", "2.0.0"], id="all"),
        pytest.param({"stage": ["TESTING", "ARCHIVED"]}, ["1.1.0"], id="by stage"),
        pytest.param({"family": "lightgbm"}, ["2.0.0"], id="by family"),
        pytest.param({"label": "run:7"}, ["1.1.0"], id="by label"),
        pytest.param({"run_id": "r1"}, ["1.0.0"], id="by the run that made it"),
        pytest.param({"q": "LIGHT"}, ["2.0.0"], id="by text"),
        pytest.param({"created_since": "2999-01-01T00:00:00Z"}, [], id="by when it was registered"),
    ],
)
def test_filters(client: Client, query: dict[str, Any], expected: list[str]) -> None:
    client.register(**BASE, run_id="r1")
    client.register(**{**BASE, "hyperparameters": {"eta": 0.2}}, labels={"run": "7"})
    client.register(**{**BASE, "family": "lightgbm"})
    client.ok("POST", "/models/momentum/versions/1.1.0/move", json={"target": "TESTING", "why": "trained"})

    for path in ("/versions", "/models/momentum/versions"):
        found = client.ok("GET", path, params=query)["items"]
        assert sorted(version["version"] for version in found) == expected


def test_two_versions_are_compared(client: Client) -> None:
    client.register(**BASE)
    client.register(**{**BASE, "hyperparameters": {"eta": 0.2}, "metrics": {"accuracy": 0.66}})
    client.ok("POST", "/models/momentum/versions/1.1.0/move", json={"target": "TESTING", "why": "trained"})

    found = client.ok("GET", "/models/momentum/compare", params={"old": "1.0.0", "new": "1.1.0"})

    assert found["change"]["part"] == "MINOR"
    assert found["configuration"] == [{"path": "hyperparameters.eta", "before": 0.1, "after": 0.2}]
    assert found["metrics"][0]["better"] is True
    assert found["history"]["1.1.0"][0]["what"] == "DRAFT → TESTING by dora: trained"


def test_lineage_follows_the_parents(client: Client) -> None:
    client.register(**BASE)
    client.register(**{**BASE, "target": "other"})
    client.register(**{**BASE, "artifact_sha256": "b" * 64}, parent="1.0.0")

    whole = client.ok("GET", "/models/momentum/lineage")
    found = client.ok("GET", "/models/momentum/versions/1.0.1/lineage")

    assert whole["nodes"][0]["version"] == "1.0.0"
    assert {node["version"] for node in whole["nodes"]} == {"1.0.0", "1.0.1", "2.0.0"}
    assert (found["ancestors"], found["descendants"]) == (["1.0.0"], [])
    assert client.ok("GET", "/models/momentum/versions/1.0.0/lineage")["descendants"] != []


def test_a_version_moves_by_the_table_alone_and_says_who_and_why(client: Client) -> None:
    client.register(**BASE)
    path = "/models/momentum/versions/1.0.0"

    refused = client.post(f"{path}/move", json={"target": "PRODUCTION", "why": "in a hurry"})
    moved = client.ok("POST", f"{path}/move", json={"target": "TESTING", "why": "trained"})
    client.ok("POST", f"{path}/move", json={"target": "ARCHIVED", "why": "not good enough"})

    assert refused.status_code == 409
    assert "only the cluster" in refused.json()["detail"]
    assert moved["stage"] == "TESTING"
    transitions = client.ok("GET", f"{path}/transitions")["items"]
    assert [(each["source"], each["target"], each["by"], each["why"]) for each in transitions] == [
        ("TESTING", "ARCHIVED", "dora", "not good enough"),
        ("DRAFT", "TESTING", "dora", "trained"),
    ]
    assert client.ok("GET", path)["archived_at"] is not None
    assert client.post(f"{path}/move", json={"target": "DRAFT", "why": ""}).status_code == 422


def test_what_a_version_is_made_of_is_said_once(client: Client) -> None:
    client.register(**{**BASE, "artifact_sha256": ""})
    path, now = "/models/momentum/versions/1.0.0", {"If-Match": "*"}

    assert client.patch(path, json={"image": "r/m@sha256:1"}, headers=now).status_code == 200
    assert client.patch(path, json={"image": "r/m@sha256:1"}, headers=now).status_code == 200
    assert client.patch(path, json={"image": "r/m@sha256:2"}, headers=now).status_code == 409
    assert client.patch(path, json={"family": "lightgbm"}, headers=now).status_code == 422
    changed = client.patch(path, json={"metrics": {"accuracy": 0.7}, "labels": {"a": "b"}}, headers=now).json()
    assert (changed["metrics"], changed["labels"]) == ({"accuracy": 0.7}, {"a": "b"})


class TestSignOff:
    """A tenant that asks for a technical lead and a risk manager."""

    path = "/models/momentum/versions/1.0.0"

    @pytest.fixture
    def asked(self, served: Served, client: Client) -> Served:
        served.client(role="admin", sub="anna").ok("PUT", "/tenants/alpha", json={"sign_off": [LEAD, RISK]})
        client.register(**BASE)
        return served

    def say(self, served: Served, subject: str, office: str, *, approved: bool = True) -> int:
        person = served.client(sub=subject, role="approver", offices=[LEAD, RISK])
        body = {"office": office, "approved": approved, "why": "looked at it"}
        return person.post(f"{self.path}/approvals", json=body).status_code

    def missing(self, served: Served) -> str:
        listed = served.client().ok("GET", f"{self.path}/approvals")["missing"]
        caller = Caller("dora", "alpha", Role.DEVELOPER)
        with served.services.database.open(caller, read_only=True) as session:
            version = versions.find(session, caller, "momentum", "1.0.0")
            if not listed:
                approvals.require_sign_off(session, version)
                return ""
            with pytest.raises(errors.ConflictError) as refused:
                approvals.require_sign_off(session, version)
            assert [fault.message for fault in refused.value.faults] == listed
        return "; ".join(listed)

    def test_it_takes_every_office(self, asked: Served) -> None:
        assert "technical-lead has not approved it; risk-manager has not" in self.missing(asked)
        assert self.say(asked, "tom", LEAD) == 201
        assert self.missing(asked) == "risk-manager has not approved it"
        assert self.say(asked, "rita", RISK) == 201
        assert self.missing(asked) == ""

    def test_it_takes_two_people(self, asked: Served) -> None:
        self.say(asked, "tom", LEAD)
        self.say(asked, "tom", RISK)
        assert "another person must" in self.missing(asked)
        self.say(asked, "rita", RISK)
        assert self.missing(asked) == ""

    def test_the_last_word_of_an_office_counts(self, asked: Served) -> None:
        self.say(asked, "tom", LEAD)
        self.say(asked, "rita", RISK)
        self.say(asked, "rolf", RISK, approved=False)
        assert self.missing(asked) == "risk-manager (rolf) refused it: looked at it"

    def test_an_office_is_spoken_for_by_those_who_hold_it(self, asked: Served) -> None:
        person = asked.client(sub="tom", role="approver", offices=[LEAD])
        body = {"office": RISK, "approved": True, "why": "why not"}
        assert person.post(f"{self.path}/approvals", json=body).status_code == 403
        assert asked.client(offices=[LEAD]).post(f"{self.path}/approvals", json=body).status_code == 403

    def test_what_was_approved_does_not_change(self, asked: Served) -> None:
        self.say(asked, "tom", LEAD)
        client, now = asked.client(), {"If-Match": "*"}
        assert client.patch(self.path, json={"image": "r/m@sha256:1"}, headers=now).status_code == 409
        assert client.patch(self.path, json={"metrics": {"accuracy": 0.99}}, headers=now).status_code == 409
        assert client.upload(f"{self.path}/artifacts/scaler", b"other").status_code == 409
        assert client.patch(self.path, json={"labels": {"a": "b"}}, headers=now).status_code == 200
        assert client.upload(f"{self.path}/artifacts/logs/train.txt", b"epoch 1").status_code == 201

    def test_what_is_not_there_cannot_be_approved(self, asked: Served) -> None:
        asked.client().register(**{**BASE, "artifact_sha256": "", "target": "other"})
        person = asked.client(sub="tom", role="approver", offices=[LEAD])
        body = {"office": LEAD, "approved": True, "why": "why not"}
        assert person.post("/models/momentum/versions/2.0.0/approvals", json=body).status_code == 409
