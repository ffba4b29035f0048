"""What runs in the cluster from the start: DNS, the gateway, Prometheus and Alertmanager."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import string
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from . import api, builds, errors, plan, store, versions
from .images import SystemImage
from .layout import Layout
from .progress import Progress

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

MANIFESTS = versions.ROOT / "manifests"
READY_SECONDS = 120.0
POLL_SECONDS = 0.1
ADVICE = "look with `kubectl get pods -A` and `kubectl describe`; `serin local up --wipe` starts from nothing"
MONITORING_CRDS = (
    "alertmanagerconfigs",
    "alertmanagers",
    "podmonitors",
    "probes",
    "prometheuses",
    "prometheusrules",
    "scrapeconfigs",
    "servicemonitors",
)
"""Agents and Thanos are left out: the operator does without, and half a megabyte each is slow to apply."""


@dataclasses.dataclass(frozen=True)
class Addon:
    """One add-on: files to apply in order (each list at once), and what shows that it is ready.

    `pods` are the beginnings of its pods' names: where objects were kept, conditions alone are yesterday's.
    """

    name: str
    stages: tuple[pathlib.Path, ...]
    ready: tuple[Wanted, ...]
    namespace: str
    pods: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """An object of the API server, and the condition of it that must be true."""

    path: str
    condition: str


class _Loader(yaml.CSafeLoader):
    """The safe loader, taking a bare `=` for text, as YAML 1.2 and every Kubernetes program do."""


def _text(_: yaml.CSafeLoader, node: yaml.ScalarNode) -> str:
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:value", _text)


def make_variables(pins: versions.Versions, images: Mapping[str, SystemImage]) -> dict[str, str]:
    """What the manifests leave open."""
    return {
        "coredns_image": images["coredns"].reference,
        "envoy_image": images["envoy"].reference,
        "gateway_image": images["envoy-gateway"].reference,
        "operator_image": images["prometheus-operator"].reference,
        "reloader_image": images["prometheus-config-reloader"].reference,
        "prometheus_image": images["prometheus"].reference,
        "prometheus_version": pins.prometheus.version,
        "alertmanager_image": images["alertmanager"].reference,
        "alertmanager_version": pins.alertmanager,
        "dns_address": plan.DNS_ADDRESS,
        "dns_domain": plan.DNS_DOMAIN,
        "gateway_class": plan.GATEWAY_CLASS,
        "gateway_name": plan.GATEWAY_NAME,
        "gateway_namespace": plan.GATEWAY_NAMESPACE,
        "envoy_namespace": plan.ENVOY_NAMESPACE,
        "monitoring_namespace": plan.MONITORING_NAMESPACE,
    }


def fill(text: str, variables: Mapping[str, str]) -> str:
    """A manifest with its `${names}` filled in. Raises `KeyError` for one that nobody knows."""
    return string.Template(text).substitute(variables)


def make_key(pins: versions.Versions, variables: Mapping[str, str]) -> str:
    """The hash of all that decides what is applied."""
    parts = [f"{name}={value}" for name, value in sorted(variables.items())]
    modules = [pins.envoy_gateway.required, pins.prometheus_operator.required, pins.helm.required]
    own = [file for file in MANIFESTS.iterdir() if file.suffix == ".yaml"]
    return store.make_key_of_files([*own, pathlib.Path(__file__)], *parts, *modules)


def ensure(
    layout: Layout, pins: versions.Versions, variables: Mapping[str, str], helm: pathlib.Path, progress: Progress
) -> pathlib.Path:
    """The folder of everything that is applied, rendered unless it is there. Raises `ClusterError`."""

    def make(draft: pathlib.Path) -> None:
        with progress.step("render the add-ons"):
            for file in ("coredns", "gateway", "prometheus-operator", "monitoring"):
                text = fill((MANIFESTS / f"{file}.yaml").read_text(), variables)
                _write(draft / f"{file}.json", yaml.load_all(text, _Loader))
            _render_gateway(layout, pins, variables, helm, draft)
            _render_monitoring(layout, pins, draft)

    return store.ensure(layout, "addons", make_key(pins, variables), make)


def _render_gateway(
    layout: Layout, pins: versions.Versions, variables: Mapping[str, str], helm: pathlib.Path, draft: pathlib.Path
) -> None:
    part = pins.envoy_gateway
    module = builds.locate_module(layout, "envoy-gateway", part.module)
    chart = draft / "chart"
    # What comes out of go's module cache is read-only.
    shutil.copytree(module / "charts" / "gateway-helm", chart, copy_function=shutil.copyfile)
    for folder in [chart, *chart.rglob("*/")]:
        folder.chmod(0o755)
    template = (chart / "values.tmpl.yaml").read_text()
    opened = {"GatewayImage": variables["gateway_image"], "GatewayImagePullPolicy": "IfNotPresent"}
    (chart / "values.yaml").write_text(fill(template, opened))
    values = draft / "values.yaml"
    values.write_text(fill((MANIFESTS / "envoy-gateway-values.yaml").read_text(), variables))
    argv = [str(helm), "template", "eg", str(chart), "-n", plan.ENVOY_NAMESPACE, "--include-crds", "-f", str(values)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise errors.ClusterError(
            "render the add-ons", f"helm: {done.stderr.strip()}", "helm and the chart do not fit: see versions.toml"
        )
    objects = [item for item in yaml.load_all(done.stdout, _Loader) if item]
    shutil.rmtree(chart)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": plan.ENVOY_NAMESPACE}}
    _write(draft / "gateway-crds.json", [without_descriptions(item) for item in objects if is_definition(item)])
    _write(draft / "envoy-gateway.json", [namespace, *(item for item in objects if not is_definition(item))])


def _render_monitoring(layout: Layout, pins: versions.Versions, draft: pathlib.Path) -> None:
    module = builds.locate_module(layout, "prometheus-operator", pins.prometheus_operator.module)
    folder = module / "example" / "prometheus-operator-crd"
    files = [folder / f"monitoring.coreos.com_{name}.yaml" for name in MONITORING_CRDS]
    loaded = [item for file in files for item in yaml.load_all(file.read_text(), _Loader) if item]
    _write(draft / "monitoring-crds.json", [without_descriptions(item) for item in loaded])


def is_definition(item: Mapping[str, Any]) -> bool:
    """Whether an object is a CustomResourceDefinition."""
    return bool(item.get("kind") == "CustomResourceDefinition")


def without_descriptions(item: Json) -> Json:
    """A definition without the descriptions in its schema: two thirds of what the API server would have to carry.

    A property that is called `description` is a table, a description is text, so that the two cannot be mistaken.
    """
    if isinstance(item, dict):
        kept = {k: v for k, v in item.items() if not (k == "description" and isinstance(v, str))}
        return {key: without_descriptions(value) for key, value in kept.items()}
    if isinstance(item, list):
        return [without_descriptions(value) for value in item]
    return item


def _write(target: pathlib.Path, items: Iterable[Any]) -> None:
    target.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [item for item in items if item]}))


def make_addons(folder: pathlib.Path) -> tuple[Addon, ...]:
    """Every add-on. They do not need one another, so that all are applied at the same time."""
    deployment = "/apis/apps/v1/namespaces/{}/deployments/{}".format
    monitored = f"/apis/monitoring.coreos.com/v1/namespaces/{plan.MONITORING_NAMESPACE}"
    gateways = f"/apis/gateway.networking.k8s.io/v1/namespaces/{plan.GATEWAY_NAMESPACE}/gateways"
    return (
        Addon(
            "DNS",
            (folder / "coredns.json",),
            (Wanted(deployment("kube-system", "coredns"), "Available"),),
            "kube-system",
            ("coredns-",),
        ),
        Addon(
            "gateway",
            (folder / "gateway-crds.json", folder / "envoy-gateway.json", folder / "gateway.json"),
            (
                Wanted(deployment(plan.ENVOY_NAMESPACE, "envoy-gateway"), "Available"),
                Wanted(f"{gateways}/{plan.GATEWAY_NAME}", "Programmed"),
            ),
            plan.ENVOY_NAMESPACE,
            ("envoy-gateway-", f"envoy-{plan.GATEWAY_NAMESPACE}-{plan.GATEWAY_NAME}-"),
        ),
        Addon(
            "monitoring",
            (folder / "monitoring-crds.json", folder / "prometheus-operator.json", folder / "monitoring.json"),
            (
                Wanted(f"{monitored}/prometheuses/prometheus", "Available"),
                Wanted(f"{monitored}/alertmanagers/alertmanager", "Available"),
            ),
            plan.MONITORING_NAMESPACE,
            ("prometheus-operator-", "prometheus-prometheus-", "alertmanager-alertmanager-"),
        ),
    )


def start(layout: Layout, kubectl: pathlib.Path, folder: pathlib.Path, progress: Progress, since: str) -> None:
    """Apply every add-on that the API server does not hold yet, and wait until all are ready.

    `since` is when this start began (RFC 3339, UTC): older containers are an earlier cluster's. Raises `ClusterError`.
    """
    applied = layout.applied.read_text() if layout.applied.exists() else ""
    addons = make_addons(folder)

    def start_one(addon: Addon) -> None:
        with progress.step(f"start {addon.name}"):
            for stage in addon.stages if applied != folder.name else ():
                _apply(layout, kubectl, addon.name, stage)
            log = layout.log / f"{addon.name}.log"
            try:
                wait_for(f"start {addon.name}", lambda: find_unready(layout, addon, since))
            except errors.ClusterError as error:
                _write_report(layout, kubectl, addon, log)
                raise errors.ClusterError(error.step, error.problem, error.advice, log) from error

    with concurrent.futures.ThreadPoolExecutor(len(addons)) as pool:
        list(pool.map(start_one, addons))
    layout.applied.write_text(folder.name)


def _write_report(layout: Layout, kubectl: pathlib.Path, addon: Addon, log: pathlib.Path) -> None:
    """Write what the API server knows of an add-on's pods into its log: their states, events and last lines."""
    environment = {**os.environ, "KUBECONFIG": str(layout.kubeconfig)}
    texts = []
    for words in (
        ("logs", "--all-containers", "--prefix", "--tail=4", "--selector=!none"),
        ("get", "events", "--sort-by=.lastTimestamp"),
        ("get", "pods"),
    ):
        argv = [str(kubectl), "-n", addon.namespace, *words]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        texts.append("\n".join((done.stdout + done.stderr).splitlines()[-5:]))
    log.write_text("\n".join(texts))


def find_unready(layout: Layout, addon: Addon, since: str) -> str:
    """What of an add-on is not ready, as a sentence; empty when all is."""
    for wanted in addon.ready:
        if problem := find_false(layout, wanted.path, wanted.condition):
            return problem
    pods = (api.get(layout, f"/api/v1/namespaces/{addon.namespace}/pods") or {}).get("items", [])
    fresh = [pod["metadata"]["name"] for pod in pods if is_fresh(pod, since)]
    late = [prefix for prefix in addon.pods if not any(name.startswith(prefix) for name in fresh)]
    return f"no pod {', '.join(f'{prefix}…' for prefix in late)} in {addon.namespace} is ready" if late else ""


def is_fresh(pod: Mapping[str, Any], since: str) -> bool:
    """Whether a pod is ready and all of its containers started after `since` (RFC 3339 in UTC sorts as text)."""
    states = [row.get("state", {}) for row in pod.get("status", {}).get("containerStatuses", [])]
    started = [state.get("running", {}).get("startedAt", "") for state in states]
    return is_true(pod, "Ready") and bool(started) and min(started) >= since


def _apply(layout: Layout, kubectl: pathlib.Path, name: str, stage: pathlib.Path) -> None:
    environment = {**os.environ, "KUBECONFIG": str(layout.kubeconfig)}
    argv = [str(kubectl), "apply", "--server-side", "--force-conflicts", "-f", str(stage)]
    store.execute(layout, f"apply {name}", argv, ADVICE, env=environment)
    definitions = [item["metadata"]["name"] for item in json.loads(stage.read_text())["items"] if is_definition(item)]
    for definition in definitions:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition}"
        wait_for(f"apply {name}", functools.partial(find_false, layout, path, "Established"))


def is_true(item: Mapping[str, Any] | None, condition: str) -> bool:
    """Whether a condition of an object is true, and of its present generation where it tells one."""
    if item is None:
        return False
    generation = item["metadata"].get("generation")
    found = [row for row in item.get("status", {}).get("conditions") or [] if row["type"] == condition]
    return any(row["status"] == "True" and row.get("observedGeneration", generation) == generation for row in found)


def find_false(layout: Layout, path: str, condition: str) -> str:
    """That a condition of an object is not true, as a sentence; empty when it is."""
    return "" if is_true(api.get(layout, path), condition) else f"{path} is not {condition}"


def wait_for(
    step: str, find: Callable[[], str], seconds: float = READY_SECONDS, log: pathlib.Path | None = None
) -> None:
    """Wait until `find` finds nothing. Raises `ClusterError` with what it still finds after `seconds`."""
    deadline = time.monotonic() + seconds
    while problem := find():
        if time.monotonic() > deadline:
            raise errors.ClusterError(step, f"{problem} after {seconds:.0f} s", ADVICE, log)
        time.sleep(POLL_SECONDS)
