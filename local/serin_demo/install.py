"""Installs Serin with Helm, as a user would: the chart of this checkout with an image built from it."""

import hashlib
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from serin_demo import ground
from serin_local import errors, progress

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "serin"
RELEASE = "serin"
NAMESPACE = "serin-system"
OPERATOR_IMAGE = "serin-operator"

# What an operator's image is made of, so that its tag changes when it must.
SOURCES = ("Dockerfile", "requirements/bootstrap.txt", "requirements/operator.txt", "operator/serin")
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
    if not (ROOT / "Dockerfile").is_file() or not CHART.is_dir():
        problem = f"no Dockerfile and chart in {ROOT}"
        raise errors.ClusterError(
            "find the sources", problem, "run it in a checkout of Serin's repository: `make demo`"
        )


def make_operator_tag() -> str:
    """Name the operator's image by the content that it is built from."""
    digest = hashlib.sha256()
    for file in sorted(_list_sources()):
        digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _list_sources() -> Iterable[Path]:
    for source in SOURCES:
        path = ROOT / source
        yield from (file for file in path.rglob("*.py")) if path.is_dir() else [path]


def make_values(where: ground.Ground, image: str) -> dict[str, Any]:
    """Make the chart's values for a demo on this cluster."""
    repository, _, tag = image.rpartition(":")
    rules = {**FAST_VALUES["prometheusRule"], **where.values.get("prometheusRule", {})}
    return {
        **FAST_VALUES,
        **where.values,
        "prometheusRule": rules,
        "image": {"repository": repository, "tag": tag},
        "prometheus": {"url": where.prometheus_url},
    }


def install(where: ground.Ground, image: str, shown: progress.Progress) -> None:
    """Install or upgrade the chart and wait until the operator is ready.

    Raises:
        errors.ClusterError: Helm failed; with the end of what it said.
    """
    with shown.step("install Serin with Helm"), tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
        yaml.safe_dump(make_values(where, image), values)
        values.flush()
        flags = ["--create-namespace", "--values", values.name, "--wait", "--timeout", "90s"]
        run_helm(where, ["upgrade", "--install", RELEASE, str(CHART), *flags])


def uninstall(where: ground.Ground, shown: progress.Progress) -> None:
    """Remove the release; its CRD stays, as Helm's do.

    Raises:
        errors.ClusterError: Helm failed.
    """
    with shown.step("uninstall Serin"):
        run_helm(where, ["uninstall", RELEASE, "--ignore-not-found", "--wait"])


def run_helm(where: ground.Ground, words: list[str]) -> None:
    """Run one Helm command on the release's namespace."""
    kubeconfig = ["--kubeconfig", str(where.kubeconfig)] if where.kubeconfig else []
    argv = [str(where.helm), *words, "--namespace", NAMESPACE, *kubeconfig]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1500:]
        advice = (
            f"look at its pods: `kubectl -n {NAMESPACE} get pods` and `kubectl -n {NAMESPACE} logs deploy/{RELEASE}`"
        )
        raise errors.ClusterError(f"helm {words[0]}", said, advice)
