"""A cluster of the user's own: nothing is installed there but the chart, so everything else is looked for first.

What is missing is told in one go, each with what to do about it, before anything is built or changed.
"""

import contextlib
import functools
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serin_demo import api, ground, story, watch
from serin_local import errors, progress, release
from serin_services.image import engines
from serin_services.package import errors as package_errors

STEP = "look at the cluster"


@dataclass(frozen=True)
class Wishes:
    """What the user said on the command line; empty where it is to be found out."""

    registry: str = ""
    kubeconfig: Path | None = None
    gateway: str = ""
    """namespace/name"""
    address: str = ""
    prometheus: str = ""
    """namespace/service or namespace/service:port"""


def prepare(wishes: Wishes, shown: progress.Progress) -> ground.Ground:
    """Look for all that the demo needs.

    Raises:
        errors.ClusterError: with everything that is missing.
    """
    with shown.step(STEP):
        try:
            cluster = api.Api.connect(wishes.kubeconfig)
            found = [*_find_missing_apis(cluster), *_find_missing_tools(wishes)]
            if found:
                raise _missing(found)
            gateway = _choose_gateway(cluster, wishes)
            prometheus = _choose_prometheus(cluster, wishes)
        except api.ApiError as error:
            raise errors.ClusterError(
                STEP, str(error), "check the kubeconfig and its context: `kubectl get nodes`"
            ) from error
    return ground.Ground(
        cluster=cluster,
        kubeconfig=wishes.kubeconfig,
        helm=Path(shutil.which("helm") or "helm"),
        gateway=story.Gateway(gateway["metadata"]["namespace"], gateway["metadata"]["name"]),
        address=wishes.address or _find_address(gateway),
        prometheus=prometheus,
        engine="auto",
        publish=functools.partial(push, wishes.registry),
        reach_registry=functools.partial(forward_registry, wishes.kubeconfig),
        values=_make_values(cluster, prometheus),
    )


def _missing(found: Sequence[str]) -> errors.ClusterError:
    lines = "".join(f"\n  - {problem}" for problem in found)
    return errors.ClusterError(
        STEP, f"the demo cannot run on it:{lines}", "`make demo` without CLUSTER brings its own cluster"
    )


_APIS = {
    "gateway.networking.k8s.io/v1": "no Gateway API; install an implementation, for example Envoy Gateway",
    "monitoring.coreos.com/v1": "no prometheus-operator; install one, for example with kube-prometheus-stack",
}


def _find_missing_apis(cluster: api.Api) -> list[str]:
    return [problem for group, problem in _APIS.items() if cluster.get(f"/apis/{group}") is None]


def _find_missing_tools(wishes: Wishes) -> list[str]:
    found = []
    if not wishes.registry:
        found.append("no registry that the nodes can pull from; give one: REGISTRY=registry.example/team")
    if shutil.which("helm") is None:
        found.append("no `helm` on the path; install Helm 3.8 or newer")
    if shutil.which("kubectl") is None:
        found.append("no `kubectl` on the path, by which the registry is reached; install it")
    try:
        engines.find_engine("auto")
    except package_errors.PackageError as error:
        found.append(error.message)
    return found


def _choose_gateway(cluster: api.Api, wishes: Wishes) -> dict[str, Any]:
    listed = cluster.get("/apis/gateway.networking.k8s.io/v1/gateways") or {}
    known = {f"{one['metadata']['namespace']}/{one['metadata']['name']}": one for one in listed.get("items", [])}
    if wishes.gateway in known:
        return dict(known[wishes.gateway])
    if not wishes.gateway and len(known) == 1:
        return dict(next(iter(known.values())))
    names = ", ".join(sorted(known)) or "none"
    wanted = f"no Gateway {wishes.gateway!r}" if wishes.gateway else "not exactly one Gateway to choose"
    raise errors.ClusterError(
        STEP, f"{wanted}; there are: {names}", "give one that takes routes of all namespaces: --gateway NAMESPACE/NAME"
    )


def _find_address(gateway: dict[str, Any]) -> str:
    addresses = (gateway.get("status") or {}).get("addresses") or []
    if not addresses:
        name = gateway["metadata"]["name"]
        raise errors.ClusterError(
            STEP, f"Gateway {name} has no address yet", "give one that this machine reaches: --address HOST:PORT"
        )
    ports = [one["port"] for one in gateway["spec"]["listeners"] if one["protocol"] == "HTTP"]
    if not ports:
        name = gateway["metadata"]["name"]
        raise errors.ClusterError(
            STEP, f"Gateway {name} has no HTTP listener", "give a Gateway that has one: --gateway NAMESPACE/NAME"
        )
    return f"{addresses[0]['value']}:{ports[0]}"


def _choose_prometheus(cluster: api.Api, wishes: Wishes) -> watch.Prometheus:
    if wishes.prometheus:
        namespace, _, service = wishes.prometheus.partition("/")
        name, _, port = service.partition(":")
        return watch.Prometheus(namespace, name, int(port or 9090))
    listed = cluster.get("/api/v1/services", labelSelector="operated-prometheus=true") or {}
    found = [one["metadata"] for one in listed.get("items", [])]
    if len(found) == 1:
        return watch.Prometheus(found[0]["namespace"], found[0]["name"])
    names = ", ".join(sorted(f"{one['namespace']}/{one['name']}" for one in found)) or "none"
    raise errors.ClusterError(
        STEP, f"not exactly one Prometheus to choose; there are: {names}", "give one: --prometheus NAMESPACE/SERVICE"
    )


# What the Prometheus object calls each selector, and the chart's values that bear the labels for it.
_SELECTORS = {"serviceMonitor": "serviceMonitor", "podMonitor": "podMonitor", "rule": "prometheusRule"}


def _make_values(cluster: api.Api, prometheus: watch.Prometheus) -> dict[str, Any]:
    """Give the chart's objects the labels that this Prometheus selects by.

    Raises:
        errors.ClusterError: it looks only into namespaces that Serin's is not among.
    """
    listed = cluster.get(f"/apis/monitoring.coreos.com/v1/namespaces/{prometheus.namespace}/prometheuses") or {}
    specs = [one["spec"] for one in listed.get("items", [])]
    if len(specs) != 1:
        return {}
    values = {}
    for selector, value in _SELECTORS.items():
        if specs[0].get(f"{selector}NamespaceSelector") is None:
            problem = f"Prometheus takes {value} objects of its own namespace only"
            raise errors.ClusterError(STEP, problem, f"set {selector}NamespaceSelector: {{}} in the Prometheus object")
        labels = (specs[0].get(f"{selector}Selector") or {}).get("matchLabels")
        if labels:
            values[value] = {"labels": labels}
    return values


def push(registry: str, image: str) -> str:
    """Push a built image to the registry and give its name there.

    Raises:
        errors.ClusterError: the registry refuses it.
    """
    program = engines.find_engine("auto").program
    name = f"{registry.rstrip('/')}/{image}"
    for command in ([program, "tag", image, name], [program, "push", name]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-500:]
            advice = f"log in first (`{program} login {registry.partition('/')[0]}`) and check that you may push there"
            raise errors.ClusterError(f"push {image}", said, advice)
    return name


@contextlib.contextmanager
def forward_registry(kubeconfig: Path | None) -> Iterator[str]:
    """Forward a port of this machine to the registry, and give its URL.

    Raises:
        errors.ClusterError: kubectl does not forward it.
    """
    chosen = ["--kubeconfig", str(kubeconfig)] if kubeconfig else []
    target = ["-n", release.NAMESPACE, "port-forward", f"service/{release.REGISTRY_SERVICE}", ":http"]
    with subprocess.Popen(
        ["kubectl", *chosen, *target], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as forwarding:
        try:
            said = forwarding.stdout.readline() if forwarding.stdout else ""
            found = re.search(r"127\.0\.0\.1:(\d+)", said)
            if found is None:
                advice = f"look: `kubectl -n {release.NAMESPACE} get pods,services`"
                raise errors.ClusterError("reach the registry", said.strip() or "kubectl said nothing", advice)
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            forwarding.terminate()
