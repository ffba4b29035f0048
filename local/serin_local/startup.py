"""Starting the cluster: files, network, processes in the order of their needs, then the node."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import time

from . import addons, api, components, configs, errors, images, network, pki, plan, preflight, processes
from .layout import Layout
from .preparation import Artifacts
from .progress import Progress

START_SECONDS = 60.0
ADVICE = "`serin local down` and `serin local up` start afresh; `up --wipe` forgets the objects too"

Job = concurrent.futures.Future[None]


def start(place: Layout, artifacts: Artifacts, progress: Progress) -> None:
    """Start every component, bring the cluster's own images over, and wait for the node. Raises `ClusterError`."""
    with progress.step("set up certificates, network and files"):
        _write_files(place, artifacts)
        network.set_up(place)
    wanted = components.make_components(place, artifacts.folders)
    path = f"{artifacts.folders.daemons}:{os.environ['PATH']}"
    with concurrent.futures.ThreadPoolExecutor(len(wanted) + 1) as pool:
        jobs: dict[str, Job] = {}
        for component in wanted:
            needed = [jobs[name] for name in component.after]
            jobs[component.name] = pool.submit(_start_one, place, component, path, needed, progress)
        loaded = pool.submit(_load_images, place, artifacts, jobs["containerd"], progress)
        for job in [*jobs.values(), loaded]:
            job.result()
    with progress.step("node ready"):
        node, log = f"/api/v1/nodes/{plan.NODE}", place.log / "kubelet.log"
        addons.wait_for("node ready", lambda: addons.find_false(place, node, "Ready"), log=log)


def _write_files(place: Layout, artifacts: Artifacts) -> None:
    for folder in (place.run / "cni", place.log, place.containerd, place.cluster / "pod-logs"):
        folder.mkdir(parents=True, exist_ok=True)
    pki.ensure(place.pki)
    stub, systemd = pathlib.Path("/etc/resolv.conf"), pathlib.Path("/run/systemd/resolve/resolv.conf")
    resolver = configs.choose_resolv_conf(stub.read_text(), systemd.exists())
    files = {
        place.run / "containerd.toml": configs.make_containerd(place, artifacts.folders, artifacts.pause_image),
        place.run / "cni" / "10-serin.conflist": configs.make_cni(place),
        place.run / "kubelet.yaml": configs.make_kubelet(place, resolver),
        place.kubeconfig: configs.make_kubeconfig(place.pki, "admin"),
    }
    for name, certificate in configs.KUBECONFIGS.items():
        files[place.run / f"{name}.conf"] = configs.make_kubeconfig(place.pki, certificate)
    for path, text in files.items():
        path.touch(mode=0o600)
        path.write_text(text)


def _load_images(place: Layout, artifacts: Artifacts, containerd: Job, progress: Progress) -> None:
    containerd.result()
    with progress.step("load the cluster's own images"):
        images.ensure_imported(place, artifacts.archives)


def _start_one(
    place: Layout, component: components.Component, path: str, needed: list[Job], progress: Progress
) -> None:
    for other in needed:
        other.result()
    with progress.step(f"start {component.name}"):
        process = processes.start(place, component, path)
        _await(place, component, process)


def _await(place: Layout, component: components.Component, process: processes.Process) -> None:
    step, log = f"start {component.name}", place.log / f"{component.name}.log"
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(place, component.ready):
        if not processes.alive(process):
            raise errors.ClusterError(step, "it ended by itself", ADVICE, log)
        if time.monotonic() > deadline:
            raise errors.ClusterError(step, f"it is not ready after {START_SECONDS:.0f} s", ADVICE, log)
        time.sleep(processes.POLL_SECONDS)


def _is_ready(place: Layout, check: components.Check) -> bool:
    return preflight.accepts(check.socket) if check.socket else api.answers(place, check.url)
