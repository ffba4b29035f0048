"""Follows the cluster: one replica at a time lists and watches ModelDeployments and writes down what it sees."""

import dataclasses
import datetime as dt
import logging
import threading
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from serin_services.registry.cluster.connection import Client
from serin_services.registry.cluster.leadership import Leadership
from serin_services.registry.cluster.scope import Scope, Writer
from serin_services.registry.cluster.tenancy import Tenancy
from serin_services.registry.database.sessions import Database

logger = logging.getLogger(__name__)

# How often a replica that does not follow tries to, and one that does makes sure that it still may.
LEADER_SECONDS = 2.0
# How long threads are waited for: a write that hangs ends with its statement's time limit.
_JOIN_SECONDS = 15.0


@dataclasses.dataclass(frozen=True)
class State:
    """How the following goes: whether it is this replica's, when the cluster was heard last, and what is wrong."""

    leading: bool
    synced: bool
    heard_at: dt.datetime | None
    problem: str


class Follower:
    """Follows the ModelDeployments of a cluster, in threads of its own, from `start` to `stop`."""

    def __init__(
        self,
        client: Client,
        database: Database,
        tenancy: Tenancy,
        *,
        cluster: str,
        namespaces: Sequence[str] = (),
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        writer = Writer(database, tenancy, cluster, clock)
        self._cluster = cluster
        self._scopes = [Scope(client, writer, namespace) for namespace in namespaces or ("",)]
        self._leadership = Leadership(database, cluster)
        self._leading = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._lead, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to follow, once no other replica does."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; an observation that is being written is finished."""
        self._stopping.set()
        for scope in self._scopes:
            scope.stop()
        self._thread.join(_JOIN_SECONDS + LEADER_SECONDS)

    def state(self) -> State:
        """Say how it goes."""
        heard = [scope.heard_at for scope in self._scopes if scope.heard_at]
        problems = [problem for scope in self._scopes for problem in scope.problems()]
        synced = self._leading and all(scope.synced for scope in self._scopes)
        return State(self._leading, synced, min(heard, default=None), "; ".join(problems))

    def _lead(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._leadership.take():
                    self._follow()
            except (sa.exc.SQLAlchemyError, OSError) as error:
                logger.warning("cannot become the follower of cluster %s: %s", self._cluster, error)
            finally:
                self._leadership.give_back()
            self._stopping.wait(LEADER_SECONDS)

    def _follow(self) -> None:
        """Follow every scope until told to stop, or until another replica may."""
        logger.info("following cluster %s", self._cluster)
        threads = [threading.Thread(target=scope.run, name="follower-scope", daemon=True) for scope in self._scopes]
        for scope in self._scopes:
            scope.prepare()
        for thread in threads:
            thread.start()
        self._leading = True
        # A thread that has ended did so by an error of its own, and begins anew with the rest.
        while not self._stopping.wait(LEADER_SECONDS) and all(thread.is_alive() for thread in threads):
            if not self._leadership.is_held():
                logger.warning("the database took the lock back: another may follow cluster %s", self._cluster)
                break
        self._leading = False
        for scope in self._scopes:
            scope.stop()
        for thread in threads:
            thread.join(_JOIN_SECONDS)
