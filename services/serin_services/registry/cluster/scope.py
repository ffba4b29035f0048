"""One list and watch: of a namespace's ModelDeployments, or of all.

It goes on from the newest resource version that was written, so a registry that was away misses not even what came and went
meanwhile, as long as the API server remembers it (etcd: five minutes). Beyond that, it lists and tells what the status shows.
"""

import datetime as dt
import logging
import random
import threading
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from serin_services.registry import errors
from serin_services.registry.cluster.connection import Client, ExpiredError, Object, Watch, path_of
from serin_services.registry.cluster.tenancy import Tenancy
from serin_services.registry.core.access import SYSTEM
from serin_services.registry.database.sessions import Database
from serin_services.registry.records.rollouts import observations
from serin_services.registry.records.rollouts.observations import Known, Observation

logger = logging.getLogger(__name__)

# The API server ends a watch after so long, and everything is listed again: a second look that costs little.
WATCH_SECONDS = 300
# A watch that only catches up ends by itself after so long.
CATCH_UP_SECONDS = 1
# A write that another one crossed is tried so often.
_ATTEMPTS = 5
_MAX_PAUSE = 10.0
# What an object may raise that is not what this registry knows; it is told, and the others are followed on.
_STRANGE = (errors.RegistryError, sa.exc.SQLAlchemyError, ValueError, KeyError, TypeError, AttributeError)


class Writer:
    """Writes observations down, each in a transaction of its own."""

    def __init__(self, database: Database, tenancy: Tenancy, cluster: str, clock: Callable[[], dt.datetime]) -> None:
        self._database, self._tenancy, self._cluster, self.clock = database, tenancy, cluster, clock

    def list_known(self, namespace: str) -> dict[str, Known]:
        """Give what is on record, by uid."""
        with self._database.open(SYSTEM, read_only=True) as session:
            return observations.list_known(session, self._cluster, namespace)

    def record(self, resource: Object, *, removed: bool, anew: bool) -> None:
        """Write down how an object looks."""
        tenant = self._tenancy.of(resource["metadata"]["namespace"], resource)
        observation = Observation(self._cluster, tenant, resource, removed, anew)
        with self._database.open(SYSTEM) as session:
            observations.record(session, observation, self.clock())

    def record_missing(self, known: Known) -> None:
        """Write down that an object is gone."""
        with self._database.open(SYSTEM) as session:
            observations.record_missing(session, known.id, self.clock())


class Scope:
    """What one list and watch follows: one namespace, or all where it is empty."""

    def __init__(self, client: Client, writer: Writer, namespace: str) -> None:
        self._client, self._writer, self._path, self._namespace = client, writer, path_of(namespace), namespace
        self._stopping = threading.Event()
        self._watch: Watch | None = None
        self._refused: dict[str, str] = {}
        self._problem = ""
        self._failures = 0
        self._position: int | None = None
        self.heard_at: dt.datetime | None = None
        self.synced = False

    def problems(self) -> list[str]:
        """Say what is wrong: with the following itself, and with objects that could not be written down."""
        return [problem for problem in (self._problem, *self._refused.values()) if problem]

    def prepare(self) -> None:
        """Be ready to run, again."""
        self._stopping.clear()
        self.synced = False

    def stop(self) -> None:
        """End `run`, also while it waits."""
        self._stopping.set()
        if watch := self._watch:
            watch.close()

    def run(self) -> None:
        """List and watch until stopped; what goes wrong is told and tried again with growing pauses."""
        self._position = None
        while not self._stopping.is_set():
            try:
                self._turn()
            except ExpiredError:
                self._position = 0
            except (errors.RegistryError, sa.exc.SQLAlchemyError) as error:
                self._failures, self._problem = self._failures + 1, str(error)
                pause = _choose_pause(self._failures)
                logger.warning("following %s failed: %s; again in %.1f s", self._namespace or "all", error, pause)
                self._stopping.wait(pause)

    def _turn(self) -> None:
        """Catch up, list to see what no watch tells, and watch on."""
        if self._position is None:
            # The newest that was written; 0 where nothing was.
            self._position = max((known.version for known in self._list_known().values()), default=0)
        if self._position:
            self._position = self._follow(self._position, CATCH_UP_SECONDS)
        listed = self._client.request("GET", self._path)
        self._hear()
        newest = int(listed["metadata"]["resourceVersion"])
        # Where the cluster is behind what is on record, it was restored from a backup: what it says now holds.
        anew = self._position > newest
        if anew or not self._position:
            self._position = newest
        self._take(listed["items"], self._position, anew=anew)
        self.synced, self._problem = True, ""
        self._position = self._follow(self._position, WATCH_SECONDS)

    def _hear(self) -> None:
        self.heard_at, self._failures = self._writer.clock(), 0

    def _list_known(self) -> dict[str, Known]:
        return self._writer.list_known(self._namespace)

    def _take(self, items: Sequence[Object], position: int, *, anew: bool) -> None:
        """Write down what is listed up to a position, and what is on record and not listed; later changes are watched."""
        known = self._list_known()
        for item in items:
            version, before = int(item["metadata"]["resourceVersion"]), known.get(item["metadata"]["uid"])
            if anew or (version <= position and (before is None or before.version < version)):
                self._record(item, removed=False, anew=anew)
        present = {item["metadata"]["uid"] for item in items}
        for uid, before in known.items():
            if uid not in present and not before.deleted:
                self._writer.record_missing(before)

    def _follow(self, position: int, seconds: int) -> int:
        """Write down every change after a position until the watch ends; give the position then."""
        watch = self._client.open_watch(self._path, str(position), seconds)
        self._watch = watch
        if self._stopping.is_set():
            watch.close()
        for event in watch:
            self._hear()
            resource = event["object"]
            if event["type"] != "BOOKMARK":
                self._record(resource, removed=event["type"] == "DELETED", anew=False)
            position = int(resource["metadata"]["resourceVersion"])
            # A watch that breaks off later is taken up here.
            self._position = position
        self._watch = None
        return position

    def _record(self, resource: Object, *, removed: bool, anew: bool) -> None:
        """Write down an object: a database that is away is waited for, and what cannot be written is told and left."""
        uid, attempt = resource["metadata"]["uid"], 0
        while not self._stopping.is_set():
            try:
                self._writer.record(resource, removed=removed, anew=anew)
            except errors.UnavailableError as error:
                self._problem, attempt = str(error), attempt + 1
            except _STRANGE as error:
                attempt += 1
                if attempt >= _ATTEMPTS:
                    where = f"{resource['metadata']['namespace']}/{resource['metadata']['name']}"
                    logger.exception("%s could not be written down", where)
                    self._refused[uid] = f"{where}: {type(error).__name__}: {error}"
                    return
            else:
                self._refused.pop(uid, None)
                return
            self._stopping.wait(_choose_pause(attempt))


def _choose_pause(failures: int) -> float:
    """Give the time before the next try, in seconds: twice as long each time, and not the same for all replicas."""
    return min(_MAX_PAUSE, 0.1 * 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - a jitter, no secret
