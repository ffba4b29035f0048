"""Starts a server on its core, waits until it is ready, and reads what its whole process tree uses."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from support import server_process

from . import peers
from .models import Model

# The server has a core to itself; what asks and measures runs on the last.
SERVER_CORE, CLIENT_CORE = 0, (os.cpu_count() or 1) - 1
READY_SECONDS, END_SECONDS = 120, 15
POLL_SECONDS = 0.01


class NotServedError(Exception):
    """A server did not start, or does not answer as it should; the message says why."""


@dataclass
class Server:
    """A running server with all processes below it."""

    process: psutil.Popen
    ports: peers.Ports
    log: Path
    ready_seconds: float = 0.0

    def tree(self) -> list[psutil.Process]:
        """The process and all below it."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """User and system time of the tree so far; a process that has ended counts with the one that started it."""
        return sum(self.of_each(lambda process: sum(process.cpu_times()[:4])))

    def memory(self) -> float:
        """Resident memory in MB; what several processes share counts once among them (PSS)."""
        if not self.process.children():
            return float(self.process.memory_info().rss) / 1e6
        return sum(self.of_each(lambda process: process.memory_full_info().pss)) / 1e6

    def of_each(self, read: Callable[[psutil.Process], float]) -> Iterator[float]:
        """Read a figure of each process of the tree; one may end while it is looked at."""
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                yield read(process)

    def tail(self) -> str:
        """The end of what the server wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])


def pin_self() -> None:
    """Keep this process, and the generators that it starts, off the server's core."""
    os.sched_setaffinity(0, {CLIENT_CORE})


@contextlib.contextmanager
def start(peer: peers.Peer, model: Model, environment: Path, scratch: Path) -> Iterator[Server]:
    """Run a server while the block runs. Raises `NotServedError` when it does not get ready."""
    scratch.mkdir(parents=True, exist_ok=True)
    ports = peers.Ports(*server_process.free_ports(3))

    def filled(texts: Mapping[str, str]) -> dict[str, str]:
        return {name: peers.fill(text, model, ports, scratch, environment) for name, text in texts.items()}

    for name, text in filled(peer.files).items():
        (scratch / name).write_text(text)
    command = [peers.fill(word, model, ports, scratch, environment) for word in peer.command]
    log = scratch / "log"
    begun = time.monotonic()
    with log.open("ab") as output:
        process = psutil.Popen(
            ["taskset", "-c", str(SERVER_CORE), *command],
            env={**os.environ, **peers.COMMON, **filled(peer.settings)},
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, ports, log)
    try:
        wait_ready(server, peer)
        server.ready_seconds = time.monotonic() - begun
        yield server
    finally:
        end(server)


def wait_ready(server: Server, peer: peers.Peer) -> None:
    """Ask until the server says that it is ready."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        if is_ready(server, peer):
            return
        time.sleep(POLL_SECONDS)
    raise NotServedError(f"{peer.name} was not ready within {READY_SECONDS} s; its log ends:\n{server.tail()}")


def is_ready(server: Server, peer: peers.Peer) -> bool:
    """Whether the readiness path answers 200, or, where there is none, the gRPC port takes connections."""
    try:
        if not peer.ready:
            socket.create_connection(("127.0.0.1", server.ports.grpc), timeout=1).close()
            return True
        connection = http.client.HTTPConnection("127.0.0.1", server.ports.http, timeout=1)
        with contextlib.closing(connection):
            connection.request("GET", peer.ready)
            return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def end(server: Server) -> None:
    """End the tree, by force where it does not go by itself."""
    tree = server.tree() if server.process.is_running() else []
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in tree[:1] if sign is signal.SIGTERM else tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(sign)
        _, tree = psutil.wait_procs(tree, END_SECONDS)
        if not tree:
            return
