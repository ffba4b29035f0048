"""What the chart renders: what the operator may do, how it runs, what is scraped, and which values are refused."""

import base64
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import chart
from serin.adapters import cluster
from serin.api import crd, names, v1alpha1

Objects = list[dict[str, Any]]


@pytest.fixture(scope="module")
def objects() -> Objects:
    return chart.render()


def find(objects: Objects, kind: str, name: str | None = None) -> dict[str, Any]:
    [found] = [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    return found


def pod_of(objects: Objects) -> dict[str, Any]:
    spec: dict[str, Any] = find(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


# ---- permissions


def rules_of(objects: Objects) -> list[dict[str, Any]]:
    """Every rule that the operator's own account gets."""
    roles = [one for one in objects if one["kind"] in {"ClusterRole", "Role"}]
    granted = {one["roleRef"]["name"] for one in objects if one["kind"] in {"ClusterRoleBinding", "RoleBinding"}}
    return [rule for role in roles if role["metadata"]["name"] in granted for rule in role["rules"]]


@pytest.mark.parametrize(
    "namespaces", [pytest.param((), id="everywhere"), pytest.param(("team-a",), id="in one namespace")]
)
def test_permissions_have_no_wildcard_and_no_secrets(namespaces: tuple[str, ...]) -> None:
    arguments = ("--set", f"watchNamespaces={{{','.join(namespaces)}}}") if namespaces else ()
    rules = rules_of(chart.render(*arguments))
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert not {"secrets", "configmaps", "roles", "clusterroles"} & set(rule["resources"])
        assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])
    assert any("modeldeployments/status" in rule["resources"] for rule in rules)


def needs() -> Iterator[tuple[str, str, str]]:
    """Every API group, resource and verb of the operator's requests."""
    written = {cluster.DEPLOYMENT, cluster.RECORD, cluster.SERVICE, cluster.ROUTE}
    for kind in (*cluster.WATCHED, cluster.MODELDEPLOYMENT):
        verbs = ["get", "list", "watch", *(("create", "patch") if kind in written else ())]
        verbs += ["delete"] if kind in {cluster.DEPLOYMENT, cluster.RECORD} else []
        yield from ((kind.api.rpartition("/")[0], kind.plural, verb) for verb in verbs)
    yield (cluster.EVENT.api.rpartition("/")[0], cluster.EVENT.plural, "create")
    yield (names.GROUP, f"{names.PLURAL}/status", "patch")


def test_the_operator_may_do_what_it_does_and_nothing_else(objects: Objects) -> None:
    granted = {
        (group, resource, verb)
        for rule in rules_of(objects)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == set(needs())


def test_a_list_of_namespaces_takes_all_writing_elsewhere_away() -> None:
    objects = chart.render("--set", "watchNamespaces={team-a,team-b}")
    everywhere = find(objects, "ClusterRole", "serin")["rules"]
    assert {verb for rule in everywhere for verb in rule["verbs"]} == {"get", "list", "watch"}
    roles = [one for one in objects if one["kind"] == "Role"]
    assert [role["metadata"]["namespace"] for role in roles] == ["team-a", "team-b"]
    assert find(objects, "PodMonitor")["spec"]["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}
    environment = {one["name"]: one.get("value") for one in pod_of(objects)["containers"][0]["env"]}
    assert environment["SERIN_WATCH_NAMESPACES"] == "team-a,team-b"


# ---- the operator's pod


def test_the_operator_meets_the_restricted_pod_security_standard(objects: Objects) -> None:
    pod = pod_of(objects)
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == names.SERVER_UID
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} <= {"emptyDir", "secret"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)


def test_there_is_one_operator_at_a_time(objects: Objects) -> None:
    spec = find(objects, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_operator_is_told_its_settings() -> None:
    objects = chart.render(
        "--set", "prometheus.url=http://prometheus.monitoring.svc:9090,evaluationSeconds=0.5,log.level=debug"
    )
    environment = {one["name"]: one.get("value") for one in pod_of(objects)["containers"][0]["env"]}
    assert environment == {
        "SERIN_PROMETHEUS_URL": "http://prometheus.monitoring.svc:9090",
        "SERIN_EVALUATION_SECONDS": "0.5",
        "SERIN_ALERT_POLL_SECONDS": "0.5",
        "SERIN_WATCH_NAMESPACES": "",
        "SERIN_LOG_LEVEL": "debug",
        "SERIN_LOG_FORMAT": "json",
        "SERIN_WEBHOOK_TOKEN_FILE": "/run/serin/webhook/token",
    }


def test_an_image_is_found_by_tag_or_digest() -> None:
    digest = "sha256:" + "0" * 64
    image = [
        pod_of(chart.render("--set", settings))["containers"][0]["image"]
        for settings in (
            "image.tag=x",
            "image.repository=registry.example/serin-operator",
            f"image.tag=x,image.digest={digest}",
        )
    ]
    assert image == ["serin-operator:x", "registry.example/serin-operator:0.1.0", f"serin-operator@{digest}"]


# ---- definitions


def test_the_definition_is_a_template_so_that_an_upgrade_upgrades_it(objects: Objects) -> None:
    definition = find(objects, "CustomResourceDefinition")
    assert definition["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert definition == crd.make_crd()
    assert not (chart.CHART / "crds").exists()


# ---- monitoring


def test_servers_are_scraped_with_the_names_that_the_rules_use(objects: Objects) -> None:
    spec = find(objects, "PodMonitor")["spec"]
    [endpoint] = spec["podMetricsEndpoints"]
    relabelled = {one["sourceLabels"][0]: one["targetLabel"] for one in endpoint["relabelings"]}
    meta = {f"__meta_kubernetes_pod_label_{re.sub('[./]', '_', label)}": label for label in
            (names.MODELDEPLOYMENT_LABEL, names.REVISION_LABEL)}  # fmt: skip
    assert spec["namespaceSelector"] == {"any": True}
    assert spec["selector"] == {"matchExpressions": [{"key": names.MODELDEPLOYMENT_LABEL, "operator": "Exists"}]}
    assert endpoint["port"] == names.METRICS_PORT_NAME
    assert endpoint["honorLabels"] is False
    assert {meta[source]: target for source, target in relabelled.items()} == {
        names.MODELDEPLOYMENT_LABEL: "modeldeployment",
        names.REVISION_LABEL: "revision",
    }


def test_the_operator_keeps_the_namespace_that_its_series_tell_of(objects: Objects) -> None:
    [endpoint] = find(objects, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True
    selector = find(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert selector.items() <= find(objects, "Service")["metadata"]["labels"].items()


def test_everything_of_the_monitoring_can_be_left_out() -> None:
    parts = ("serviceMonitor", "podMonitor", "prometheusRule", "dashboards", "networkPolicy")
    objects = chart.render("--set", ",".join(f"{part}.enabled=false" for part in parts))
    kinds = {one["kind"] for one in objects}
    assert not kinds & {
        "ServiceMonitor",
        "PodMonitor",
        "PrometheusRule",
        "ConfigMap",
        "NetworkPolicy",
        "AlertmanagerConfig",
    }


def test_dashboards_carry_the_label_that_grafana_looks_for(objects: Objects) -> None:
    dashboards = [one for one in objects if one["kind"] == "ConfigMap"]
    assert {one["metadata"]["name"] for one in dashboards} == {"serin-dashboard-rollout", "serin-dashboard-serving"}
    assert all(one["metadata"]["labels"]["grafana_dashboard"] == "1" for one in dashboards)


def test_alertmanager_pushes_with_the_token_that_the_operator_reads() -> None:
    objects = chart.render("--set", "alertmanagerConfig.enabled=true,webhook.existingSecret=mine")
    [receiver] = find(objects, "AlertmanagerConfig")["spec"]["receivers"]
    [hook] = receiver["webhookConfigs"]
    [volume] = [one for one in pod_of(objects)["volumes"] if one["name"] == "webhook"]
    assert hook["url"] == "http://serin.serin-system.svc:8080/alerts"
    assert hook["httpConfig"]["authorization"] == {"type": "Bearer", "credentials": {"name": "mine", "key": "token"}}
    assert volume["secret"]["secretName"] == "mine"
    assert not [one for one in objects if one["kind"] == "Secret"]


def test_without_a_webhook_there_is_no_token() -> None:
    objects = chart.render("--set", "webhook.enabled=false")
    assert not [one for one in objects if one["kind"] == "Secret"]
    assert [volume["name"] for volume in pod_of(objects)["volumes"]] == ["tmp"]
    assert "SERIN_WEBHOOK_TOKEN_FILE" not in {one["name"] for one in pod_of(objects)["containers"][0]["env"]}


def test_a_given_token_is_kept_and_a_new_one_restarts_the_operator() -> None:
    first, second = (chart.render("--set", f"webhook.token={token}") for token in ("a" * 20, "b" * 20))
    assert base64.b64decode(find(first, "Secret")["data"]["token"]) == b"a" * 20
    annotations = [find(one, "Deployment")["spec"]["template"]["metadata"]["annotations"] for one in (first, second)]
    assert annotations[0] != annotations[1]


def test_a_token_is_drawn_where_none_is_given() -> None:
    drawn = {find(chart.render(), "Secret")["data"]["token"] for _ in range(2)}
    assert len(drawn) == 2


def test_only_the_named_may_reach_the_operator_and_it_only_them(objects: Objects) -> None:
    spec = find(objects, "NetworkPolicy")["spec"]
    assert spec["podSelector"]["matchLabels"] == find(objects, "Deployment")["spec"]["selector"]["matchLabels"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    [ingress] = spec["ingress"]
    assert ingress["ports"] == [{"port": "http", "protocol": "TCP"}]
    assert ingress["from"][0]["podSelector"]["matchExpressions"][0]["values"] == ["prometheus", "alertmanager"]
    ports = {port["port"] for egress in spec["egress"] for port in egress["ports"]}
    assert ports == {53, 443, 6443, 9090, 80, 10080, 10443}


# ---- refused values


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        pytest.param("prometheusrule.z=3", "additional properties 'prometheusrule' not allowed", id="a misspelt block"),
        pytest.param("webhook.tokn=x", "additional properties 'tokn' not allowed", id="a misspelt value"),
        pytest.param("watchNamespaces=team-a", "got string, want array", id="a namespace that is no list"),
        pytest.param("prometheus.url=prometheus:9090", "does not match pattern", id="an address without a scheme"),
        pytest.param("evaluationSeconds=0", "minimum", id="no time between evaluations"),
        pytest.param("prometheusRule.windows={90x}", "does not match pattern", id="a window without a unit"),
        pytest.param("prometheusRule.windows=null", "at least one window", id="no window"),
        pytest.param(
            "alertmanagerConfig.enabled=true,webhook.enabled=false", "pushes need webhook.enabled", id="no door"
        ),
        pytest.param("webhook.token=short", "does not match pattern", id="a token that is easily guessed"),
        pytest.param("scrapeInterval=1m", "2m is less than four scrape intervals of 1m", id="windows of two scrapes"),
        pytest.param(
            "prometheusRule.windows={1h,3s}", "3s is less than four scrape", id="a short window behind a long one"
        ),
    ],
)
def test_a_wrong_value_is_refused_with_a_sentence(settings: str, sentence: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        chart.render("--set", settings)
    assert sentence in refused.value.stderr


def test_every_value_is_in_the_schema() -> None:
    """A value without a schema would be refused, and one without a default never be documented."""
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text())
    schema = yaml.safe_load((chart.CHART / "values.schema.json").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}
    for name, block in values.items():
        described = schema["properties"][name]
        reference = described.get("$ref", "").rpartition("/")[2]
        described = schema["definitions"][reference] if reference else described
        if isinstance(block, dict) and "properties" in described:
            assert set(block) == set(described["properties"]), name
            assert described["additionalProperties"] is False


# ---- files for people without Helm


def test_install_yaml_makes_a_restricted_namespace_first_and_holds_no_secret() -> None:
    objects = list(yaml.safe_load_all(chart.make_install_file()))
    assert objects[0]["kind"] == "Namespace"
    assert objects[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert not [one for one in objects if one and one["kind"] == "Secret"]
    assert chart.make_install_file() == chart.make_install_file()


SAMPLES = sorted((chart.ROOT / "manifests" / "samples").glob("*.yaml"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_sample_is_valid_and_says_what_it_shows(path: Path) -> None:
    text = path.read_text()
    objects = list(yaml.safe_load_all(text))
    assert text.startswith("# ")
    for one in objects:
        if one["kind"] == names.KIND:
            assert one["apiVersion"] == names.API_VERSION
            v1alpha1.Spec.model_validate(one["spec"])
