"""What is looked for on a cluster of the user's own, and what is said when it is not there."""

import pytest

from serin_demo import api, existing, install, story, watch
from serin_local import errors, progress, release

GATEWAY = {
    "metadata": {"namespace": "infra", "name": "public"},
    "spec": {"listeners": [{"protocol": "HTTPS", "port": 443}, {"protocol": "HTTP", "port": 8080}]},
    "status": {"addresses": [{"value": "192.0.2.7"}]},
}
SERVICE = {"metadata": {"namespace": "monitoring", "name": "prometheus-operated"}}
SELECTS_ALL = {
    name: {} for name in ("serviceMonitorNamespaceSelector", "podMonitorNamespaceSelector", "ruleNamespaceSelector")
}


def make_answers(**changes):
    answers = {
        "/apis/gateway.networking.k8s.io/v1": {},
        "/apis/monitoring.coreos.com/v1": {},
        "/apis/gateway.networking.k8s.io/v1/gateways": {"items": [GATEWAY]},
        "/api/v1/services": {"items": [SERVICE]},
        "/apis/monitoring.coreos.com/v1/namespaces/monitoring/prometheuses": {"items": [{"spec": SELECTS_ALL}]},
    }
    return {path: answer for path, answer in {**answers, **changes}.items() if answer is not None}


class FakeCluster:
    def __init__(self, answers):
        self.answers = answers

    def get(self, path, **_query):
        return self.answers.get(path)


@pytest.fixture
def prepare(monkeypatch):
    """Prepare on a cluster that gives these answers, with the tools installed."""

    def run(answers, **wishes):
        monkeypatch.setattr(api.Api, "connect", lambda _kubeconfig: FakeCluster(answers))
        monkeypatch.setattr(existing.shutil, "which", lambda name: f"/usr/bin/{name}")
        monkeypatch.setattr(existing.engines, "find_engine", lambda _wanted: existing.engines.Engine("buildah"))
        return existing.prepare(existing.Wishes(**{"registry": "registry.example/team", **wishes}), progress.Progress())

    return run


def test_what_is_there_is_found_without_asking(prepare):
    found = prepare(make_answers())

    assert found.gateway == story.Gateway("infra", "public")
    assert found.address == "192.0.2.7:8080"
    assert found.prometheus == watch.Prometheus("monitoring", "prometheus-operated", 9090)
    assert found.prometheus_url == "http://prometheus-operated.monitoring.svc:9090"


def test_wishes_win(prepare):
    found = prepare(make_answers(), address="127.0.0.1:8888", prometheus="obs/thanos:10902")

    assert found.address == "127.0.0.1:8888"
    assert found.prometheus == watch.Prometheus("obs", "thanos", 10902)


PARTS = {part.image: f"registry.example/team/{part.image}:1" for part in (release.OPERATOR, release.REGISTRY)}


def test_the_chart_gets_the_labels_that_prometheus_selects_by(prepare):
    labels = {"release": "stack"}
    spec = {**SELECTS_ALL, "serviceMonitorSelector": {"matchLabels": labels}, "ruleSelector": {"matchLabels": labels}}
    path = "/apis/monitoring.coreos.com/v1/namespaces/monitoring/prometheuses"
    values = install.make_values(prepare(make_answers(**{path: {"items": [{"spec": spec}]}})), PARTS)

    assert values["serviceMonitor"] == {"labels": labels}
    assert values["prometheusRule"]["labels"] == labels
    assert values["prometheusRule"]["windows"]
    assert "podMonitor" not in values


OTHER = {**GATEWAY, "metadata": {"namespace": "infra", "name": "internal"}}
NO_ADDRESS = {**GATEWAY, "status": {}}
ONLY_HTTPS = {**GATEWAY, "spec": {"listeners": [{"protocol": "HTTPS", "port": 443}]}}
GATEWAYS = "/apis/gateway.networking.k8s.io/v1/gateways"
PROMETHEUSES = "/apis/monitoring.coreos.com/v1/namespaces/monitoring/prometheuses"


@pytest.mark.parametrize(
    ("changes", "wishes", "message"),
    [
        pytest.param({}, {"registry": ""}, "no registry that the nodes can pull from", id="no registry"),
        pytest.param({"/apis/gateway.networking.k8s.io/v1": None}, {}, "no Gateway API", id="no Gateway API"),
        pytest.param(
            {"/apis/monitoring.coreos.com/v1": None}, {}, "no prometheus-operator", id="no prometheus-operator"
        ),
        pytest.param({GATEWAYS: {"items": []}}, {}, "there are: none", id="no Gateway"),
        pytest.param(
            {GATEWAYS: {"items": [GATEWAY, OTHER]}}, {}, "there are: infra/internal, infra/public", id="two Gateways"
        ),
        pytest.param({}, {"gateway": "infra/lost"}, "no Gateway 'infra/lost'", id="another Gateway than those there"),
        pytest.param({GATEWAYS: {"items": [NO_ADDRESS]}}, {}, "--address HOST:PORT", id="a Gateway without an address"),
        pytest.param({GATEWAYS: {"items": [ONLY_HTTPS]}}, {}, "no HTTP listener", id="a Gateway without HTTP"),
        pytest.param({"/api/v1/services": {"items": []}}, {}, "not exactly one Prometheus", id="no Prometheus"),
        pytest.param(
            {PROMETHEUSES: {"items": [{"spec": {}}]}},
            {},
            "of its own namespace only",
            id="a Prometheus that sees too little",
        ),
    ],
)
def test_what_is_missing_is_told(prepare, changes, wishes, message):
    with pytest.raises(errors.ClusterError, match=message):
        prepare(make_answers(**changes), **wishes)


def test_everything_that_is_missing_is_told_at_once(prepare):
    answers = make_answers(**{"/apis/gateway.networking.k8s.io/v1": None, "/apis/monitoring.coreos.com/v1": None})

    with pytest.raises(errors.ClusterError) as raised:
        prepare(answers, registry="")

    assert str(raised.value).count("\n  - ") == 3
