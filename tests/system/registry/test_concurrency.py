"""Many at once: each change happens once, numbers and the audit log have neither gaps nor doubles."""

import concurrent.futures
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

from support.registry_server import Client
from support.registry_worlds import VERSION, World, world

__all__ = ["world"]

Result = TypeVar("Result")
AT_ONCE = 8


def at_once(function: Callable[[int], Result], times: int = 2 * AT_ONCE) -> list[Result]:
    """Call a function with 0, 1, 2, …, from several threads."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, range(times)))


def new_tenant(world: World) -> Callable[..., Client]:
    """Callers of a tenant that has never written anything."""
    tenant = f"t{secrets.token_hex(8)}"

    def make(**claims: Any) -> Client:
        return world.served.client(tenant=tenant, **claims)

    return make


def test_the_first_changes_of_a_tenant_at_once_make_one_chain(world: World) -> None:
    client = new_tenant(world)

    statuses = at_once(lambda number: client().post("/models", json={"name": f"m{number}"}).status_code)

    verdict = client(role="admin").ok("GET", "/audit/verify")
    assert set(statuses) == {201}
    assert (verdict["ok"], verdict["count"]) == (True, len(statuses))


def test_versions_at_once_get_numbers_without_gaps(world: World) -> None:
    client = new_tenant(world)
    client().make_model()

    numbers = at_once(lambda number: client().register(artifact_sha256=f"{number:064x}")["version"])

    assert sorted(numbers) == sorted(f"1.0.{patch}" for patch in range(len(numbers)))


def test_of_models_of_one_name_at_once_one_is_made(world: World) -> None:
    client = new_tenant(world)

    statuses = at_once(lambda _: client().post("/models", json={"name": "one"}).status_code)

    assert sorted(statuses) == [201] + [409] * (len(statuses) - 1)


def test_of_requests_with_one_key_at_once_one_is_carried_out(world: World) -> None:
    client = new_tenant(world)
    client().make_model()
    headers = {"Idempotency-Key": "key"}

    def register(_: int) -> tuple[int, str]:
        answer = client().post("/models/momentum/versions", json={"family": "xgboost"}, headers=headers)
        return answer.status_code, answer.json()["version"]

    assert set(at_once(register)) == {(201, "1.0.0")}
    assert len(client().ok("GET", "/models/momentum/versions")["items"]) == 1


def test_of_changes_of_one_state_at_once_one_is_made(world: World) -> None:
    client = new_tenant(world)
    client().make_model()

    def change(number: int) -> int:
        headers = {"If-Match": '"1"'}
        return client().patch("/models/momentum", json={"description": str(number)}, headers=headers).status_code

    statuses = at_once(change)

    assert sorted(statuses) == [200] + [412] * (len(statuses) - 1)


def test_of_moves_at_once_each_follows_the_one_before(world: World) -> None:
    client = new_tenant(world)
    client().make_model()
    client().register()
    path = "/models/momentum/versions/1.0.0"

    def move(number: int) -> int:
        target = ("TRAINING", "DRAFT")[number % 2]
        return client().post(f"{path}/move", json={"target": target, "why": "to and fro"}).status_code

    statuses = at_once(move)

    moves = client().ok("GET", f"{path}/transitions", params={"limit": 200})["items"]
    # All have one of two targets, and none goes where it is already.
    assert set(statuses) <= {200, 409}
    assert statuses.count(200) == len(moves) > 0
    assert all(move["source"] != move["target"] for move in moves)
    assert client().ok("GET", path)["stage"] in {"TRAINING", "DRAFT"}


def test_of_uploads_of_one_name_at_once_one_content_stays(world: World) -> None:
    client = new_tenant(world)
    client().make_model()
    client().register()
    path = "/models/momentum/versions/1.0.0/artifacts/model"
    contents = [bytes([number]) * 300_000 for number in range(3)]

    statuses = at_once(lambda number: client().upload(path, contents[number % 3]).status_code)

    kept = client().get(path)
    assert statuses.count(201) == 1
    assert set(statuses) <= {200, 201, 409}
    assert kept.content in contents
    assert f'"{client().ok("GET", "/models/momentum/versions/1.0.0")["artifact_sha256"]}"' == kept.headers["ETag"]


def test_an_approval_and_a_change_at_once_cannot_both_be(world: World) -> None:
    """Or what is in production would be something that nobody approved."""
    for _ in range(4):
        client = new_tenant(world)
        client().make_model()
        client().register(artifact_sha256="a" * 64)
        path = "/models/momentum/versions/1.0.0"

        def act(number: int, client: Callable[..., Client] = client, path: str = path) -> int:
            if number % 2:
                body = {"metrics": {"accuracy": 0.99}}
                return client().patch(path, json=body, headers={"If-Match": "*"}).status_code
            body = {"office": "lead", "approved": True, "why": "as it is"}
            return client(sub="lea", role="approver", offices=["lead"]).post(f"{path}/approvals", json=body).status_code

        approved, changed = at_once(act, 2)

        actions = [entry["action"] for entry in client(role="admin").ok("GET", "/audit")["items"]]
        assert approved == 201
        assert changed in {200, 409, 412}
        if changed == 200:
            # It was changed first, so that it was approved as it is now.
            assert actions.index("version.approve") < actions.index("version.change")


def test_lists_read_while_others_write_show_nothing_twice(world: World) -> None:
    client = new_tenant(world)
    client().make_model()

    def act(number: int) -> list[str]:
        if number % 3:
            client().register(artifact_sha256=f"{number:064x}")
            return []
        found, cursor = [], None
        while True:
            page = client().ok("GET", "/models/momentum/versions", params={"limit": 3, "cursor": cursor})
            found += [item["id"] for item in page["items"]]
            if (cursor := page["next"]) is None:
                return found

    for found in at_once(act):
        assert len(found) == len(set(found))


def test_the_chain_still_holds(world: World) -> None:
    admin = world.served.client(role="admin")

    assert admin.ok("GET", "/audit/verify")["ok"] is True
    assert admin.ok("GET", f"/models/{world.models['tenant']}/versions/{VERSION}")["version"] == VERSION
