"""Models over HTTP: made, found, listed by the page and changed, once for each key."""

import concurrent.futures
import datetime as dt
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from serin_services.registry.database.sessions import Database
from support.registry_server import Served, make_services, serve


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = dt.datetime.now(dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def served(sqlite_database: Database, tmp_path: Path, clock: Clock) -> Iterator[Served]:
    with serve(make_services(sqlite_database, tmp_path / "artifacts", clock=clock)) as served:
        yield served


def test_a_model_is_made_and_found_by_name_and_by_id(served: Served) -> None:
    client = served.client()

    answer = client.post("/models", json={"name": "momentum", "labels": {"team": "a"}})

    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["ETag"] == '"1"'
    assert client.get(f"{served.url}{answer.headers['Location']}").json() == made
    assert client.ok("GET", "/models/momentum") == made
    assert made["visibility"] == "tenant"
    assert made["created_by"] == "dora"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        pytest.param({}, "body.name", id="a model needs a name"),
        pytest.param({"name": "Momentum"}, "body.name", id="a name has no capitals"),
        pytest.param({"name": "users"}, "name", id="users is a name of the store"),
        pytest.param({"name": "a", "colour": "red"}, "body.colour", id="an unknown field is refused"),
        pytest.param({"name": "a", "labels": {"a:b": "c"}}, "body.labels.a:b", id="a label's key has no colon"),
        pytest.param({"name": "a", "labels": {"k": 1}}, "body.labels.k", id="a label is text"),
        pytest.param({"name": "a", "description": "\0"}, "body.description", id="text has no NUL"),
        pytest.param({"name": "1b4e28ba-2fa1-41d2-883f-0016d3cca427"}, "name", id="a name cannot be taken for an id"),
    ],
)
def test_what_is_no_model_is_refused_with_its_place(served: Served, body: dict[str, object], where: str) -> None:
    answer = served.client().post("/models", json=body)

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert where in [fault["where"].removesuffix(".[key]") for fault in answer.json()["errors"]]


def test_a_name_is_given_once(served: Served) -> None:
    client = served.client()
    client.make_model()

    assert client.post("/models", json={"name": "momentum"}).status_code == 409


def test_a_private_model_goes_before_the_tenants_and_that_before_the_platforms(served: Served) -> None:
    platform, dora, otto = served.client(tenant="platform", sub="root"), served.client(), served.client(sub="otto")
    platform.make_model()
    assert dora.ok("GET", "/models/momentum")["tenant"] == "platform"
    dora.make_model()
    assert dora.ok("GET", "/models/momentum")["visibility"] == "tenant"
    dora.make_model(visibility="user")

    assert dora.ok("GET", "/models/momentum")["owner"] == "dora"
    assert otto.ok("GET", "/models/momentum")["visibility"] == "tenant"
    assert len(dora.ok("GET", "/models")["items"]) == 3
    assert len(otto.ok("GET", "/models")["items"]) == 2


def test_only_the_platform_makes_models_for_everyone(served: Served) -> None:
    answer = served.client(role="admin").post("/models", json={"name": "momentum", "visibility": "platform"})

    assert answer.status_code == 403
    assert served.client(tenant="platform").make_model()["visibility"] == "platform"


def test_a_list_is_read_by_the_page_and_shows_each_model_once(served: Served, clock: Clock) -> None:
    client = served.client()
    for number in range(7):
        # Several at one moment: the id tells them apart.
        clock.now += dt.timedelta(seconds=number % 2)
        client.make_model(f"m{number}")
    found, cursor = [], None

    while True:
        page = client.ok("GET", "/models", params={"limit": 3, "cursor": cursor})
        found.append([model["name"] for model in page["items"]])
        if (cursor := page["next"]) is None:
            break

    assert [len(names) for names in found] == [3, 3, 1]
    assert sorted(itertools.chain.from_iterable(found)) == [f"m{number}" for number in range(7)]


@pytest.mark.parametrize("cursor", ["x", "bm8", "WzEsMl0", "WyIyMDI2LTAxLTAxIiwgIngiXQ", "é", "=" * 9])
def test_a_cursor_that_no_page_gave_is_refused(served: Served, cursor: str) -> None:
    answer = served.client().get("/models", params={"cursor": cursor})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "cursor"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({"q": "MEAN"}, ["reversion"], id="text is found in the description in any case"),
        pytest.param({"q": "%"}, [], id="a percent sign is text and no pattern"),
        pytest.param({"label": "team:alpha"}, ["momentum"], id="a label with its value"),
        pytest.param({"label": "team"}, ["momentum", "reversion"], id="a label with any value"),
        pytest.param({"label": ["team", "tier:1"]}, ["reversion"], id="all labels must hold"),
        pytest.param({"label": "team:a' OR 1=1 --"}, [], id="a label is no SQL"),
        pytest.param({"visibility": "user"}, [], id="by who sees it"),
        pytest.param({"created_until": "2000-01-01T00:00:00Z"}, [], id="by when it was made"),
    ],
)
def test_filters(served: Served, query: dict[str, str], expected: list[str]) -> None:
    client = served.client()
    client.make_model("momentum", labels={"team": "alpha"})
    client.make_model("reversion", labels={"team": "beta", "tier": "1"}, description="to the mean")

    assert sorted(model["name"] for model in client.ok("GET", "/models", params=query)["items"]) == expected


def test_a_change_needs_the_state_that_it_was_made_from(served: Served) -> None:
    client = served.client()
    client.make_model()
    change = {"json": {"description": "new"}}

    assert client.patch("/models/momentum", **change).status_code == 428
    assert client.patch("/models/momentum", **change, headers={"If-Match": '"7"'}).status_code == 412
    assert client.patch("/models/momentum", **change, headers={"If-Match": '"seven"'}).status_code == 412
    assert client.patch("/models/momentum", **change, headers={"If-Match": "seven"}).status_code == 422
    changed = client.patch("/models/momentum", **change, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    assert client.patch("/models/momentum", **change, headers={"If-Match": '"1"'}).status_code == 412
    assert client.patch("/models/momentum", **change, headers={"If-Match": "*"}).status_code == 200


def test_of_changes_of_one_state_at_once_one_is_made(served: Served) -> None:
    served.client().make_model()

    def change(number: int) -> int:
        client = served.client()
        headers = {"If-Match": '"1"'}
        return client.patch("/models/momentum", json={"description": str(number)}, headers=headers).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(change, range(8)))

    assert statuses == [200] + 7 * [412]


def test_a_request_with_a_key_is_carried_out_once_and_answered_the_same(served: Served, clock: Clock) -> None:
    client = served.client()
    keyed = {"json": {"name": "momentum"}, "headers": {"Idempotency-Key": "one"}}

    first, second = (client.post("/models", **keyed) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert client.post("/models", json={"name": "b"}, headers=keyed["headers"]).status_code == 409
    # It is another subject's key, and after a day nobody's.
    assert served.client(sub="otto").post("/models", **keyed).status_code == 409
    clock.now += dt.timedelta(days=2)
    assert client.post("/models", json={"name": "b"}, headers=keyed["headers"]).status_code == 201


def test_of_requests_with_one_key_at_once_one_is_carried_out(served: Served) -> None:
    def make(_: int) -> tuple[int, str]:
        headers = {"Idempotency-Key": "one"}
        answer = served.client().post("/models", json={"name": "momentum"}, headers=headers)
        return answer.status_code, answer.json()["id"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(make, range(8)))

    assert len(answers) == 1
    assert next(iter(answers))[0] == 201


def test_a_request_that_failed_leaves_its_key_free(served: Served) -> None:
    client = served.client()
    headers = {"Idempotency-Key": "one"}

    assert client.post("/models/momentum/versions", json={"family": "a"}, headers=headers).status_code == 404
    client.make_model()
    assert client.post("/models/momentum/versions", json={"family": "a"}, headers=headers).status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
def test_a_key_that_is_none_is_refused(served: Served, key: str) -> None:
    answer = served.client().post("/models", json={"name": "a"}, headers={"Idempotency-Key": key})

    assert answer.status_code == 422


def test_every_change_is_in_the_audit_log_and_the_chain_holds(served: Served) -> None:
    client, admin = served.client(), served.client(role="admin", sub="anna")
    client.make_model()
    client.patch("/models/momentum", json={"labels": {"a": "b"}}, headers={"If-Match": '"1"'})
    # Nothing changed, so nothing is said.
    client.patch("/models/momentum", json={"labels": {"a": "b"}}, headers={"If-Match": '"2"'})
    admin.ok("PUT", "/tenants/alpha", json={"sign_off": ["risk-manager"]})

    entries = admin.ok("GET", "/audit")["items"]

    assert [entry["action"] for entry in entries] == ["tenant.sign_off", "model.change", "model.create"]
    assert entries[1]["details"] == {"changed": ["labels"]}
    assert admin.ok("GET", "/audit", params={"actor": "anna"})["items"] == entries[:1]
    assert admin.ok("GET", "/audit/verify") | {"head": None} == {
        "ok": True,
        "count": 3,
        "broken": None,
        "reason": "3 entries, unbroken",
        "head": None,
    }
    assert served.client(tenant="beta", role="admin").ok("GET", "/audit")["items"] == []
