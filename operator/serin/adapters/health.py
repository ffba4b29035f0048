"""Whether events are being processed: a watch can be open and silent, and a process alive and doing nothing.

Two proofs. A heartbeat goes through the same queue and worker as every object. And the objects are listed anew from time
to time: a change that the API server has and the watch has not brought since the last listing shows a watch that is stuck
(kopf issue 1276). What the listing finds is reconciled in any case, so a lost event delays a rollout but loses nothing.
"""

import asyncio
import logging
from collections.abc import Callable

from serin.adapters import cluster, queue, watches

logger = logging.getLogger(__name__)

HEARTBEAT: queue.Key = ("", "heartbeat")
HEARTBEAT_SECONDS = 5.0
RESYNC_SECONDS = 30.0
# Three heartbeats may be lost to a busy machine; a reconcile may wait for an API server that takes its 30 s.
SILENT_SECONDS = 60.0


class Health:
    """What /livez and /readyz answer."""

    def __init__(
        self,
        api: cluster.Cluster,
        store: watches.Store,
        wake: Callable[[queue.Key], None],
        lateness: Callable[[], float],
        namespaces: tuple[str, ...],
    ) -> None:
        self._api, self._store, self._wake, self._lateness = api, store, wake, lateness
        self._namespaces = namespaces or ("",)
        self._beat_at: float | None = None
        self._missed: dict[queue.Key, int] = {}
        self.stuck = ""

    def beat(self) -> None:
        """Note that the heartbeat was worked on."""
        self._beat_at = asyncio.get_running_loop().time()

    def complaint(self) -> str:
        """Say what is wrong, or nothing."""
        now = asyncio.get_running_loop().time()
        if self._beat_at is not None and now - self._beat_at > SILENT_SECONDS:
            return f"no work was done for {now - self._beat_at:.0f} s"
        if self._lateness() > SILENT_SECONDS:
            return f"an object has waited {self._lateness():.0f} s to be reconciled"
        return self.stuck

    async def run(self) -> None:
        """List the objects from time to time and compare, until cancelled."""
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            try:
                await self._compare()
            except (OSError, TimeoutError, cluster.ApiError) as error:
                logger.warning("the objects cannot be listed: %s", error)

    async def _compare(self) -> None:
        missed: dict[queue.Key, int] = {}
        for namespace in self._namespaces:
            listed = await self._api.list_all(cluster.MODELDEPLOYMENT, namespace)
            self._forget_deleted(listed, namespace)
            for found in listed["items"]:
                key = watches.key_of(found)
                known = self._store.get(cluster.MODELDEPLOYMENT, key)
                if known is None or watches.is_edited(known, found):
                    missed[key] = self._missed.get(key, 0) + 1
                    self._store.put(cluster.MODELDEPLOYMENT, found)
                    self._wake(key)
        self._missed = missed
        # Found once may be an event on its way; the listing then put it into the store, so twice is a new change missed.
        stuck = [key for key, times in missed.items() if times >= 2]
        self.stuck = f"the watch brings no changes any more, first missed: {'/'.join(stuck[0])}" if stuck else ""

    def _forget_deleted(self, listed: cluster.Object, namespace: str) -> None:
        """Drop what is gone: a watch that was interrupted tells nothing of what was deleted meanwhile."""
        present = {watches.key_of(found) for found in listed["items"]}
        for known in self._store.all(cluster.MODELDEPLOYMENT):
            key = watches.key_of(known)
            inside = not namespace or key[0] == namespace
            if inside and key not in present and watches.version_of(known) <= watches.version_of(listed):
                self._store.remove(cluster.MODELDEPLOYMENT, key)
                self._wake(key)
