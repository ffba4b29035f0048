"""What the chart renders for the registry: nothing by default, and otherwise no more rights and no more doors than it needs."""

import base64
import subprocess
from typing import Any

import pytest
import yaml

import chart
from serin.api import names
from serin_services.registry import settings
from serin_services.registry.records.rollouts import requests

Objects = list[dict[str, Any]]

ON = ("--set", "registry.enabled=true")
# A registry of several replicas, which keeps nothing itself.
TEAM_VALUES = (
    "registry.replicas=2",
    "registry.gateway=infra/public",
    "registry.tls.existingSecret=cert",
    "registry.database.existingSecret=db",
    "registry.database.owner=true",
    "registry.artifacts.location=s3://models",
    "registry.artifacts.endpoint=https://s3.example",
    "registry.artifacts.existingSecret=s3",
    "registry.artifacts.ca=true",
    "registry.artifacts.encryptionSecret=age",
    "registry.auth.algorithm=RS256",
    "registry.auth.issuer=https://id.example",
    "registry.auth.jwksUrl=https://id.example/jwks",
    "registry.settings.RATE=600/minute",
    "watchNamespaces={team-a,team-b}",
)
TEAM = (*ON, "--set", ",".join(TEAM_VALUES))


@pytest.fixture(scope="module")
def alone() -> Objects:
    return parts(chart.render(*ON))


@pytest.fixture(scope="module")
def team() -> Objects:
    return parts(chart.render(*TEAM))


def parts(objects: Objects) -> Objects:
    return [
        one for one in objects if one["metadata"].get("labels", {}).get("app.kubernetes.io/component") == "registry"
    ]


def find(objects: Objects, kind: str) -> dict[str, Any]:
    [found] = [one for one in objects if one["kind"] == kind]
    return found


def pod_of(objects: Objects) -> dict[str, Any]:
    spec: dict[str, Any] = find(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


def environment_of(objects: Objects) -> dict[str, str]:
    [container] = pod_of(objects)["containers"]
    return {one["name"].removeprefix(settings.PREFIX): one["value"] for one in container["env"]}


def test_there_is_no_registry_unless_it_is_asked_for() -> None:
    assert parts(chart.render()) == []


def test_each_setting_of_the_pod_is_one_of_the_registry(alone: Objects, team: Objects) -> None:
    known = {field.upper() for field in settings.Settings.model_fields}
    for objects in (alone, team):
        assert {name.removesuffix("_FILE") for name in environment_of(objects)} <= known


def test_alone_it_keeps_a_file_and_a_folder_on_a_volume_that_outlives_the_release(alone: Objects) -> None:
    environment = environment_of(alone)
    assert environment["DATABASE"] == "sqlite:////var/lib/serin/registry.db"
    assert environment["ARTIFACTS"] == "/var/lib/serin/artifacts"
    [data] = [volume for volume in pod_of(alone)["volumes"] if volume["name"] == "data"]
    assert data["persistentVolumeClaim"] == {"claimName": "serin-registry"}
    assert find(alone, "PersistentVolumeClaim")["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    spec = find(alone, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_for_a_team_it_keeps_nothing_in_the_pod(team: Objects) -> None:
    assert not [one for one in team if one["kind"] in {"PersistentVolumeClaim", "Secret"}]
    assert "strategy" not in find(team, "Deployment")["spec"]
    mounted = {
        volume["name"]: volume["secret"]["secretName"] for volume in pod_of(team)["volumes"] if "secret" in volume
    }
    assert mounted == {"database": "db", "store": "s3", "encryption": "age", "tls": "cert"}


def test_secrets_come_from_files_and_never_stand_in_the_pod(team: Objects) -> None:
    environment = environment_of(team)
    files = {name: value for name, value in environment.items() if name.endswith("_FILE")}
    assert files == {
        "DATABASE_FILE": "/run/serin/database/url",
        "DATABASE_OWNER_FILE": "/run/serin/database/owner",
        "S3_ACCESS_KEY_FILE": "/run/serin/store/access-key",
        "S3_SECRET_KEY_FILE": "/run/serin/store/secret-key",
        "ARTIFACTS_KEY_FILE": "/run/serin/encryption/identities",
    }
    assert environment["S3_CA"] == "/run/serin/store/ca.crt"
    assert not {"DATABASE", "S3_ACCESS_KEY", "S3_SECRET_KEY", "ARTIFACTS_KEY", "JWT_SECRET"} & set(environment)


def test_a_team_gets_the_settings_that_it_gives(team: Objects) -> None:
    environment = environment_of(team)
    expected = {
        "ARTIFACTS": "s3://models",
        "S3_ENDPOINT": "https://s3.example",
        "JWT_ALGORITHM": "RS256",
        "JWT_ISSUER": "https://id.example",
        "JWKS_URL": "https://id.example/jwks",
        "NAMESPACES": "team-a,team-b",
        "GATEWAY": "infra/public",
        "RATE": "600/minute",
        "CLUSTER": "in-cluster",
    }
    assert expected.items() <= environment.items()


def test_a_token_secret_is_drawn_and_long_enough(alone: Objects) -> None:
    secret = base64.b64decode(find(alone, "Secret")["data"]["secret"])
    assert len(secret) >= settings.LEAST_SECRET_BYTES
    assert secret != base64.b64decode(find(parts(chart.render(*ON)), "Secret")["data"]["secret"])


@pytest.mark.parametrize("kind", ["alone", "team"])
def test_it_meets_the_restricted_pod_security_standard(kind: str, request: pytest.FixtureRequest) -> None:
    pod = pod_of(request.getfixturevalue(kind))
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == names.SERVER_UID
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    kinds = {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]}
    assert kinds <= {"emptyDir", "secret", "persistentVolumeClaim"}


def grants(objects: Objects) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for role in objects
        if role["kind"] in {"Role", "ClusterRole"}
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_it_may_write_modeldeployments_and_read_whose_a_namespace_is_and_nothing_else(
    alone: Objects, team: Objects
) -> None:
    verbs = ("get", "list", "watch", "create", "patch")
    expected = {(names.GROUP, names.PLURAL, verb) for verb in verbs} | {("", "namespaces", "get")}
    assert grants(alone) == grants(team) == expected


def test_a_list_of_namespaces_takes_all_rights_elsewhere_away(team: Objects) -> None:
    assert not [one for one in team if one["kind"].startswith("ClusterRole")]
    roles = [one["metadata"]["namespace"] for one in team if one["kind"] == "Role"]
    bound = [one["metadata"]["namespace"] for one in team if one["kind"] == "RoleBinding"]
    assert roles == bound == ["team-a", "team-b"]


def test_the_service_and_its_monitor_find_the_registry_and_not_the_operator(alone: Objects) -> None:
    selector = find(alone, "Service")["spec"]["selector"]
    assert selector["app.kubernetes.io/component"] == "registry"
    assert selector.items() <= find(alone, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    [endpoint] = find(alone, "ServiceMonitor")["spec"]["endpoints"]
    ports = {port["name"]: port["targetPort"] for port in find(alone, "Service")["spec"]["ports"]}
    assert ports[endpoint["port"]] == "metrics"
    matched = find(alone, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert matched.items() <= find(alone, "Service")["metadata"]["labels"].items()


def test_probes_ask_over_tls_where_there_is_a_certificate(alone: Objects, team: Objects) -> None:
    for objects, scheme, port in ((alone, "HTTP", 80), (team, "HTTPS", 443)):
        [container] = pod_of(objects)["containers"]
        probes = [container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")]
        assert [(probe["path"], probe["scheme"]) for probe in probes] == [
            ("/livez", scheme),
            ("/livez", scheme),
            ("/readyz", scheme),
        ]
        assert find(objects, "Service")["spec"]["ports"][0]["port"] == port


def test_it_reaches_only_what_its_settings_name(alone: Objects, team: Objects) -> None:
    def egress(objects: Objects) -> set[int]:
        return {port["port"] for rule in find(objects, "NetworkPolicy")["spec"]["egress"] for port in rule["ports"]}

    assert egress(alone) == {53, 443, 6443}
    assert egress(team) == {53, 443, 6443, 5432, 9000}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        pytest.param("registry.replicas=2", "more than one needs registry.database.existingSecret", id="two writers of a file"),
        pytest.param("registry.artifacts.location=s3://x", "needs endpoint and existingSecret", id="a bucket nowhere"),
        pytest.param("registry.auth.algorithm=RS256", "needs the address of the issuer's keys", id="keys of nobody"),
        pytest.param("registry.auth.algorithm=none", "value must be one of", id="tokens that nobody signs"),
        pytest.param("registry.settings.JWT_SECRET=x", "invalid propertyName 'JWT_SECRET'", id="a secret in the pod"),
        pytest.param("registry.gateway=public", "does not match pattern", id="a gateway without its namespace"),
        pytest.param("registry.databse.url=x", "additional properties 'databse' not allowed", id="a misspelt block"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_a_sentence(values: str, sentence: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        chart.render(*ON, "--set", values)
    assert sentence in refused.value.stderr


def test_every_value_of_the_registry_is_in_the_schema() -> None:
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text())["registry"]
    schema = yaml.safe_load((chart.CHART / "values.schema.json").read_text())
    described = schema["properties"]["registry"]["properties"]
    assert set(values) == set(described)
    for name, block in values.items():
        if isinstance(block, dict) and "properties" in described[name]:
            assert set(block) == set(described[name]["properties"]), name


def test_the_registry_knows_the_operators_verbs() -> None:
    from serin.core.model import Verb  # noqa: PLC0415 - the operator's own; the registry may not import it

    assert [str(verb) for verb in requests.Verb] == [str(verb) for verb in Verb]
