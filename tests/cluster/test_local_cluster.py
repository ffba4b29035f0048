"""The local cluster as people use it: up, status, load, a pod that serves through the gateway, down without a trace."""

import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner

from serin_local import cli, cluster, images, layout, network, plan, processes

UP = (sys.executable, "-c", "from serin_local.cluster import Cluster; Cluster().up()")

MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: {namespace}, labels: {{app: web}}}}
spec:
  securityContext: {{runAsNonRoot: true, runAsUser: 65532, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
  - name: web
    image: {image}
    command: [python, -u, -m, http.server, "8080", --directory, /etc]
    ports: [{{name: http, containerPort: 8080}}]
    readinessProbe: {{httpGet: {{path: /hostname, port: 8080}}, periodSeconds: 1}}
    securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: {namespace}}}
spec: {{selector: {{app: web}}, ports: [{{name: http, port: 80, targetPort: http}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web, namespace: {namespace}}}
spec:
  parentRefs: [{{name: {gateway}, namespace: {gateway_namespace}}}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: /{namespace}}}}}]
    filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}}}]
    backendRefs: [{{name: web, port: 80}}]
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {{name: always, namespace: {namespace}}}
spec: {{groups: [{{name: always, rules: [{{alert: Always, expr: vector(1)}}]}}]}}
---
apiVersion: monitoring.coreos.com/v1alpha1
kind: AlertmanagerConfig
metadata: {{name: hook, namespace: {namespace}}}
spec:
  route: {{receiver: web}}
  receivers: [{{name: web, webhookConfigs: [{{url: "http://web.{namespace}:80/alerts"}}]}}]
"""


@pytest.fixture(scope="module")
def local() -> cluster.Cluster:
    made = cluster.Cluster()
    made.up()
    return made


def kubectl(local: cluster.Cluster, *words: str, stdin: str | None = None) -> str:
    environment = {**os.environ, "KUBECONFIG": str(local.kubeconfig)}
    argv = [str(local.binaries.kubectl), *words]
    return subprocess.run(argv, input=stdin, env=environment, capture_output=True, text=True, check=True).stdout


def until(fact: Callable[[], bool], seconds: float = 60) -> float:
    begin = time.monotonic()
    while not fact():
        assert time.monotonic() < begin + seconds, "it did not come true in time"
        time.sleep(0.1)
    return time.monotonic() - begin


def has_started(local: cluster.Cluster, component: str, before: set[int]) -> bool:
    """Say whether a component runs that is not one of those from before."""
    return any(process.name == component and process.pid not in before for process in processes.read(local.layout))


@pytest.fixture
def restricted(local: cluster.Cluster) -> Iterator[str]:
    name = f"local-{uuid.uuid4().hex[:8]}"
    kubectl(local, "create", "namespace", name)
    kubectl(local, "label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    kubectl(local, "delete", "namespace", name, "--wait=false")


def test_up_again_changes_nothing(local: cluster.Cluster) -> None:
    before = processes.read(local.layout)

    begin = time.monotonic()
    local.up()

    assert processes.read(local.layout) == before
    assert time.monotonic() - begin < 10


def test_status_tells_where_everything_is(local: cluster.Cluster) -> None:
    answer = CliRunner().invoke(cli.app, ["status", "-o", "json"])

    report = json.loads(answer.stdout)
    assert answer.exit_code == 0
    assert report["up"] is True
    assert all(row["running"] for row in report["components"])
    assert pathlib.Path(report["kubeconfig"]).is_file()
    assert all((pathlib.Path(report["binaries"]) / name).is_file() for name in ("kubectl", "helm", "promtool"))
    assert report["prometheus"] == local.prometheus_url()
    assert report["gateway"] == f"http://{local.gateway_address()}"


def test_programs_are_of_the_clusters_version(local: cluster.Cluster) -> None:
    versions = json.loads(kubectl(local, "version", "-o", "json"))

    wanted = f"v{local.pins.kubernetes.version}"
    assert (versions["clientVersion"]["gitVersion"], versions["serverVersion"]["gitVersion"]) == (wanted, wanted)


def test_a_restricted_pod_serves_through_the_gateway_and_gets_its_alert(
    local: cluster.Cluster, restricted: str
) -> None:
    image = local.load(images.base())
    gateway = {"gateway": plan.GATEWAY_NAME, "gateway_namespace": plan.GATEWAY_NAMESPACE}

    kubectl(local, "apply", "-f", "-", stdin=MANIFEST.format(namespace=restricted, image=image, **gateway))
    kubectl(local, "-n", restricted, "wait", "--for=condition=Ready", "pod/web", "--timeout=60s")

    url = f"http://{local.gateway_address()}/{restricted}/hostname"
    until(lambda: subprocess.run(["curl", "-sf", url], capture_output=True, check=False).returncode == 0)
    until(lambda: "POST /alerts" in kubectl(local, "-n", restricted, "logs", "web"))


def traces(place: layout.Layout) -> list[str]:
    """What a cluster that is down has left on the machine."""
    mounts = network.mounts_below(pathlib.Path("/proc/self/mounts").read_text(), [place.cluster, place.containerd])
    links = [name for name in (plan.NODE_BRIDGE, plan.POD_BRIDGE) if pathlib.Path("/sys/class/net", name).exists()]
    groups = [str(root / plan.CGROUP) for root in network.cgroup_roots() if (root / plan.CGROUP).exists()]
    rules = [network.make_cleanup(subprocess.check_output([f"{name}-save"], text=True)) for name in ("iptables",)]
    namespaces = subprocess.check_output(["ip", "netns", "list"], text=True).split()
    running = [process.name for process in processes.marked(place)]
    return [*mounts, *links, *groups, *(rule for rule in rules if rule), *namespaces, *running]


def kill_up(local: cluster.Cluster, component: str) -> None:
    """Begin `up`, and kill it as soon as it has started a component."""
    with subprocess.Popen(UP, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        # Those that the killed one before left behind are taken down first, and are no sign of this one.
        before = {process.pid for process in processes.read(local.layout)}
        until(functools.partial(has_started, local, component, before))
        killed.send_signal(signal.SIGKILL)


@pytest.mark.lifecycle
def test_its_objects_outlive_a_component_that_dies_a_down_and_ups_that_are_killed(local: cluster.Cluster) -> None:
    kubectl(local, "apply", "-f", "-", stdin='{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}}')
    scheduler = next(process for process in processes.read(local.layout) if process.name == "kube-scheduler")
    processes.stop([scheduler], seconds=5)
    assert not local.is_up()

    local.down()
    assert traces(local.layout) == []

    # Each gets further than the last, and finds what that one has left.
    for component in ("containerd", "kube-apiserver", "kube-proxy"):
        kill_up(local, component)
        assert not local.is_up(), "what the API server knows of pods is from before"

    local.up()
    assert local.is_up()
    assert kubectl(local, "get", "configmap", "kept", "-o", "name") == "configmap/kept\n"
    kubectl(local, "delete", "configmap", "kept")
