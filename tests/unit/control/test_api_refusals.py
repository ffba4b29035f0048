"""What the API server's refusals are told apart as."""

import json

import pytest

from serin.adapters import cluster

TERMINATING = {
    "kind": "Status",
    "message": 'services "a" is forbidden: unable to create new content in namespace x because it is being terminated',
    "reason": "Forbidden",
    "details": {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]},
    "code": 403,
}
FORBIDDEN = {"kind": "Status", "message": 'services "a" is forbidden: User "u" cannot patch', "reason": "Forbidden"}


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        pytest.param(403, TERMINATING, cluster.TerminatingError, TERMINATING["message"], id="a namespace that goes"),
        pytest.param(403, FORBIDDEN, cluster.ApiError, FORBIDDEN["message"], id="a right that is missing"),
        pytest.param(409, {"message": "changed"}, cluster.ConflictError, "changed", id="an object that has changed"),
        pytest.param(500, {"message": "etcd is away"}, cluster.ApiError, "etcd is away", id="anything else"),
    ],
)
def test_a_refusal_is(status: int, body: dict[str, object], kind: type[cluster.ApiError], message: str) -> None:
    refusal = cluster.make_refusal(status, json.dumps(body).encode())

    assert (type(refusal), refusal.status, refusal.message) == (kind, status, message)


def test_an_answer_that_is_no_json_is_told_as_it_is() -> None:
    assert cluster.make_refusal(502, b"<html>bad gateway").message == "<html>bad gateway"
