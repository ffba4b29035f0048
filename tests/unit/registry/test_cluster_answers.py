"""What the API server and the operator say, as the registry's callers read it."""

import json
from typing import Any

import pytest

from serin_services.registry import errors
from serin_services.registry.cluster import connection, deployer, tenancy
from serin_services.registry.records.rollouts.requests import Answer, Asked, Verb


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(400, errors.InvalidError, id="a request that makes no sense"),
        pytest.param(422, errors.InvalidError, id="an object that its definition refuses"),
        pytest.param(404, errors.NotFoundError, id="no such object"),
        pytest.param(409, errors.ConflictError, id="an object that has changed"),
        pytest.param(401, errors.UnavailableError, id="the registry's own account is not known"),
        pytest.param(403, errors.UnavailableError, id="the registry's own account may not"),
        pytest.param(429, errors.UnavailableError, id="too many requests of the registry"),
        pytest.param(500, errors.UnavailableError, id="a failure of the API server"),
    ],
)
def test_a_refusal_is_of_the_kind_that_it_is_to_the_caller(status: int, kind: type[errors.RegistryError]) -> None:
    refusal = connection.make_refusal(status, json.dumps({"message": "the sentence"}).encode())
    assert type(refusal) is kind
    assert refusal.message.endswith("the sentence")


def test_a_refusal_names_the_fields() -> None:
    cause = {"field": "spec.strategy.canary.steps", "message": "the last step must have weight 100"}
    refusal = connection.make_refusal(422, json.dumps({"message": "m", "details": {"causes": [cause]}}).encode())
    assert refusal.faults == (errors.Fault(cause["field"], cause["message"]),)


def test_an_answer_that_is_no_json_is_shown_as_it_is() -> None:
    assert connection.make_refusal(502, b"<html>bad gateway").message.endswith("<html>bad gateway")


def test_a_path_cannot_leave_its_collection() -> None:
    path = connection.path_of("../kube-system", "x/status")
    assert path.endswith("/namespaces/..%2Fkube-system/modeldeployments/x%2Fstatus")


@pytest.mark.parametrize(
    ("namespace", "resource", "tenant"),
    [
        pytest.param({}, {}, "default", id="nobody said"),
        pytest.param({}, {"serin.dev/tenant": "beta"}, "beta", id="the object says it"),
        pytest.param({"serin.dev/tenant": "alpha"}, {}, "alpha", id="the namespace says it"),
        pytest.param(
            {"serin.dev/tenant": "alpha"}, {"serin.dev/tenant": "beta"}, "alpha", id="an object cannot contradict it"
        ),
    ],
)
def test_the_namespace_decides_whose_an_object_is(
    namespace: dict[str, str], resource: dict[str, str], tenant: str
) -> None:
    assert tenancy.choose(namespace, resource, "default") == tenant


def owner(annotation: str | None, request: dict[str, Any] | None) -> dict[str, Any]:
    annotations = {"serin.dev/request": annotation} if annotation else {}
    return {"metadata": {"annotations": annotations}, "status": {"request": request} if request else {}}


DONE = {"id": "id-1", "verb": "promote", "accepted": True, "message": "promoted"}


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        pytest.param(owner("promote:id-1", DONE), Answer(True, True, "promoted"), id="carried out"),
        pytest.param(owner("stop:id-2", DONE), Answer(True, True, "promoted"), id="carried out before another"),
        pytest.param(
            owner("promote:id-1", {**DONE, "accepted": False, "message": "no"}), Answer(True, False, "no"), id="refused"
        ),
    ],
)
def test_an_answer_is_read_by_its_id(found: dict[str, Any], answer: Answer) -> None:
    assert deployer._read_answer(found, Asked("n", "x", Verb.PROMOTE, "id-1")) == answer


@pytest.mark.parametrize(
    ("found", "settled", "sentence"),
    [
        pytest.param(owner("promote:id-1", None), False, "has not answered yet", id="still to come"),
        pytest.param(
            owner("promote:id-1", {**DONE, "id": "id-0"}), False, "has not answered yet", id="an older answer"
        ),
        pytest.param(owner("stop:id-2", None), True, "another request (stop:id-2) took its place", id="replaced"),
        pytest.param(owner(None, None), True, "another request (none) took its place", id="taken away"),
    ],
)
def test_a_request_without_an_answer_says_why(found: dict[str, Any], settled: bool, sentence: str) -> None:
    answer = deployer._read_answer(found, Asked("n", "x", Verb.PROMOTE, "id-1"))
    assert (answer.settled, answer.accepted, sentence in answer.message) == (settled, None, True)
