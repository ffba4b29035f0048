"""The route: its shape never changes, only weights and the mirror do, and why traffic was taken is written on it."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.api import names, v1alpha1
from serin.core.model import Failure, Reason, Slot, State
from serin.core.phases import Phase
from serin.render import routes
from support.rollouts import START, V2, failure, first, state

OWNER = {"metadata": {"name": "momentum", "namespace": "trading", "uid": "u-1"}}


def spec(**route: Any) -> v1alpha1.Spec:
    gateway = route.pop("gateway", {"name": "public", "namespace": "infra"})
    content = {"model": "momentum", "version": "1", "image": "i", "route": {"gateway": gateway, **route}}
    return v1alpha1.Spec.model_validate(content)


def made(of: State, percent: int = 100, **route: Any) -> dict[str, Any]:
    return routes.make_route(OWNER, spec(**route), of, percent)


def shape(route: dict[str, Any]) -> dict[str, Any]:
    """A route without what may change."""
    bare = copy.deepcopy(route["spec"])
    for rule in bare["rules"]:
        rule["filters"] = [item for item in rule.get("filters", []) if item["type"] != "RequestMirror"]
        for backend in rule["backendRefs"]:
            del backend["weight"]
    return dict(bare)


def test_the_shape_is_the_same_in_every_state() -> None:
    shapes = [shape(made(found)) for found in (first(), *map(state, Phase))]
    assert all(found == shapes[0] for found in shapes)


@pytest.mark.parametrize("phase", Phase)
def test_all_backends_always_stand_in_the_route_without_filters_of_their_own(phase: Phase) -> None:
    for rule in made(state(phase))["spec"]["rules"]:
        assert [backend["name"] for backend in rule["backendRefs"]] == ["momentum-a", "momentum-b"]
        assert not any("filters" in backend for backend in rule["backendRefs"])


@pytest.mark.parametrize("found", [first(), *map(state, Phase)], ids=lambda found: found.phase)
def test_weights_and_mirror_are_read_back(found: State) -> None:
    route = made(found)
    assert routes.read_weights(route, "momentum") == found.weights()
    assert routes.read_mirror(route, "momentum") == (V2.slot if found.phase is Phase.STAGING else None)


@pytest.mark.parametrize("phase", Phase)
def test_a_mirror_is_there_while_staging_and_never_beside_a_weight(phase: Phase) -> None:
    found = state(phase)
    mirrors = [
        f["requestMirror"]
        for r in made(found, 30)["spec"]["rules"]
        for f in r.get("filters", [])
        if "requestMirror" in f
    ]
    assert len(mirrors) == (2 if phase is Phase.STAGING else 0)
    for mirror in mirrors:
        assert mirror["percent"] == 30
        assert mirror["backendRef"]["name"] == "momentum-b"
        assert found.weight == 0


def test_http_goes_by_path_and_loses_its_prefix() -> None:
    _, http = made(state(Phase.PRODUCTION))["spec"]["rules"]
    assert http["matches"] == [{"path": {"type": "PathPrefix", "value": "/trading/momentum"}}]
    assert http["filters"] == [
        {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
    ]
    assert {backend["port"] for backend in http["backendRefs"]} == {8080}


def test_grpc_goes_by_content_type_and_the_models_metadata() -> None:
    grpc, _ = made(state(Phase.PRODUCTION))["spec"]["rules"]
    assert [[(h["name"], h["value"]) for h in match["headers"]] for match in grpc["matches"]] == [
        [("content-type", "application/grpc"), ("x-model", "trading/momentum")],
        [("content-type", "application/grpc+proto"), ("x-model", "trading/momentum")],
    ]
    assert {header["type"] for match in grpc["matches"] for header in match["headers"]} == {"Exact"}
    assert "filters" not in grpc
    assert {backend["port"] for backend in grpc["backendRefs"]} == {8081}


def test_a_host_of_its_own_needs_no_prefix() -> None:
    route = made(state(Phase.PRODUCTION), pathPrefix="/", hostnames=["momentum.example"])
    grpc, http = route["spec"]["rules"]
    assert route["spec"]["hostnames"] == ["momentum.example"]
    assert "filters" not in http
    assert [len(match["headers"]) for match in grpc["matches"]] == [1, 1]


@pytest.mark.parametrize(
    ("gateway", "parent"),
    [
        pytest.param({"name": "public"}, {"name": "public", "namespace": "trading"}, id="in the object's namespace"),
        pytest.param({"name": "p", "namespace": "n"}, {"name": "p", "namespace": "n"}, id="in another"),
        pytest.param(
            {"name": "p", "sectionName": "https"},
            {"name": "p", "namespace": "trading", "sectionName": "https"},
            id="one listener",
        ),
    ],
)
def test_the_gateway(gateway: dict[str, str], parent: dict[str, str]) -> None:
    [found] = made(state(Phase.PRODUCTION), gateway=gateway)["spec"]["parentRefs"]
    assert found == {"group": "gateway.networking.k8s.io", "kind": "Gateway", **parent}


def test_a_route_without_hostnames_names_none() -> None:
    assert "hostnames" not in made(state(Phase.PRODUCTION))["spec"]


failures = st.builds(
    Failure,
    st.text(max_size=9),
    st.text(max_size=9),
    st.sampled_from(Reason),
    st.text(max_size=40),
    st.just(START),
    st.text(max_size=9),
    st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3),
)


@given(failures)
def test_a_withdrawal_is_written_with_the_weights_and_read_back(why: Failure) -> None:
    route = made(state(Phase.ROLLING_BACK, failure=why))
    assert routes.read_withdrawn(route) == why


@pytest.mark.parametrize("phase", [p for p in Phase if p not in (Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.STOPPED)])
def test_no_withdrawal_is_written_where_none_holds(phase: Phase) -> None:
    assert "annotations" not in made(state(phase, failure=failure()))["metadata"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"revision": "x"}',
        '{"revision": 1, "version": 1, "reason": "Nope", "message": "", "at": ""}',
    ],
)
def test_a_withdrawal_that_cannot_be_read_tells_nothing(text: str) -> None:
    route = made(state(Phase.CANARY))
    route["metadata"]["annotations"] = {names.WITHDRAWN_ANNOTATION: text}
    assert routes.read_withdrawn(route) is None


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param([], id="no rules"),
        pytest.param([{"backendRefs": [{"name": "other", "weight": 1}]}], id="another backend"),
        pytest.param(
            [
                {"backendRefs": [{"name": "momentum-a", "weight": 1}]},
                {"backendRefs": [{"name": "momentum-a", "weight": 2}]},
            ],
            id="rules that differ",
        ),
    ],
)
def test_weights_that_are_not_ours_are_none(rules: list[Any]) -> None:
    assert routes.read_weights({"spec": {"rules": rules}}, "momentum") == {}


def test_a_backend_without_weight_has_1_as_the_gateway_api_says() -> None:
    rules = [{"backendRefs": [{"name": "momentum-a"}, {"name": "momentum-b", "weight": 0}]}]
    assert routes.read_weights({"spec": {"rules": rules}}, "momentum") == {Slot.A: 1, Slot.B: 0}
