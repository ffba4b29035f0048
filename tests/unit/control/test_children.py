"""The objects that belong to a ModelDeployment, and how a user's pod settings are laid over ours."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.api import names
from serin.core.model import Slot
from serin.render import children, merging
from support.rollouts import V1

OWNER = {"metadata": {"name": "momentum", "namespace": "trading", "uid": "u-1"}}
LABELS = {
    "app.kubernetes.io/managed-by": "serin",
    "serin.dev/modeldeployment": "momentum",
    "serin.dev/revision": V1.revision,
    "serin.dev/version": "1.0.0",
}


def deployment(**template: Any) -> dict[str, Any]:
    return children.make_deployment(OWNER, V1.target, template, 3)


def server(**template: Any) -> dict[str, Any]:
    [found] = [c for c in deployment(**template)["spec"]["template"]["spec"]["containers"] if c["name"] == "server"]
    return dict(found)


def test_a_deployment_belongs_to_its_owner_and_holds_up_no_deletion() -> None:
    metadata = deployment()["metadata"]
    assert (metadata["name"], metadata["namespace"]) == (f"momentum-{V1.revision}", "trading")
    assert metadata["labels"] == LABELS
    [owner] = metadata["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (
        "ModelDeployment",
        "u-1",
        True,
        False,
    )
    assert "finalizers" not in metadata


def test_pods_fit_the_restricted_pod_security_profile() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, control by control."""
    pod = deployment()["spec"]["template"]["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {frozenset(volume) for volume in pod["volumes"]} == {frozenset({"name", "emptyDir"})}
    assert "initContainers" not in pod
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in context
        assert not any("hostPort" in port for port in container["ports"])


def test_pods_get_nothing_that_a_model_server_does_not_need() -> None:
    pod = deployment()["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert server()["securityContext"]["readOnlyRootFilesystem"] is True
    assert server()["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - a pod's


def test_the_server_has_its_ports_and_probes() -> None:
    found = server()
    assert {port["name"]: port["containerPort"] for port in found["ports"]} == {
        "http": 8080,
        "grpc": 8081,
        "metrics": 9090,
    }
    assert found["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert found["readinessProbe"]["httpGet"] == found["startupProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_no_rollout_takes_a_pod_away_before_its_successor_is_ready() -> None:
    spec = deployment()["spec"]
    assert spec["replicas"] == 3
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def test_the_users_labels_stay_but_ours_win() -> None:
    mine = {"labels": {"team": "quant", "serin.dev/revision": "mine"}, "annotations": {"note": "x"}}
    spec = deployment(metadata=mine)["spec"]
    assert spec["template"]["metadata"] == {"labels": {"team": "quant", **LABELS}, "annotations": {"note": "x"}}
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_the_users_container_settings_are_merged_by_name() -> None:
    resources = {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "2"}}
    mine = {
        "containers": [
            {"name": "server", "env": [{"name": "A", "value": "1"}], "resources": resources},
            {"name": "proxy", "image": "proxy:1"},
        ],
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "volumes": [{"name": "cache", "emptyDir": {}}],
    }
    pod = deployment(spec=mine)["spec"]["template"]["spec"]
    found = server(spec=mine)
    assert [c["name"] for c in pod["containers"]] == ["server", "proxy"]
    assert (found["image"], found["env"]) == (V1.image, [{"name": "A", "value": "1"}])
    assert found["resources"] == {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "2", "memory": "128Mi"}}
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp", "cache"]
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]


def test_a_service_selects_one_revision_and_speaks_h2c_to_grpc() -> None:
    service = children.make_service(OWNER, Slot.B, "r7")
    assert service["metadata"]["name"] == "momentum-b"
    assert service["spec"]["selector"] == {"serin.dev/modeldeployment": "momentum", "serin.dev/revision": "r7"}
    ports = {port["name"]: port for port in service["spec"]["ports"]}
    assert (ports["http"]["port"], ports["grpc"]["port"]) == (8080, 8081)
    assert ports["grpc"]["appProtocol"] == "kubernetes.io/h2c"
    assert "metrics" not in ports


def test_a_record_keeps_what_its_deployment_is_made_from() -> None:
    record = children.make_record(OWNER, V1.target, "momentum", {"spec": {"x": 1}}, 7)
    assert (record["kind"], record["revision"]) == ("ControllerRevision", 7)
    assert record["data"] == {
        "model": "momentum",
        "version": "1.0.0",
        "image": V1.image,
        "template": {"spec": {"x": 1}},
    }


def test_the_longest_name_leaves_room_for_a_pods_hash() -> None:
    """A label value may have 63 characters; the Deployment's name is in none, but its pods' names must have 253 at most."""
    assert len(names.revision_object("n" * 52, "0123456789")) == 63
    assert len(names.slot_service("n" * 52, Slot.A)) <= 63


# Merging: laws and cases.

scalars = st.one_of(st.integers(), st.text(max_size=3), st.booleans())
named = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcd")}, optional={"value": scalars}),
    max_size=4,
    unique_by=lambda item: item["name"],
)
trees = st.recursive(
    st.one_of(scalars, named, st.lists(scalars, max_size=3)),
    lambda inner: st.dictionaries(st.sampled_from("pqrs"), inner, max_size=4),
    max_leaves=12,
)
maps = st.dictionaries(st.sampled_from("pqrs"), trees, max_size=4)


@given(trees)
def test_merging_with_nothing_or_with_itself_changes_nothing(tree: Any) -> None:
    assert merging.merge(tree, tree) == tree
    if isinstance(tree, dict):
        assert merging.merge(tree, {}) == tree
        assert merging.merge({}, tree) == tree


@given(maps, maps)
def test_merging_twice_is_merging_once(base: dict[str, Any], over: dict[str, Any]) -> None:
    once = merging.merge(base, over)
    assert merging.merge(once, over) == once


@given(maps, maps)
def test_merging_changes_neither_side_and_loses_no_key(base: dict[str, Any], over: dict[str, Any]) -> None:
    before = copy.deepcopy((base, over))
    merged = merging.merge(base, over)
    assert (base, over) == before
    assert set(merged) == set(base) | set(over)


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        pytest.param([1, 2], [3], [3], id="plain lists are replaced"),
        pytest.param([{"name": "a", "x": 1}], [{"name": "a", "y": 2}], [{"name": "a", "x": 1, "y": 2}], id="by name"),
        pytest.param([{"name": "a"}], [{"name": "b"}], [{"name": "a"}, {"name": "b"}], id="ours first"),
        pytest.param([{"name": "a"}], [{"key": "b"}], [{"key": "b"}], id="unnamed entries replace"),
        pytest.param([{"name": "a"}], [], [{"name": "a"}], id="an empty list takes nothing away"),
        pytest.param(
            [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - a pod's
            [{"name": "tmp", "mountPath": "/cache"}],
            [{"name": "tmp", "mountPath": "/tmp"}, {"name": "tmp", "mountPath": "/cache"}],  # noqa: S108 - a pod's
            id="mounts by path, because one volume may have several",
        ),
        pytest.param({"a": {"b": 1}}, {"a": None}, {"a": None}, id="null replaces"),
    ],
)
def test_merging(base: Any, over: Any, merged: Any) -> None:
    assert merging.merge(base, over) == merged


@given(maps, maps)
def test_what_is_there_contains_itself_and_stays_contained_when_others_add(
    base: dict[str, Any], more: dict[str, Any]
) -> None:
    assert merging.contains(base, base)
    assert merging.contains({**more, **base}, base)


@pytest.mark.parametrize(
    ("live", "wanted", "contained"),
    [
        pytest.param({"a": 1, "b": 2}, {"a": 1}, True, id="a field more"),
        pytest.param({"a": 1}, {"a": 2}, False, id="another value"),
        pytest.param({}, {"a": 1}, False, id="a field less"),
        pytest.param([{"a": 1, "b": 2}], [{"a": 1}], True, id="a field more in a list"),
        pytest.param([1, 2], [1], False, id="an entry more"),
        pytest.param([2, 1], [1, 2], False, id="another order"),
        pytest.param("a", {"a": 1}, False, id="another kind"),
        pytest.param({"a": 1}, [1], False, id="no list"),
    ],
)
def test_contains(live: Any, wanted: Any, contained: bool) -> None:
    assert merging.contains(live, wanted) is contained
