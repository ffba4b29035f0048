"""Installs Serin with Helm, as a user would: the chart of this checkout with an image built from it."""

from collections.abc import Mapping
from typing import Any

from serin_demo import ground
from serin_local import errors, progress, release
from serin_local.release import CHART, NAMESPACE, RELEASE, ROOT

__all__ = ["CHART", "NAMESPACE", "RELEASE", "ROOT", "install", "make_values", "require_checkout", "uninstall"]

# Evidence of seconds for steps of seconds; production keeps the chart's own values.
FAST_VALUES: Mapping[str, Any] = {
    "scrapeInterval": "1s",
    "evaluationSeconds": 1,
    "prometheusRule": {"interval": "1s", "windows": ["10s", "1m"]},
}


def require_checkout() -> None:
    """Check that this runs from a checkout, which has the chart and the Dockerfile that a wheel has not.

    Raises:
        errors.ClusterError: it does not.
    """
    if not release.is_checkout():
        problem = f"no Dockerfile and chart in {ROOT}"
        raise errors.ClusterError(
            "find the sources", problem, "run it in a checkout of Serin's repository: `make demo`"
        )


def make_values(where: ground.Ground, parts: Mapping[str, str]) -> dict[str, Any]:
    """Make the chart's values for a demo on this cluster; `parts` are the published images of operator and registry."""
    rules = {**FAST_VALUES["prometheusRule"], **where.values.get("prometheusRule", {})}
    registry = parts[release.REGISTRY.image]
    return {
        **FAST_VALUES,
        **where.values,
        "prometheusRule": rules,
        "image": release.make_image_values(parts[release.OPERATOR.image]),
        "prometheus": {"url": where.prometheus_url},
        "registry": release.make_registry_values(registry, where.gateway.namespace, where.gateway.name),
    }


def install(where: ground.Ground, parts: Mapping[str, str], shown: progress.Progress) -> None:
    """Install or upgrade the chart and wait until all of it is ready.

    Raises:
        errors.ClusterError: Helm failed; with the end of what it said.
    """
    with shown.step("install Serin with Helm"):
        release.Helm(where.helm, where.kubeconfig).install(make_values(where, parts))


def uninstall(where: ground.Ground, shown: progress.Progress) -> None:
    """Remove the release; its CRD stays, as Helm's do.

    Raises:
        errors.ClusterError: Helm failed.
    """
    with shown.step("uninstall Serin"):
        release.Helm(where.helm, where.kubeconfig).uninstall()
