"""Taking the cluster down: nothing that this home started or set up stays."""

from __future__ import annotations

import concurrent.futures
import pathlib
import shutil
import subprocess

from . import errors, images, network, preflight, processes
from .layout import Layout


def is_needed(place: Layout) -> bool:
    """Whether this home started anything: bridges and rules may be those of a cluster of another home."""
    return place.run.exists() or bool(processes.marked(place))


def take_down(place: Layout) -> None:
    """End every process and pod, and take bridges, rules, mounts and control groups away. Objects and images stay.

    Does nothing for a home that started nothing. Raises `ClusterError` when something stays mounted where files are
    to be removed.
    """
    if not is_needed(place):
        return
    known = {process.name: process for process in processes.read(place)}

    def stop(name: str, seconds: float) -> None:
        if name in known:
            processes.stop([known[name]], seconds)

    stop("kubelet", 5)  # first, or it starts again what goes
    for name in ("kube-proxy", "kube-scheduler", "kube-controller-manager"):
        stop(name, 5)
    # Before its clients in pods, whose connections would stay half open, and before etcd, without which it lingers.
    stop("kube-apiserver", 5)
    _remove_containers(place)
    stop("etcd", 10)
    stop("containerd", 10)
    processes.stop(processes.marked(place), 5)
    processes.stop(_pod_processes(), 1)
    network.take_down(place)
    _remove(place.run)
    _remove(place.work)


def wipe(place: Layout) -> None:
    """Remove the objects, keys and logs of a cluster that is down. Raises `ClusterError`, see `take_down`."""
    _remove(place.cluster)


def _remove(folder: pathlib.Path) -> None:
    mounts = network.mounts_below(pathlib.Path("/proc/self/mounts").read_text(), [folder])
    if mounts:
        # What is mounted there may be anybody's files.
        problem = f"still mounted: {', '.join(mounts)}"
        raise errors.ClusterError(f"remove {folder}", problem, "unmount them (`umount`), and run it again")
    if folder.exists():
        shutil.rmtree(folder)


def _pod_processes() -> list[processes.Process]:
    found = [(pid, processes.start_time(pid)) for pid in network.pod_processes()]
    return [processes.Process("pod", pid, started) for pid, started in found if started is not None]


def _remove_containers(place: Layout) -> None:
    if not place.socket.exists() or not preflight.accepts(place.socket):
        return
    ctr = images.ctr(place)
    listed = subprocess.run([*ctr, "containers", "ls", "-q"], capture_output=True, text=True, check=False)

    def remove(container: str) -> None:
        # What is gone already is no error, and what stays is found by its control group.
        subprocess.run([*ctr, "tasks", "rm", "-f", container], capture_output=True, check=False)
        subprocess.run([*ctr, "containers", "rm", container], capture_output=True, check=False)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(remove, listed.stdout.split()))
