"""The programs of the cluster, built from their Go modules at the committed versions and hashes."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import platform
import shutil
import subprocess

from . import errors, store, versions
from .layout import Layout
from .progress import Progress

SOURCES = versions.ROOT / "build"
GO_ADVICE = (
    "check the network and the disk; `go version` and `go env GOPROXY` say what go works with; then run it again"
)
COMPONENT_NAMES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")


@dataclasses.dataclass(frozen=True)
class Build:
    """One program: the folder with its go.mod, the package, and how it is linked."""

    output: str
    folder: str
    package: str = "."
    tags: str = ""
    values: tuple[str, ...] = ()
    links: tuple[str, ...] = ()

    @property
    def ldflags(self) -> str:
        """Linker flags: no debug tables, and the values that tell a program its own version."""
        return " ".join(["-s", "-w", *(f"-X {value}" for value in self.values)])


def make_builds(pins: versions.Versions) -> tuple[Build, ...]:
    """Every program, the ones that the node itself needs first."""
    major, minor, _ = pins.kubernetes.version.split(".")
    stamps = tuple(
        f"{package}.{name}={value}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for name, value in (("gitVersion", f"v{pins.kubernetes.version}"), ("gitMajor", major), ("gitMinor", minor))
    )
    prometheus, operator = pins.prometheus.module, pins.prometheus_operator.module
    # Clients of cloud providers are two thirds of Prometheus; this one only asks Kubernetes.
    discovery = "remove_all_sd,enable_kubernetes_sd"
    version = (f"github.com/prometheus/common/version.Version={pins.prometheus.version}",)
    return (
        Build("kube", "kube", values=stamps, links=COMPONENT_NAMES),
        Build("pause", "pause"),
        Build("coredns", "coredns"),
        Build("helm", "helm", f"{pins.helm.module}/cmd/helm", values=_helm_values(pins)),
        Build("envoy-gateway", "envoy-gateway", f"{pins.envoy_gateway.module}/cmd/envoy-gateway"),
        Build("prometheus-operator", "prometheus-operator", f"{operator}/cmd/operator"),
        Build("prometheus-config-reloader", "prometheus-operator", f"{operator}/cmd/prometheus-config-reloader"),
        Build("prometheus", "prometheus", f"{prometheus}/cmd/prometheus", discovery, version),
        Build("promtool", "prometheus", f"{prometheus}/cmd/promtool", discovery, version),
    )


def _helm_values(pins: versions.Versions) -> tuple[str, ...]:
    """Helm's own version, and the Kubernetes that charts are rendered for when no cluster is asked."""
    major, minor, _ = pins.kubernetes.version.split(".")
    utilities = f"{pins.helm.module}/pkg/chartutil.k8sVersion"
    return (
        f"{pins.helm.module}/internal/version.version=v{pins.helm.version}",
        f"{utilities}Major={major}",
        f"{utilities}Minor={minor}",
    )


def make_key(build: Build) -> str:
    """The hash of all that decides what comes out of a build, Go's version left out: any new enough one will do."""
    files = [file for file in (SOURCES / build.folder).iterdir() if file.name in {"go.mod", "go.sum", "main.go"}]
    return store.make_key_of_files(files, build.package, build.tags, build.ldflags, platform.machine())


def is_built(layout: Layout, build: Build) -> bool:
    """Whether the program is in the cache."""
    return store.path(layout, build.output, make_key(build)).is_dir()


def ensure(layout: Layout, build: Build, progress: Progress) -> pathlib.Path:
    """The folder that holds the program, built when it is not there. Raises `ClusterError` when go fails."""

    def make(draft: pathlib.Path) -> None:
        with progress.step(f"build {build.output}"):
            _compile(layout, build, draft)

    return store.ensure(layout, build.output, make_key(build), make)


def _compile(layout: Layout, build: Build, draft: pathlib.Path) -> None:
    source = copy_sources(layout, build.folder)
    argv = ["go", "build", "-mod=readonly", "-trimpath", "-ldflags", build.ldflags]
    argv += ["-tags", build.tags] if build.tags else []
    environment = {**os.environ, "CGO_ENABLED": "0"}
    step = f"build {build.output}"
    try:
        argv += ["-o", str(draft / build.output), build.package]
        store.execute(layout, step, argv, GO_ADVICE, cwd=source, env=environment)
    finally:
        shutil.rmtree(source)
    for link in build.links:
        (draft / link).symlink_to(build.output)


def copy_sources(layout: Layout, folder: str) -> pathlib.Path:
    """A copy of a committed module, so that no setting of go's writes into the tree. The caller removes it."""
    layout.work.mkdir(parents=True, exist_ok=True)
    target = layout.work / f"source-{folder}-{os.getpid()}"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(SOURCES / folder, target)
    return target


def locate_module(layout: Layout, folder: str, module: str) -> pathlib.Path:
    """The folder of a module in go's cache, checked against the committed hashes. Raises `ClusterError`."""
    source = copy_sources(layout, folder)
    try:
        done = subprocess.run(
            ["go", "mod", "download", "-json", module], cwd=source, capture_output=True, text=True, check=False
        )
    finally:
        shutil.rmtree(source)
    if done.returncode:
        problem = f"`go mod download {module}` ended with {done.returncode}: {done.stdout}{done.stderr}"
        raise errors.ClusterError(f"download {module}", problem, GO_ADVICE)
    return pathlib.Path(json.loads(done.stdout)["Dir"])
