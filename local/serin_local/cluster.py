"""The local cluster: up, down and what it is like, for the command line, the demo and the tests."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import fcntl
import functools
import pathlib
from collections.abc import Iterator
from typing import Any

from . import (
    addons,
    api,
    builds,
    components,
    errors,
    images,
    layout,
    plan,
    preflight,
    preparation,
    processes,
    startup,
    store,
    teardown,
    versions,
)
from .progress import Progress


@dataclasses.dataclass(frozen=True)
class Tools:
    """Programs for people and tests, all of the versions that the cluster is of."""

    kubectl: pathlib.Path
    helm: pathlib.Path
    promtool: pathlib.Path


class Cluster:
    """The local cluster of this user. There is one; two of these objects speak of the same."""

    def __init__(self, place: layout.Layout | None = None, progress: Progress | None = None) -> None:
        self.layout = place or layout.default()
        self.progress = progress or Progress()
        self.pins = versions.load()

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The administrator's kubeconfig; it is there while the state of the cluster is."""
        return self.layout.kubeconfig

    @functools.cached_property
    def binaries(self) -> Tools:
        """The cluster's own kubectl, helm and promtool."""
        folder = self.binaries_folder
        return Tools(folder / "kubectl", folder / "helm", folder / "promtool")

    @property
    def binaries_folder(self) -> pathlib.Path:
        """A folder for the path, with the programs that people use."""
        return self.layout.binaries

    def up(self, wipe: bool = False) -> str:
        """Bring the cluster up: build what is missing, start what does not run, and wait until all of it is ready.

        Does nothing but look when it is up and well. Gives the moment of the start, before which containers are an earlier
        cluster's; empty when it ran already. Raises `ClusterError`.
        """
        with self._locked(), self.progress.shown():
            if not wipe and self._is_well():
                self.progress.say("✓ the cluster is up already")
                return ""
            artifacts = self.prepare()
            since = ""
            if wipe or not self._runs():
                self._clear(wipe)
                since = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                startup.start(self.layout, artifacts, self.progress)
            else:
                self._forget_addons(artifacts)
            self._start_addons(artifacts, since)
            return since

    def prepare(self) -> preparation.Artifacts:
        """Build and download what is missing, and start nothing. Raises `ClusterError`."""
        cold = not all(builds.is_built(self.layout, build) for build in builds.make_builds(self.pins))
        preflight.require(preflight.gather(self.layout, cold, self.pins.go_minimum))
        return preparation.prepare(self.layout, self.pins, self.progress)

    def down(self, wipe: bool = False) -> None:
        """Take the cluster down. Its objects are kept for the next `up` unless `wipe`; images are kept either way."""
        with self._locked(), self.progress.shown():
            with self.progress.step("take the cluster down"):
                teardown.take_down(self.layout)
            if wipe:
                teardown.wipe(self.layout)

    def load(self, image: str) -> str:
        """Load an image of buildah's store into the node, and return the name for pods. Raises `ClusterError`."""
        with self.progress.step(f"load {image}"):
            return images.load(image, self.layout)

    def gateway_address(self) -> str:
        """The address of the Gateway `public`, which this machine reaches on port 80. Raises `ClusterError`."""
        path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{plan.GATEWAY_NAMESPACE}/gateways/{plan.GATEWAY_NAME}"
        found = (self._object(path).get("status") or {}).get("addresses") or []
        if not found:
            raise errors.ClusterError("gateway", "the Gateway has no address", startup.ADVICE)
        return str(found[0]["value"])

    def gateway_url(self) -> str:
        """The URL of the Gateway `public`. Raises `ClusterError`."""
        return f"http://{self.gateway_address()}"

    def prometheus_url(self) -> str:
        """The URL of Prometheus, reached from this machine. Raises `ClusterError`."""
        return f"http://{self.service_address(plan.MONITORING_NAMESPACE, 'prometheus')}:9090"

    def alertmanager_url(self) -> str:
        """The URL of Alertmanager, reached from this machine. Raises `ClusterError`."""
        return f"http://{self.service_address(plan.MONITORING_NAMESPACE, 'alertmanager')}:9093"

    def service_address(self, namespace: str, name: str) -> str:
        """The ClusterIP of a Service, which this machine reaches through kube-proxy's rules. Raises `ClusterError`."""
        return str(self._object(f"/api/v1/namespaces/{namespace}/services/{name}")["spec"]["clusterIP"])

    def is_up(self) -> bool:
        """Whether every process runs, the node is ready, and the gateway and Prometheus are."""
        return self._is_well()

    def status(self) -> dict[str, Any]:
        """What the cluster is like, as `serin local status -o json` prints it. Memory is in bytes."""
        known = processes.read(self.layout)
        well = self._is_well()
        report: dict[str, Any] = {
            "up": well,
            "kubeconfig": str(self.kubeconfig),
            "binaries": str(self.binaries_folder),
            "components": [{"name": p.name, "pid": p.pid, "running": processes.alive(p)} for p in known],
            "memoryBytes": processes.memory(processes.marked(self.layout)),
            "home": str(self.layout.home),
            "kubernetes": self.pins.kubernetes.version,
        }
        if well:
            report["gateway"] = self.gateway_url()
            report["prometheus"] = self.prometheus_url()
            report["alertmanager"] = self.alertmanager_url()
        return report

    def _object(self, path: str) -> dict[str, Any]:
        found = api.get(self.layout, path)
        if found is None:
            raise errors.ClusterError("ask the API server", f"{path} is not there", startup.ADVICE)
        return found

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.layout.home.mkdir(parents=True, exist_ok=True)
        with (self.layout.home / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.progress.say("… another `serin local` is at work; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_well(self) -> bool:
        if not self._runs() or self.layout.applied.read_text() != self._addons_folder().name:
            return False
        if addons.find_false(self.layout, f"/api/v1/nodes/{plan.NODE}", "Ready"):
            return False
        return not any(addons.find_unready(self.layout, addon, "") for addon in addons.make_addons(pathlib.Path()))

    def _runs(self) -> bool:
        """Whether every process runs, of the versions that are pinned now, and the start of them was complete."""
        running = {process.name: process for process in processes.read(self.layout) if processes.alive(process)}
        if running.keys() != components.NAMES or not self.layout.complete.exists():
            return False
        kube = next(build for build in builds.make_builds(self.pins) if build.output == "kube")
        program = store.path(self.layout, kube.output, builds.make_key(kube)) / kube.output
        return processes.program(running["kube-apiserver"]) == program

    def _addons_folder(self) -> pathlib.Path:
        variables = addons.make_variables(self.pins, images.make_system_images(self.pins))
        return store.path(self.layout, "addons", addons.make_key(self.pins, variables))

    def _clear(self, wipe: bool) -> None:
        if teardown.is_needed(self.layout):
            with self.progress.step("take down what an earlier run left"):
                teardown.take_down(self.layout)
        # A first start that was cut short leaves half-made objects, and nothing that anybody wants.
        if wipe or not self.layout.applied.exists():
            teardown.wipe(self.layout)

    def _forget_addons(self, artifacts: preparation.Artifacts) -> None:
        """Have the add-ons of a running cluster applied again: they changed, or somebody changed them."""
        with self.progress.step("load the cluster's own images"):
            images.ensure_imported(self.layout, artifacts.archives)
        self.layout.applied.write_text("")

    def _start_addons(self, artifacts: preparation.Artifacts, since: str) -> None:
        kubectl = artifacts.folders.kube / "kubectl"
        addons.start(self.layout, kubectl, artifacts.rendered, self.progress, since)
        with self.progress.step("gateway, Prometheus and Alertmanager answer"):
            addons.wait_for("reach the services", self._find_unreachable)
        self.layout.complete.touch()

    def _find_unreachable(self) -> str:
        urls = (self.gateway_url(), f"{self.prometheus_url()}/-/ready", f"{self.alertmanager_url()}/-/ready")
        return next((f"{url} does not answer" for url in urls if not api.speaks(url)), "")
