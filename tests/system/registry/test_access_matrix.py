"""Each endpoint, asked by each role of each tenant, of models of everyone's, a tenant's and one user's.

The table says for each endpoint the role it takes and what comes of it; who sees and who writes what is worked out here
once more, so that the registry is held against a second opinion. An endpoint without a row fails.
"""

import dataclasses
import datetime as dt
import itertools
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.registry_server import Client, digest_of
from support.registry_worlds import CONTENT, KINDS, OWNER, VERSION, World, world

__all__ = ["world"]

ROLES = ("viewer", "developer", "approver", "admin")
OFFICE = "risk-manager"
V = "/models/{model}/versions/{version}"
MONTH = "2026-01"


@dataclasses.dataclass(frozen=True)
class Row:
    """One endpoint: the role it takes, whether it writes, what it sends, and what comes of it where it is allowed."""

    method: str
    path: str
    role: str = "viewer"
    body: Any = None
    status: frozenset[int] = frozenset({200})
    # What stands for the parameters of the path that are neither model nor version, and behind the path.
    query: str = ""
    names: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    writes: bool = False
    # What comes of it where the caller does not see the model; a batch tells which row is wrong.
    unseen: int = 404
    foreign: int = 403


def reads(path: str, **fields: Any) -> Row:
    return Row("GET", path, **fields)


def writes(method: str, path: str, role: str, body: Any = None, *status: int, **fields: Any) -> Row:
    return Row(method, path, role, body, frozenset(status or (200,)), writes=True, **fields)


def new_version() -> dict[str, Any]:
    return {"family": "xgboost", "artifact_sha256": secrets.token_hex(32)}


DRIFT = {"feature": "rsi", "statistic": 0.3, "p_value": 0.01, "severity": "high"}
NOW = (("If-Match", "*"),)
PUT = (("Repr-Digest", digest_of(CONTENT)),)
# Without a cluster, whoever may ask for something of it learns that there is none.
ASKED = 503
TABLE = (
    reads("/me"),
    reads("/status"),
    reads("/health"),
    reads("/tenants"),
    reads("/audit", role="admin"),
    reads("/audit/verify", role="admin"),
    reads("/models"),
    reads("/versions"),
    reads("/deployments"),
    reads("/performance"),
    reads("/shadow"),
    reads("/exports/performance", query=f"?month={MONTH}"),
    writes("POST", "/models", "developer", lambda: {"name": f"m{secrets.token_hex(8)}"}, 201),
    reads("/models/{model}"),
    writes("PATCH", "/models/{model}", "developer", {"description": "new"}, headers=NOW),
    reads("/models/{model}/versions"),
    writes("POST", "/models/{model}/versions", "developer", new_version, 201),
    Row("POST", "/models/{model}/decide", body=new_version),
    reads("/models/{model}/compare", query=f"?old={VERSION}&new={VERSION}"),
    reads("/models/{model}/lineage"),
    reads("/models/{model}/performance"),
    reads("/models/{model}/predictions"),
    reads(V),
    writes("PATCH", V, "developer", {"labels": {"a": "b"}}, headers=NOW),
    writes("POST", f"{V}/move", "developer", {"target": "TRAINING", "why": "a job began"}, 200, 409),
    reads(f"{V}/transitions"),
    reads(f"{V}/lineage"),
    reads(f"{V}/performance"),
    reads(f"{V}/artifacts"),
    reads(f"{V}/artifacts/{{name}}", names=(("name", "model"),)),
    Row("HEAD", f"{V}/artifacts/{{name}}", names=(("name", "model"),)),
    writes("PUT", f"{V}/artifacts/{{name}}", "developer", CONTENT, names=(("name", "model"),), headers=PUT),
    reads(f"{V}/approvals"),
    writes(
        "POST", f"{V}/approvals", "approver", {"office": OFFICE, "approved": False, "why": "not yet"}, 201
    ),
    writes("POST", f"{V}/deploy", "developer", {"namespace": "models"}, ASKED),
    reads(f"{V}/shadow"),
    reads(f"{V}/shadow/comparison"),
    writes("POST", f"{V}/shadow/comparison", "developer", None, 200, 201),
    reads(f"{V}/shadow/history"),
    writes("POST", f"{V}/shadow/deploy", "developer", {"namespace": "models"}, ASKED),
    writes("POST", f"{V}/shadow/promote", "approver", None, ASKED),
    writes("POST", f"{V}/shadow/rollback", "developer", None, ASKED),
    reads("/deployments/{deployment}"),
    reads("/deployments/{deployment}/history"),
    reads("/deployments/{deployment}/requests/{request}", names=(("request", "abc"),), status=frozenset({ASKED})),
    *(
        writes("POST", "/deployments/{deployment}/{verb}", role, None, ASKED, names=(("verb", verb),))
        for verb, role in (
            ("promote", "approver"),
            ("resume", "developer"),
            ("retry", "developer"),
            ("pause", "developer"),
            ("rollback", "developer"),
            ("stop", "developer"),
        )
    ),
    writes("POST", "/stop", "developer", None, ASKED),
    reads("/drift-events"),
    writes("POST", "/models/{model}/drift-events", "developer", DRIFT, 201),
    reads("/training-jobs"),
    writes("POST", "/models/{model}/training-jobs", "developer", {}, 201),
    reads("/training-jobs/{job}"),
    writes("POST", "/training-jobs/{job}/report", "developer", {"state": "RUNNING"}, 200, 409),
    reads("/retraining-jobs"),
    writes("POST", "/models/{model}/retraining-jobs", "developer", {"trigger": "drift"}, 201),
    reads("/retraining-jobs/{job}"),
    writes("POST", "/retraining-jobs/{job}/report", "developer", {"state": "RUNNING"}, 200, 409),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Person:
    """A caller."""

    tenant: str
    role: str
    subject: str

    def __str__(self) -> str:
        return f"{self.role} {self.subject} of {self.tenant}"


# On PostgreSQL each role of each tenant; on SQLite, whose rule of who sees what is the same session's, those at the ends.
PEOPLE = tuple(
    Person(tenant, role, subject)
    for (tenant, subject), role in itertools.product(
        (("alpha", OWNER), ("alpha", "otto"), ("beta", OWNER), ("platform", "root")), ROLES
    )
)


FEWER = tuple(person for person in PEOPLE if person.role in {"viewer", "admin"})


def people_for(world: World) -> tuple[Person, ...]:
    return PEOPLE if world.served.services.database.dialect == "postgresql" else FEWER


def sees(person: Person, kind: str) -> bool:
    """Who sees a model: everyone, the tenant, or its owner, who is one of a tenant."""
    return kind == "platform" or (person.tenant == "alpha" and (kind == "tenant" or person.subject == OWNER))


def expect(row: Row, person: Person, kind: str) -> frozenset[int]:
    """What should come of a request."""
    is_allowed = ROLES.index(person.role) >= ROLES.index(row.role)
    is_about_one = any(f"{{{name}}}" in row.path for name in ("model", "deployment", "job"))
    if not is_about_one:
        return row.status if is_allowed else frozenset({403})
    if not sees(person, kind):
        return frozenset({row.unseen})
    is_own = person.tenant == ("platform" if kind == "platform" else "alpha")
    return row.status if is_allowed and (is_own or not row.writes) else frozenset({403})


@pytest.fixture(scope="module")
def clients(world: World) -> Iterator[Callable[[Person], Client]]:
    """A client for each person, which keeps its connection."""
    kept: dict[Person, Client] = {}

    def find(person: Person) -> Client:
        if person not in kept:
            offices = [OFFICE] if person.role in {"approver", "admin"} else []
            claims = {"tenant": person.tenant, "role": person.role, "sub": person.subject, "offices": offices}
            kept[person] = world.served.client(**claims)
        return kept[person]

    yield find
    for client in kept.values():
        client.close()


def ask(client: Client, row: Row, world: World, kind: str) -> int:
    jobs = world.retrainings if row.path.startswith("/retraining") else world.trainings
    names = {
        "model": world.models[kind],
        "version": VERSION,
        "deployment": world.deployments[kind],
        "job": jobs[kind],
        **dict(row.names),
    }
    body = row.body() if callable(row.body) else row.body
    sent = {"data": body} if isinstance(body, bytes) else {"json": body}
    path = row.path.format(**names) + row.query
    return client.request(row.method, path, headers=dict(row.headers), **sent).status_code


def list_endpoints(world: World) -> set[tuple[str, str]]:
    """Every method of every path that the registry describes."""
    paths = world.served.anonymous().ok("GET", "/openapi.json")["paths"]
    return {(method.upper(), path.removeprefix("/api/v1")) for path, methods in paths.items() for method in methods}


def test_every_endpoint_has_a_row(world: World) -> None:
    elsewhere = {
        ("GET", "/tenants/{tenant}"),
        ("PUT", "/tenants/{tenant}"),
        ("POST", "/predictions"),
        ("POST", "/outcomes"),
    }

    assert {(row.method, row.path) for row in TABLE} | elsewhere == list_endpoints(world)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: " ".join([row.method, row.path, *(v for _, v in row.names)]))
def test_each_endpoint_as_each_role_of_each_tenant(row: Row, world: World, clients: Callable[[Person], Client]) -> None:
    kinds = KINDS if "{" in row.path else KINDS[:1]
    found = {}

    for person, kind in itertools.product(people_for(world), kinds):
        status = ask(clients(person), row, world, kind)
        if status not in expect(row, person, kind):
            found[f"{person} asks for a {kind} model"] = f"{status} and not {sorted(expect(row, person, kind))}"

    assert found == {}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: " ".join([row.method, row.path, *(v for _, v in row.names)]))
def test_nobody_without_a_token_gets_anything(row: Row, world: World) -> None:
    assert ask(world.served.anonymous(), row, world, "platform") == 401


@pytest.mark.parametrize("person", PEOPLE, ids=str)
def test_a_tenant_is_its_own_business(person: Person, clients: Callable[[Person], Client]) -> None:
    client = clients(person)
    is_own, is_admin = person.tenant == "alpha", person.role == "admin"

    assert client.get("/tenants/alpha").status_code == (200 if is_own else 404)
    status = client.put("/tenants/alpha", json={"sign_off": []}).status_code
    assert status == (403 if not is_admin else 200 if is_own else 404)
    assert [tenant["id"] for tenant in client.ok("GET", "/tenants")["items"]] == [person.tenant]


@pytest.mark.parametrize("noun", ["predictions", "outcomes"])
@pytest.mark.parametrize("person", PEOPLE, ids=str)
def test_a_batch_is_about_ones_own_models(
    person: Person, noun: str, world: World, clients: Callable[[Person], Client]
) -> None:
    client = clients(person)
    row: dict[str, Any] = {"id": secrets.token_hex(8), "at": dt.datetime.now(dt.UTC).isoformat(), "label": "BUY"}
    row |= {"version": VERSION} if noun == "predictions" else {}

    for kind in KINDS:
        status = client.post(f"/{noun}", json={noun: [{**row, "model": world.models[kind]}]}).status_code
        is_own = person.tenant == ("platform" if kind == "platform" else "alpha")
        if person.role == "viewer":
            assert status == 403, kind
        elif not sees(person, kind):
            assert status in {404, 422}, kind
        else:
            assert status == (200 if is_own else 403), kind


@pytest.mark.parametrize("person", PEOPLE, ids=str)
def test_a_list_shows_what_its_reader_may_see_and_nothing_else(
    person: Person, world: World, clients: Callable[[Person], Client]
) -> None:
    client = clients(person)
    wanted = {world.models[kind] for kind in KINDS if sees(person, kind)}
    readers: dict[str, Callable[[dict[str, Any]], str]] = {
        "/models": lambda item: item["id"],
        "/versions": lambda item: item["model_id"],
        "/deployments": lambda item: item["model_id"],
        "/training-jobs": lambda item: item["model_id"],
        "/retraining-jobs": lambda item: item["model_id"],
    }

    for path, read in readers.items():
        found = {read(item) for item in client.ok("GET", path, params={"limit": 200})["items"]}
        assert found & set(world.models.values()) == wanted, path
