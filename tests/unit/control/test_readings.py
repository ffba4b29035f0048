"""What is read from Kubernetes objects: pods and their problems, the route, rivals, requests, traces."""

from typing import Any

import pytest

from serin.api import names, v1alpha1
from serin.core.model import Pods, Reason, Request, Slot, State
from serin.core.phases import Phase
from serin.core.recovery import Record
from serin.render import children, readings, routes
from support.rollouts import V1, V2, failure, state

OWNER = {
    "metadata": {
        "name": "momentum",
        "namespace": "trading",
        "uid": "u-1",
        "creationTimestamp": "2026-01-01T00:00:05Z",
    }
}


def spec(**route: Any) -> v1alpha1.Spec:
    content = {"model": "momentum", "version": "1", "image": "i", "route": {"gateway": {"name": "public"}, **route}}
    return v1alpha1.Spec.model_validate(content)


# Pods.


def pod(name: str, ready: bool = True, conditions: list[Any] | None = None, **status: Any) -> dict[str, Any]:
    found = [{"type": "Ready", "status": "True" if ready else "False"}, *(conditions or [])]
    return {"metadata": {"name": name}, "status": {"conditions": found, **status}}


def container(ready: bool = False, **states: Any) -> dict[str, Any]:
    found = {"name": "server", "image": "momentum:1", "ready": ready, "restartCount": 3, **states}
    return {"containerStatuses": [found]}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return container(state={"waiting": {"reason": reason, "message": message}})


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    terminated = {"exitCode": code, "reason": reason, "message": message}
    return container(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": terminated})


def endpoints(*names_of: str, ready: bool = True) -> dict[str, Any]:
    return {"endpoints": [{"targetRef": {"name": name}, "conditions": {"ready": ready}} for name in names_of]}


DEPLOYMENT = {"spec": {"replicas": 2}}


@pytest.mark.parametrize(
    ("pods", "slices", "expected"),
    [
        pytest.param([], [], Pods(2, 0, 0), id="none"),
        pytest.param([pod("a"), pod("b")], [endpoints("a", "b")], Pods(2, 2, 2), id="all"),
        pytest.param([pod("a"), pod("b")], [endpoints("a")], Pods(2, 2, 1), id="one not yet known to the gateway"),
        pytest.param([pod("a"), pod("b")], [endpoints("a"), endpoints("b")], Pods(2, 2, 2), id="in two slices"),
        pytest.param([pod("a"), pod("b")], [endpoints("a", "b", ready=False)], Pods(2, 2, 0), id="endpoints not ready"),
        pytest.param(
            [pod("a", ready=False)], [endpoints("a")], Pods(2, 0, 0), id="an endpoint that lags behind its pod"
        ),
        pytest.param([pod("a")], [endpoints("x", "y")], Pods(2, 1, 0), id="another revision's endpoints"),
        pytest.param([pod("a")], [{"endpoints": None}], Pods(2, 1, 0), id="a slice without endpoints"),
        pytest.param([pod("a")], [{"endpoints": [{"conditions": {}}]}], Pods(2, 1, 0), id="an endpoint that is no pod"),
    ],
)
def test_counting_pods(pods: list[Any], slices: list[Any], expected: Pods) -> None:
    assert readings.read_pods(DEPLOYMENT, pods, slices) == expected


def test_a_pod_that_is_being_deleted_does_not_count() -> None:
    leaving = pod("a")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert readings.read_pods(DEPLOYMENT, [leaving], [endpoints("a")]) == Pods(2, 0, 0)


def test_before_the_deployment_is_seen_one_pod_is_wanted() -> None:
    assert readings.read_pods(None, [], []) == Pods(1, 0, 0)


@pytest.mark.parametrize(
    ("status", "problem", "message"),
    [
        pytest.param(
            waiting("ImagePullBackOff", "Back-off pulling image"),
            Reason.IMAGE_PULL_FAILED,
            "Back-off pulling image",
            id="pull",
        ),
        pytest.param(
            waiting("ErrImagePull"),
            Reason.IMAGE_PULL_FAILED,
            "image momentum:1 cannot be pulled",
            id="pull without words",
        ),
        pytest.param(
            waiting("CreateContainerConfigError", "secret not found"),
            Reason.POD_REFUSED,
            "secret not found",
            id="configuration",
        ),
        pytest.param(
            ended(78, "the digest of model.ubj differs\n"),
            Reason.MODEL_LOAD_FAILED,
            "the digest of model.ubj differs",
            id="package",
        ),
        pytest.param(
            ended(78), Reason.MODEL_LOAD_FAILED, "the server could not load its package", id="package without words"
        ),
        pytest.param(
            ended(137, reason="OOMKilled"),
            Reason.CRASH_LOOP,
            "exited with code 137 (OOMKilled), 3 restarts",
            id="killed",
        ),
        pytest.param(
            ended(1, "Traceback\n  File x\nValueError: bad\n"),
            Reason.CRASH_LOOP,
            "exited with code 1 (Error), 3 restarts: ValueError: bad",
            id="crash",
        ),
        pytest.param(
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: no gpu"}]},
            Reason.UNSCHEDULABLE,
            "0/3 nodes: no gpu",
            id="capacity",
        ),
        pytest.param(waiting("ContainerCreating"), None, "", id="still starting"),
        pytest.param(container(state={"running": {}}), None, "", id="running, and not ready yet"),
        pytest.param(
            container(ready=True, state={"running": {}}, lastState={"terminated": {"exitCode": 1}}),
            None,
            "",
            id="recovered",
        ),
        pytest.param(
            {"initContainerStatuses": waiting("ErrImagePull", "no such tag")["containerStatuses"]},
            Reason.IMAGE_PULL_FAILED,
            "no such tag",
            id="an init container",
        ),
    ],
)
def test_what_keeps_a_pod_from_being_ready(status: dict[str, Any], problem: Reason | None, message: str) -> None:
    broken = pod("b", ready=False, **{"conditions": [], **status})
    found = readings.read_pods(DEPLOYMENT, [pod("a"), broken], [])
    assert (found.problem, found.message) == (problem, message)


def test_a_pod_that_is_refused_has_no_pod_to_show_it() -> None:
    quota = {"type": "ReplicaFailure", "status": "True", "message": 'pods "momentum-1" is forbidden: exceeded quota'}
    found = readings.read_pods({**DEPLOYMENT, "status": {"conditions": [quota]}}, [], [])
    assert (found.problem, found.message) == (Reason.POD_REFUSED, quota["message"])


def test_what_does_not_matter_any_more_is_no_problem() -> None:
    crashed = pod("c", ready=False, **ended(1))
    assert readings.read_pods(DEPLOYMENT, [pod("a"), pod("b"), crashed], []).problem is None


# The route.

GATEWAY = {"metadata": {"name": "public", "namespace": "trading"}}


def route(generation: int = 4, seen: int = 4, parent: str = "public", **conditions: str) -> dict[str, Any]:
    live = routes.make_route(OWNER, spec(), state(Phase.CANARY), 100)
    live["metadata"]["generation"] = generation
    found = [
        {"type": kind, "status": status, "reason": "Because", "message": "so", "observedGeneration": seen}
        for kind, status in ({"Accepted": "True", "ResolvedRefs": "True"} | conditions).items()
    ]
    live["status"] = {"parents": [{"parentRef": {"name": parent}, "conditions": found}]}
    return live


@pytest.mark.parametrize(
    ("live", "gateways", "rivals", "accepted", "problem"),
    [
        pytest.param(route(), [GATEWAY], [], True, None, id="accepted"),
        pytest.param(route(seen=3), [GATEWAY], [], False, None, id="accepted, but an older generation"),
        pytest.param(route(parent="other"), [GATEWAY], [], False, None, id="accepted by another gateway"),
        pytest.param(route(Accepted="Unknown"), [GATEWAY], [], False, None, id="not looked at yet"),
        pytest.param(route(Accepted="False"), [GATEWAY], [], False, Reason.ROUTE_NOT_ACCEPTED, id="refused"),
        pytest.param(
            route(ResolvedRefs="False"), [GATEWAY], [], False, Reason.ROUTE_NOT_ACCEPTED, id="a backend is missing"
        ),
        pytest.param(route(), [], [], False, Reason.GATEWAY_MISSING, id="no gateway"),
        pytest.param(route(), [GATEWAY], ["trading/older"], False, Reason.ROUTE_CONFLICT, id="a rival"),
        pytest.param(None, [GATEWAY], [], False, None, id="no route yet"),
        pytest.param(None, [], [], False, Reason.GATEWAY_MISSING, id="no route and no gateway"),
    ],
)
def test_reading_the_route(
    live: dict[str, Any] | None, gateways: list[Any], rivals: list[str], accepted: bool, problem: Reason | None
) -> None:
    found = readings.read_route(live, OWNER, spec(), gateways, rivals)
    assert (found.accepted, found.problem) == (accepted, problem)
    assert bool(found.message) is (problem is not None)
    assert found.weights == ({Slot.A: 90, Slot.B: 10} if live else {})


def test_a_gateway_is_told_by_name_and_namespace() -> None:
    found = readings.read_route(None, OWNER, spec(gateway={"name": "public", "namespace": "infra"}), [GATEWAY], [])
    assert found.message == "there is no Gateway public in namespace infra"


def test_a_refusal_is_quoted() -> None:
    found = readings.read_route(route(Accepted="False"), OWNER, spec(), [GATEWAY], [])
    assert found.message == "gateway public refuses the route: Because: so"


def test_a_withdrawal_is_read_with_the_route() -> None:
    live = routes.make_route(OWNER, spec(), state(Phase.ROLLING_BACK), 100)
    assert readings.read_route(live, OWNER, spec(), [GATEWAY], []).withdrawn == failure()


def other(name: str = "other", created: str = "2026-01-01T00:00:04Z", **wanted: Any) -> dict[str, Any]:
    gateway = wanted.pop("gateway", {"name": "public"})
    return {
        "metadata": {"name": name, "namespace": "trading", "uid": f"u-{name}", "creationTimestamp": created},
        "spec": {
            "model": "m",
            "version": "1",
            "image": "i",
            "route": {"gateway": gateway, "pathPrefix": "/trading/momentum", **wanted},
        },
    }


@pytest.mark.parametrize(
    ("rival", "hosts", "rivals"),
    [
        pytest.param(other(), None, ["trading/other"], id="older, the same path"),
        pytest.param(other(created="2026-01-01T00:00:06Z"), None, [], id="younger"),
        pytest.param(other(name="zulu", created="2026-01-01T00:00:05Z"), None, [], id="as old, and later by name"),
        pytest.param(
            other(name="alfa", created="2026-01-01T00:00:05Z"), None, ["trading/alfa"], id="as old, and earlier by name"
        ),
        pytest.param(other(pathPrefix="/x"), None, [], id="another path"),
        pytest.param(other(gateway={"name": "private"}), None, [], id="another gateway"),
        pytest.param(
            other(gateway={"name": "public", "namespace": "infra"}), None, [], id="a gateway of that name elsewhere"
        ),
        pytest.param(
            other(hostnames=["a.example"]), ["a.example", "b.example"], ["trading/other"], id="a host in common"
        ),
        pytest.param(other(hostnames=["c.example"]), ["a.example"], [], id="other hosts"),
        pytest.param(other(hostnames=["c.example"]), None, [], id="a host against all hosts: the longer match wins"),
    ],
)
def test_rivals(rival: dict[str, Any], hosts: list[str] | None, rivals: list[str]) -> None:
    own = spec(hostnames=hosts) if hosts else spec()
    assert readings.find_rivals(OWNER, own, [OWNER | {"spec": {}}, rival]) == rivals


# Requests and traces.


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        pytest.param({names.REQUEST_ANNOTATION: "pause:7"}, Request("7", "pause"), id="verb and id"),
        pytest.param({names.REQUEST_ANNOTATION: "pause:7:8"}, Request("7:8", "pause"), id="an id with a colon"),
        pytest.param({names.REQUEST_ANNOTATION: "pause"}, Request("pause", "pause"), id="no id: once for all times"),
        pytest.param({names.REQUEST_ANNOTATION: ""}, None, id="empty"),
        pytest.param({}, None, id="none"),
        pytest.param(None, None, id="no annotations"),
    ],
)
def test_reading_a_request(annotations: dict[str, str] | None, expected: Request | None) -> None:
    assert readings.read_request({"metadata": {"annotations": annotations}}) == expected


def test_the_traces_of_a_rollout() -> None:
    of: State = state(Phase.CANARY, weight=25)
    records = [children.make_record(OWNER, found.target, "m", {}, n) for n, found in enumerate((V1, V2), 1)]
    services = [children.make_service(OWNER, found.slot, found.revision) for found in (V1, V2)]
    foreign = {"metadata": {"name": "mine"}, "spec": {"selector": {"app": "x"}}}
    headless = {"metadata": {"name": "momentum-x"}, "spec": {}}

    traces = readings.read_traces(
        records, [*services, foreign, headless], routes.make_route(OWNER, spec(), of, 100), OWNER
    )

    assert traces.records == [Record(V1.target, 1), Record(V2.target, 2)]
    assert traces.selected == {Slot.A: V1.revision, Slot.B: V2.revision}
    assert traces.weights == {Slot.A: 75, Slot.B: 25}
    assert traces.withdrawn is None


def test_without_a_route_the_traces_have_no_weights() -> None:
    assert readings.read_traces([], [], None, OWNER).weights == {}
