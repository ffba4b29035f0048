"""A real PostgreSQL: Debian's, installed where it is missing, in a folder of its own on a loopback port.

One serves a whole test run, however many processes run it: the first that asks starts a keeper, which stops the server and
takes its folder away when the run has ended, however it ended. A test that stops or kills a server makes its own.
"""

import contextlib
import dataclasses
import fcntl
import functools
import json
import os
import pwd
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg

from serin_services.registry.database import sessions
from support import server_process

DEADLINE_SECONDS = 60
SUPERUSER, OWNER, APPLICATION = "postgres", "registry_owner", "registry"
TEMPLATE = "registry_template"
# What production has, but for the size: nothing is acknowledged before it is on the disk.
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
}


def find_programs() -> Path:
    """Give the folder of `postgres` and `initdb`, installed where there is none."""
    if not _installed():
        # Debian would make and start a server of its own.
        config = Path("/etc/postgresql-common/createcluster.d/none.conf")
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text("create_main_cluster = false\n")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        # The cluster's packages may be on their way in beside.
        apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300"]
        for words in (["update"], ["install", "-y", "--no-install-recommends", "postgresql"]):
            subprocess.run([*apt, *words], env=environment, check=True, capture_output=True)
    return _installed()[-1]


def _installed() -> list[Path]:
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return sorted((program.parent for program in found), key=lambda folder: float(folder.parent.name))


@dataclasses.dataclass
class Server:
    """A PostgreSQL server that can be stopped or killed, and started again on its port and folder."""

    folder: Path
    port: int
    # The same for all its users.
    password: str
    pid: int = 0

    @classmethod
    def make(cls, folder: Path) -> "Server":
        """Give a server that is not started yet, with its data in the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        server = cls(folder, server_process.free_ports(1)[0], secrets.token_urlsafe(16))
        secret = folder / "password"
        secret.write_text(server.password)
        for path in (folder, secret):
            os.chown(path, server.user.pw_uid, server.user.pw_gid)
        initdb = ["initdb", f"--pgdata={server.data}", f"--username={SUPERUSER}", f"--pwfile={secret}"]
        server._run([*initdb, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"])
        secret.unlink()
        return server

    @property
    def user(self) -> pwd.struct_passwd:
        """Whom the server runs as: it refuses root."""
        if os.getuid():
            return pwd.getpwuid(os.getuid())
        names = {entry.pw_name for entry in pwd.getpwall()}
        return pwd.getpwnam("postgres" if "postgres" in names else "nobody")

    @property
    def data(self) -> Path:
        """Where the server keeps everything."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server writes."""
        return self.folder / "log"

    def url(self, user: str = SUPERUSER, database: str = "postgres") -> str:
        """The URL of a database for one of the users."""
        return f"postgresql://{user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        argv = [find_programs() / "postgres", "-D", self.data, f"--port={self.port}", *settings]
        with self.log.open("ab") as log:
            process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True, **self._identity())
        self.pid = process.pid
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url(), connect_timeout=5).close()
                # From here on it is known by its number; Python would warn that nobody waited for it.
                process.returncode = 0
                return
            time.sleep(0.02)
        raise AssertionError(f"PostgreSQL does not answer; it wrote:\n{self.log.read_text()}")

    def stop(self) -> None:
        """Stop the server as its service would: connections are ended, everything is on the disk."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            process.send_signal(signal.SIGINT)
            process.wait(DEADLINE_SECONDS)

    def kill(self) -> None:
        """End the server with all its processes at once, as a power cut would."""
        with contextlib.suppress(psutil.NoSuchProcess):
            postmaster = psutil.Process(self.pid)
            # The postmaster first, so that it starts nothing anew.
            postmaster.suspend()
            family = [postmaster, *postmaster.children(recursive=True)]
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(family, DEADLINE_SECONDS)

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser, each by itself."""
        with psycopg.connect(self.url(database=database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def make_roles(self) -> None:
        """Make the two logins of the registry: one owns the tables, the other serves requests."""
        for role in (OWNER, APPLICATION):
            self.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{self.password}'")

    def make_database(self, name: str, template: str = "template0") -> None:
        """Make a database that belongs to the registry's owner."""
        self.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template}")

    def open(self, name: str, **options: Any) -> sessions.Database:
        """Give the registry's view of a database: requests and the owner by their own logins."""
        return sessions.Database(self.url(APPLICATION, name), owner_url=self.url(OWNER, name), **options)

    def _identity(self) -> dict[str, Any]:
        if os.getuid():
            return {"cwd": self.folder}
        return {"cwd": self.folder, "user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def _run(self, argv: list[str]) -> None:
        done = subprocess.run(
            [find_programs() / argv[0], *argv[1:]], capture_output=True, text=True, check=False, **self._identity()
        )
        if done.returncode:
            raise AssertionError(f"{argv[0]} failed:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def run() -> Iterator[Server]:
    """Give a started server of one's own, with its roles; it ends with the block, and nothing stays."""
    # Not below pytest's folders, which nobody else may enter.
    folder = Path(tempfile.mkdtemp(prefix="serin-postgres-"))
    server = None
    try:
        server = Server.make(folder)
        server.start()
        server.make_roles()
        yield server
    finally:
        if server:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def share() -> Server:
    """Give the server of this test run, with its roles and a migrated template; the first that asks starts it."""
    name = os.environ.get("PYTEST_XDIST_TESTRUNUID", secrets.token_hex(8))
    folder = Path(tempfile.gettempdir()) / f"serin-postgres-{name}"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        ready = folder / "ready.json"
        if not ready.exists():
            _start_keeper(folder)
        fields = json.loads(ready.read_text())
    return Server(Path(fields["folder"]), fields["port"], fields["password"], fields["pid"])


def _start_keeper(folder: Path) -> None:
    # Of a run with several processes their parent ends last.
    run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-m", "support.postgres", str(folder), str(run)]
    with tempfile.TemporaryFile("w+") as log:
        keeper = subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        while keeper.poll() is None:
            if (folder / "ready.json").exists():
                # It outlives us; Python would warn that nobody waited for it.
                keeper.returncode = 0
                return
            time.sleep(0.02)
        log.seek(0)
        raise AssertionError(f"no PostgreSQL; its keeper wrote:\n{log.read()}")


def keep(folder: Path, run: int) -> None:
    """Start a server in the folder and keep it for as long as the process of the test run lives; leave nothing behind."""
    handle = os.pidfd_open(run)
    server = None
    try:
        folder.chmod(0o755)
        server = Server.make(folder / "server")
        server.start()
        server.make_roles()
        server.make_database(TEMPLATE)
        database = server.open(TEMPLATE)
        database.upgrade()
        database.close()
        draft = folder / "ready.draft"
        draft.write_text(json.dumps({**dataclasses.asdict(server), "folder": str(server.folder)}))
        draft.rename(folder / "ready.json")
        select.select([handle], [], [])
    finally:
        if server:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    keep(Path(sys.argv[1]), int(sys.argv[2]))
