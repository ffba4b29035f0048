"""What must hold before anything starts, each a named check over facts that were gathered once."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping

from . import errors, plan, processes
from .layout import Layout

GIB = 1024**3
DISK_COLD = 12 * GIB
DISK_WARM = 2 * GIB
MEMORY = 3 * GIB
LISTEN = "0A"
SOCKET_PATH_LIMIT = 107


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the machine is like: sizes in bytes, `listeners` the program (id and name) on each port of ours."""

    system: str
    machine: str
    user: int
    apt: bool
    go: str
    go_needed: str
    cold: bool
    disk_free: int
    disk_at: pathlib.Path
    memory_available: int
    socket: str
    foreign_bridges: tuple[str, ...] = ()
    listeners: Mapping[int, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that stands in the way, and what to do about it."""

    problem: str
    advice: str


def gather(layout: Layout, cold: bool, go_needed: str) -> Facts:
    """Look at the machine. Ports that this cluster's own processes listen on are left out."""
    ours = {process.pid for process in processes.marked(layout)}
    home = next(folder for folder in (layout.home, *layout.home.parents) if folder.exists())
    return Facts(
        system=platform.system(),
        machine=platform.machine(),
        user=os.geteuid(),
        apt=shutil.which("apt-get") is not None,
        go=_go_version(),
        go_needed=go_needed,
        cold=cold,
        disk_free=shutil.disk_usage(home).free,
        disk_at=home,
        memory_available=_available_memory(),
        socket=str(layout.socket),
        foreign_bridges=() if ours else _bridges_in_use(layout),
        listeners=find_listeners(set(plan.PORTS), ours),
    )


def _go_version() -> str:
    if shutil.which("go") is None:
        return ""
    # Outside of any module, so that none of its settings has a say.
    done = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, cwd="/", check=False)
    return done.stdout.strip().removeprefix("go")


def _available_memory() -> int:
    lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def _bridges_in_use(layout: Layout) -> tuple[str, ...]:
    """Bridges of our names that this home did not make: another cluster, of another home, is up."""
    made_here = layout.run.exists()
    names = (plan.NODE_BRIDGE, plan.POD_BRIDGE)
    return () if made_here else tuple(name for name in names if pathlib.Path("/sys/class/net", name).exists())


def find_listeners(ports: set[int], ours: set[int]) -> dict[int, str]:
    """Who listens on which of these ports, as `name (process id)`; processes of ours do not count."""
    inodes: dict[str, int] = {}
    for table in ("tcp", "tcp6"):
        lines = pathlib.Path("/proc/net", table).read_text().splitlines()[1:]
        inodes |= {inode: port for inode, port in parse_listeners(lines).items() if port in ports}
    owners = _owners(set(inodes)) if inodes else {}
    found = {port: owners.get(inode, (0, "an unknown program")) for inode, port in inodes.items()}
    return {port: f"{name} (process {pid})" for port, (pid, name) in sorted(found.items()) if pid not in ours}


def parse_listeners(lines: list[str]) -> dict[str, int]:
    """Of lines of `/proc/net/tcp`, the listening sockets: inode to port."""
    rows = [line.split() for line in lines]
    return {row[9]: int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTEN}


def _owners(inodes: set[str]) -> dict[str, tuple[int, str]]:
    owners = {}
    for handle in processes.PROC.glob("[0-9]*/fd/*"):
        try:
            target = str(handle.readlink())
            match = re.fullmatch(r"socket:\[(\d+)\]", target)
            if match and match[1] in inodes:
                folder = handle.parent.parent
                owners[match[1]] = (int(folder.name), (folder / "comm").read_text().strip())
        except OSError:  # gone meanwhile
            continue
    return owners


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def not_linux(facts: Facts) -> Finding | None:
    """A node needs Linux, of an architecture that Envoy's wheel is published for."""
    if facts.system == "Linux" and facts.machine == "x86_64":
        return None
    return Finding(
        f"this is {facts.system} on {facts.machine}, and the local cluster needs Linux on x86_64",
        "use a Linux machine or virtual machine, or a cluster of your own (`make demo CLUSTER=existing REGISTRY=…`)",
    )


def not_root(facts: Facts) -> Finding | None:
    """Containers, bridges and firewall rules are root's."""
    if facts.user == 0:
        return None
    return Finding(f"this is user {facts.user}, and only root may start containers", "run it as root (`sudo -E …`)")


def no_apt(facts: Facts) -> Finding | None:
    """Daemons and tools are Debian's."""
    if facts.apt or not facts.cold:
        return None
    return Finding(
        "there is no apt-get, and containerd, etcd and others come from Debian", "use Debian 12 or a relative"
    )


def no_go(facts: Facts) -> Finding | None:
    """Go is needed as long as something is not built, in a version that the modules accept."""
    if not facts.cold:
        return None
    if not facts.go:
        return Finding("there is no `go` on the path", f"install Go {facts.go_needed} or newer, and put it on the path")
    if _number(facts.go) < _number(facts.go_needed):
        problem = f"Go is {facts.go}, and the modules need {facts.go_needed} or newer"
        return Finding(problem, f"install Go {facts.go_needed} or newer")
    return None


def disk_full(facts: Facts) -> Finding | None:
    """Modules, build results and images need room."""
    needed = DISK_COLD if facts.cold else DISK_WARM
    if facts.disk_free >= needed:
        return None
    return Finding(
        f"{facts.disk_free / GIB:.1f} GB are free at {facts.disk_at}, and {needed / GIB:.0f} GB are needed",
        "make room, or let SERIN_HOME name a folder on a larger disk",
    )


def memory_short(facts: Facts) -> Finding | None:
    """The cluster takes 1.5 to 2.5 GB, and models come on top."""
    if facts.memory_available >= MEMORY:
        return None
    problem = f"{facts.memory_available / GIB:.1f} GB of memory are available, and {MEMORY / GIB:.0f} GB are needed"
    return Finding(problem, "end other programs, or use a larger machine")


def path_too_long(facts: Facts) -> Finding | None:
    """The kernel takes paths of sockets up to a length only."""
    if len(facts.socket) <= SOCKET_PATH_LIMIT:
        return None
    problem = f"{facts.socket} has {len(facts.socket)} characters, and a socket's path may have {SOCKET_PATH_LIMIT}"
    return Finding(problem, "let SERIN_HOME name a folder with a shorter path")


def port_taken(facts: Facts) -> Finding | None:
    """The components' ports must be free."""
    if not facts.listeners:
        return None
    rows = [f"{port} (for {plan.PORTS[port]}) by {owner}" for port, owner in facts.listeners.items()]
    problem = "ports are in use: " + "; ".join(rows)
    return Finding(problem, "end those programs (another Kubernetes? a service of that name?), then run it again")


def other_cluster(facts: Facts) -> Finding | None:
    """One machine carries one local cluster."""
    if not facts.foreign_bridges:
        return None
    problem = f"the network devices {', '.join(facts.foreign_bridges)} belong to a local cluster of another SERIN_HOME"
    return Finding(
        problem, "take that one down first (`SERIN_HOME=… serin local down`), or `ip link delete` what it left"
    )


CHECKS: tuple[Callable[[Facts], Finding | None], ...] = (
    not_linux,
    not_root,
    no_apt,
    no_go,
    disk_full,
    memory_short,
    path_too_long,
    port_taken,
    other_cluster,
)


def find(facts: Facts) -> list[Finding]:
    """Everything that stands in the way, so that one run shows all of it."""
    return [finding for check in CHECKS if (finding := check(facts))]


def require(facts: Facts) -> None:
    """Raise `ClusterError` with every finding unless there is none."""
    findings = find(facts)
    if findings:
        problems = "; ".join(finding.problem for finding in findings)
        raise errors.ClusterError("preflight", problems, "; ".join(finding.advice for finding in findings))


def accepts(path: pathlib.Path) -> bool:
    """Whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True
