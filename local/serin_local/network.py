"""What the cluster adds to the machine's kernel and takes away again: bridges, firewall rules, control groups."""

from __future__ import annotations

import contextlib
import pathlib
import re
import subprocess
import time
from collections.abc import Iterable, Sequence

from . import errors, plan
from .layout import Layout

COMMENT = "serin-local"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
CNI_RESULTS = pathlib.Path("/var/lib/cni/results")
CONTAINER_LOGS = pathlib.Path("/var/log/containers")
DEVICE_PLUGINS = pathlib.Path("/var/lib/kubelet/device-plugins")
OTHERS_FOLDERS = tuple(
    pathlib.Path(folder)
    for folder in (
        CNI_RESULTS,
        CNI_RESULTS.parent,
        "/run/containerd/s",
        "/run/containerd/runc/k8s.io",
        "/run/containerd/runc",
        "/run/containerd",
        DEVICE_PLUGINS,
        DEVICE_PLUGINS.parent,
        CONTAINER_LOGS,
    )
)
"""Folders that containerd, its plugins and the kubelet make at fixed places; removed when nothing is left in them."""
FORWARD = pathlib.Path("/proc/sys/net/ipv4/ip_forward")
BRIDGE_FILTER = pathlib.Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
ADVICE = "run it as root on a machine (not in a container) whose kernel has bridges, veth and netfilter"


def _run(*argv: str, stdin: str | None = None) -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        problem = f"`{' '.join(argv)}` ended with {done.returncode}: {done.stderr.strip()}"
        raise errors.ClusterError("network", problem, ADVICE)
    return done.stdout


def _exists(link: str) -> bool:
    return pathlib.Path("/sys/class/net", link).exists()


def set_up(layout: Layout) -> None:
    """Give the node an address, let packets pass between pods, and make the control group. Raises `ClusterError`."""
    saved = layout.cluster / "ip_forward"
    if not saved.exists():
        saved.write_text(FORWARD.read_text())
    FORWARD.write_text("1")
    if not BRIDGE_FILTER.exists():
        # Where it is a module; where neither works, services reached from pods say so soon enough.
        with contextlib.suppress(errors.ClusterError, FileNotFoundError):
            _run("modprobe", "br_netfilter")
    if BRIDGE_FILTER.exists():
        BRIDGE_FILTER.write_text("1")
    if not _exists(plan.NODE_BRIDGE):
        # Not every kernel has dummy devices; a bridge without members carries an address as well.
        _run("ip", "link", "add", plan.NODE_BRIDGE, "type", "bridge")
        _run("ip", "address", "add", f"{plan.NODE_ADDRESS}/24", "dev", plan.NODE_BRIDGE)
    _run("ip", "link", "set", plan.NODE_BRIDGE, "up")
    _accept_forwarding()
    for root in cgroup_roots():
        (root / plan.CGROUP).mkdir(exist_ok=True)


def _accept_forwarding() -> None:
    # A machine with a container engine drops what it does not forward itself.
    rules = _run("iptables-save", "-t", "filter")
    if COMMENT in rules:
        return
    for direction in ("-i", "-o"):
        mark = ("-m", "comment", "--comment", COMMENT)
        _run("iptables", "-w", "-I", "FORWARD", direction, plan.POD_BRIDGE, *mark, "-j", "ACCEPT")


def cgroup_roots() -> list[pathlib.Path]:
    """The root of every control group hierarchy: one in version 2, one for each controller in version 1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [folder for folder in CGROUPS.iterdir() if (folder / "cgroup.procs").exists() and not folder.is_symlink()]


def make_cleanup(saved: str) -> str:
    """From what `iptables-save` says, the input of `iptables-restore --noflush` that takes the cluster's rules away.

    Ours are the chains of kube-proxy and the kubelet, the CNI chains of our pod network (its rules name it in a
    comment), and our own marked rules. Everything else stays.
    """
    output: list[str] = []
    for table, lines in _tables(saved):
        chains = _our_chains(lines)
        removals = [f"-D {line[3:]}" for line in lines if line.startswith("-A ") and _is_ours(line, chains)]
        if chains or removals:
            flush = [f"-F {chain}" for chain in chains]
            output += [f"*{table}", *removals, *flush, *(f"-X {chain}" for chain in chains), "COMMIT"]
    return "\n".join(output) + "\n" if output else ""


def _tables(saved: str) -> Iterable[tuple[str, list[str]]]:
    name, lines = "", list[str]()
    for line in saved.splitlines():
        if line.startswith("*"):
            name, lines = line[1:], []
        elif line == "COMMIT":
            yield name, lines
        else:
            lines.append(line)


def _our_chains(lines: Sequence[str]) -> list[str]:
    declared = [line[1:].split()[0] for line in lines if line.startswith(":")]
    jumps = [re.search(r"-j (CNI-\S+)", line) for line in lines if f'name: \\"{plan.POD_NETWORK}\\"' in line]
    networks = {jump[1] for jump in jumps if jump}
    return [chain for chain in declared if chain.startswith("KUBE-") or chain in networks]


def _is_ours(line: str, chains: Sequence[str]) -> bool:
    words = line.split()
    if words[1] in chains:  # goes when its chain is flushed
        return False
    target = words[words.index("-j") + 1] if "-j" in words else ""
    return target in chains or f"--comment {COMMENT}" in line


def take_down(layout: Layout) -> None:
    """Take away all that the cluster added to the kernel. What is gone already is no error."""
    for family in ("iptables", "ip6tables"):
        cleanup = make_cleanup(_run(f"{family}-save"))
        if cleanup:
            _run(f"{family}-restore", "--noflush", "-w", stdin=cleanup)
    _unmount([layout.cluster, layout.containerd])
    for link in (plan.POD_BRIDGE, plan.NODE_BRIDGE):
        if _exists(link):
            _run("ip", "link", "delete", link)
    saved = layout.cluster / "ip_forward"
    if saved.exists():
        FORWARD.write_text(saved.read_text())
        saved.unlink()
    remove_cgroups()
    _remove_files(layout)
    for folder in OTHERS_FOLDERS:
        with contextlib.suppress(OSError):  # not there, or another program's files are in it
            folder.rmdir()


def _remove_files(layout: Layout) -> None:
    """Remove the files that the kubelet and the CNI plugins leave at fixed places, those of our pods only."""
    for result in CNI_RESULTS.glob(f"{plan.POD_NETWORK}-*-eth0"):
        sandbox = result.name.removeprefix(f"{plan.POD_NETWORK}-").removesuffix("-eth0")
        (CNI_RESULTS / f"cni-loopback-{sandbox}-lo").unlink(missing_ok=True)
        result.unlink()
    for link in CONTAINER_LOGS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(layout.cluster):
            link.unlink()
    # Nobody listens there any more: the ports of a second kubelet would have been in the way.
    (DEVICE_PLUGINS / "kubelet.sock").unlink(missing_ok=True)


def mounts_below(table: str, folders: Sequence[pathlib.Path]) -> list[str]:
    """The mount points of a mount table that lie below some folders, the innermost first."""
    points = [line.split()[1] for line in table.splitlines()]
    return sorted(
        (point for point in points if any(pathlib.Path(point).is_relative_to(f) for f in folders)), reverse=True
    )


def _unmount(folders: Sequence[pathlib.Path]) -> None:
    for point in mounts_below(pathlib.Path("/proc/self/mounts").read_text(), folders):
        # Lazily, for a process that is just going may still stand in it.
        subprocess.run(["umount", "-l", point], capture_output=True, check=False)


def pod_processes() -> list[int]:
    """Ids of the processes in the cluster's control groups: those of pods."""
    ids: set[int] = set()
    for root in cgroup_roots():
        for folder in _below(root / plan.CGROUP):
            with contextlib.suppress(OSError):
                ids.update(int(word) for word in (folder / "cgroup.procs").read_text().split())
    return sorted(ids)


def _below(root: pathlib.Path) -> list[pathlib.Path]:
    """A control group and all below it, the innermost first."""
    if not root.is_dir():
        return []
    return sorted((folder for folder in [root, *root.rglob("*")] if folder.is_dir()), reverse=True)


def remove_cgroups(seconds: float = 5) -> None:
    """Remove the cluster's control groups. One whose last process is still going is tried again for a while."""
    deadline = time.monotonic() + seconds
    while True:
        folders = [folder for root in cgroup_roots() for folder in _below(root / plan.CGROUP)]
        for folder in folders:
            with contextlib.suppress(OSError):  # busy, or gone: seen in the next round
                folder.rmdir()
        left = [root / plan.CGROUP for root in cgroup_roots() if (root / plan.CGROUP).exists()]
        if not left or time.monotonic() > deadline:
            return
        time.sleep(0.1)
