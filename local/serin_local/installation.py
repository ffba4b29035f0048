"""Serin in the local cluster: operator and registry from this checkout, put there by `serin local up` and kept up to date."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from serin_services.image import engines
from serin_services.package import errors as package_errors

from . import addons, api, errors, plan, release, store
from .cluster import Cluster

# On the pods: the hash of the chart that they came from.
CHART_ANNOTATION = "serin.dev/chart"
PARTS = (release.OPERATOR, release.REGISTRY)
_DEPLOYMENTS = f"/apis/apps/v1/namespaces/{release.NAMESPACE}/deployments"
_REGISTRY = release.REGISTRY_SERVICE
_ADDON = addons.Addon(
    "Serin",
    (),
    tuple(addons.Wanted(f"{_DEPLOYMENTS}/{name}", "Available") for name in (release.RELEASE, _REGISTRY)),
    release.NAMESPACE,
    (f"{release.RELEASE}-", f"{_REGISTRY}-"),
)


def ensure(cluster: Cluster, since: str) -> None:
    """Install Serin unless what this checkout would install runs already, and wait until it is ready.

    `since` is what `Cluster.up` gave: older containers are an earlier cluster's. Raises `ClusterError`.
    """
    if not release.is_checkout():
        cluster.progress.say("… Serin itself is installed from a checkout or with its chart; this is neither")
        return
    wanted, chart = {part.image: release.make_tag(part) for part in PARTS}, _hash_chart()
    with cluster.progress.shown():
        if _find_installed(cluster) != (wanted, chart):
            images = {part.image: _publish(cluster, part) for part in PARTS}
            with cluster.progress.step("install Serin"):
                release.Helm(cluster.binaries.helm, cluster.kubeconfig).install(make_values(images, chart))
        with cluster.progress.step("Serin ready"):
            addons.wait_for("start Serin", lambda: addons.find_unready(cluster.layout, _ADDON, since))
        write_token(cluster)


def make_values(images: dict[str, str], chart: str) -> dict[str, Any]:
    """Make the chart's values for the local cluster; the thresholds and times are the chart's own."""
    registry = release.make_registry_values(images[release.REGISTRY.image], plan.GATEWAY_NAMESPACE, plan.GATEWAY_NAME)
    return {
        "image": release.make_image_values(images[release.OPERATOR.image]),
        "prometheus": {"url": f"http://prometheus.{plan.MONITORING_NAMESPACE}.svc:9090"},
        "alertmanagerConfig": {"enabled": True},
        "podAnnotations": {CHART_ANNOTATION: chart},
        "registry": registry,
    }


def registry_url(cluster: Cluster) -> str:
    """The URL of the registry, which this machine reaches by its ClusterIP; empty where there is none."""
    found = api.get(cluster.layout, f"/api/v1/namespaces/{release.NAMESPACE}/services/{_REGISTRY}")
    return f"http://{found['spec']['clusterIP']}" if found else ""


def token_path(cluster: Cluster) -> pathlib.Path:
    """Where the token of the person who started the cluster is."""
    return cluster.layout.cluster / "registry-token"


def _find_installed(cluster: Cluster) -> tuple[dict[str, str], str]:
    """Give the tags of the images that run, by repository, and the hash of the chart that they came from."""
    found = (api.get(cluster.layout, _DEPLOYMENTS) or {}).get("items", [])
    templates = [item["spec"]["template"] for item in found]
    images = [container["image"] for template in templates for container in template["spec"]["containers"]]
    charts = {(template["metadata"].get("annotations") or {}).get(CHART_ANNOTATION, "") for template in templates}
    tags = {image.rpartition(":")[0].rpartition("/")[2]: image.rpartition(":")[2] for image in images}
    return tags, charts.pop() if len(charts) == 1 else ""


def _hash_chart() -> str:
    return store.make_key_of_files([file for file in release.CHART.rglob("*") if file.is_file()])[:16]


def _publish(cluster: Cluster, part: release.Part) -> str:
    try:
        with cluster.progress.step(f"build {part.image}"):
            name = release.build(part, engines.find_engine("buildah"), cluster.progress.say)
    except package_errors.PackageError as error:
        advice = "the lines above are the builder's own; `serin local up --bare` leaves Serin itself out"
        raise errors.ClusterError(f"build {part.image}", str(error), advice) from error
    return cluster.load(name)


def write_token(cluster: Cluster) -> None:
    """Sign a token for the person who started the cluster, with the secret that the chart drew. Raises `ClusterError`."""
    found = api.get(cluster.layout, f"/api/v1/namespaces/{release.NAMESPACE}/secrets/{release.REGISTRY_SECRET}")
    if found is None:
        raise errors.ClusterError(
            "sign a token", "the registry has no secret", "`serin local up --wipe` starts from nothing"
        )
    path = token_path(cluster)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(release.sign_token(found))
