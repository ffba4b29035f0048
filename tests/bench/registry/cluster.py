"""A cluster whose ModelDeployments go on while the registry writes down what happens, as its follower does.

As a program it records a history from where it is, and prints the number of each observation that is committed.
"""

import datetime as dt
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from serin_services.registry import errors
from serin_services.registry.core import fates
from serin_services.registry.core.access import SYSTEM
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from serin_services.registry.records.rollouts import observations
from support import histories, postgres

CLUSTER, TENANT = "bench", "desk"
# A version takes over, another comes back, and the next one takes over again.
ACTIONS = ("*4", "apply v2", "*12", "apply v3", "*4", "alert fires", "*4", "alert ends", "apply v4", "*12")


def make_history(uid: str) -> list[Mapping[str, Any]]:
    """Give a ModelDeployment as it was at one time after the other."""
    name = f"model-{uid}"
    found = []
    for number, seen in enumerate(histories.play(*ACTIONS), start=1):
        metadata = {**seen["metadata"], "uid": uid, "name": name, "resourceVersion": str(number)}
        found.append({**seen, "metadata": metadata, "spec": {**seen["spec"], "model": name}})
    return found


def record(database: Database, resource: Mapping[str, Any], tenant: str = TENANT) -> None:
    """Write one observation down, in one transaction."""
    with database.open(SYSTEM) as session:
        observations.record(session, observations.Observation(CLUSTER, tenant, resource), dt.datetime.now(dt.UTC))


class Follower:
    """Follows one ModelDeployment in a process of its own, and remembers which observations were committed."""

    kind = "transition"

    def __init__(self, server: postgres.Server, name: str, uid: str, log: Path) -> None:
        self.uid, self.history = uid, make_history(uid)
        self.acknowledged = 0
        self.cut_off = False
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bench.registry.cluster", uid],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(sys.path),
                    "DATABASE": server.url(postgres.APPLICATION, name),
                    "OWNER": server.url(postgres.OWNER, name),
                },
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )
        self.started = threading.Event()
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            for line in lines:
                self.acknowledged = int(line)
                self.started.set()
        self.cut_off = self.process.wait() != 0
        self.started.set()

    def kill(self) -> None:
        self.process.kill()

    def end(self) -> None:
        self.process.kill()
        self.thread.join()

    def check(self, database: Database) -> Iterator[str]:
        """Say what does not hold: of what was committed, and of all once the rest has been seen too."""
        row = self._find(database)
        if (observations.version_of(row) if row else 0) < self.acknowledged:
            yield f"{self.uid}: observation {self.acknowledged} was committed and is not there"
        for resource in self.history:
            record(database, resource)
        expected = self._expect()
        with database.open(SYSTEM) as session:
            there = {
                "events": set(session.scalars(self._keys(tables.RolloutEvent))),
                "moves": set(session.scalars(self._keys(tables.Transition))),
            }
        for what, keys in expected.items():
            if there[what] != keys:
                yield f"{self.uid}: {len(keys)} {what} happened, and there are {len(there[what])}"

    def _find(self, database: Database) -> tables.Deployment | None:
        with database.open(SYSTEM) as session:
            return session.scalar(sa.select(tables.Deployment).where(tables.Deployment.uid == self.uid))

    def _keys(self, table: type[tables.RolloutEvent] | type[tables.Transition]) -> sa.Select[tuple[str]]:
        deployment = sa.select(tables.Deployment.id).where(tables.Deployment.uid == self.uid).scalar_subquery()
        return sa.select(table.key).where(table.deployment_id == deployment)

    def _expect(self) -> dict[str, set[str]]:
        """Give the keys that the history has when nothing breaks."""
        seen, accounts = None, []
        for resource in self.history:
            accounts.append(fates.read(seen, resource))
            seen = accounts[-1].seen
        return {
            "events": {event.key for account in accounts for event in account.events},
            "moves": {move.key for account in accounts for move in account.moves if move.source is not move.target},
        }


def main(uid: str) -> None:
    """Record the history again and again, each time as another object, until somebody ends it."""
    database = Database(os.environ["DATABASE"], owner_url=os.environ["OWNER"])
    for number, resource in enumerate(make_history(uid), start=1):
        record(database, resource)
        print(number, flush=True)
    for more in itertools.count():
        for resource in make_history(f"{uid}-{more}"):
            record(database, resource)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except errors.UnavailableError as error:
        sys.exit(f"ended: {error}")
