"""Makes children what is wanted: written only when something differs, counted when somebody else changed it."""

import hashlib
import json
import logging
from collections.abc import Callable

from serin.adapters import cluster, watches
from serin.render import merging

logger = logging.getLogger(__name__)


class Applier:
    """Remembers what it wrote last, so that an unchanged object costs nothing.

    Objects with a generation (Deployments, routes) are unchanged while the generation is the one that our write gave
    them; this is exact, while comparing fields is misled by what the API server normalises (1000m is stored as 1).
    """

    def __init__(
        self, api: cluster.Cluster, store: watches.Store, on_foreign_write: Callable[[watches.Key, str], None]
    ) -> None:
        self._api, self._store, self._on_foreign_write = api, store, on_foreign_write
        self._written: dict[str, tuple[str, int]] = {}

    async def apply(self, kind: cluster.Kind, wanted: cluster.Object) -> None:
        """Write an object if it is not what is wanted."""
        key = watches.key_of(wanted)
        live = self._store.get(kind, key)
        digest = _digest(wanted)
        if live is not None and self._is_as_written(live, wanted, digest):
            return
        if live is not None and self._changed_by_others(live, digest):
            owner = watches.owner_of(wanted)
            logger.warning("%s %s/%s was changed by somebody else and is put back", kind.name, *key)
            if owner:
                self._on_foreign_write(owner, kind.name)
        written = await self._api.apply(kind, wanted)
        self._store.put(kind, written)
        self._written[written["metadata"]["uid"]] = (digest, written["metadata"].get("generation", 0))

    async def delete(self, kind: cluster.Kind, key: watches.Key) -> None:
        """Delete an object and forget it."""
        live = self._store.get(kind, key)
        await self._api.delete(kind, *key)
        if live:
            self._written.pop(live["metadata"]["uid"], None)

    def _is_as_written(self, live: cluster.Object, wanted: cluster.Object, digest: str) -> bool:
        known = self._written.get(live["metadata"]["uid"])
        generation = live["metadata"].get("generation", 0)
        if not merging.contains(live["metadata"], wanted["metadata"]):
            return False
        if generation and known:
            return known == (digest, generation)
        return merging.contains(live, wanted)

    def _changed_by_others(self, live: cluster.Object, digest: str) -> bool:
        """Tell whether the same write as before is needed again; a first look after a start proves nothing."""
        known = self._written.get(live["metadata"]["uid"])
        return known is not None and known[0] == digest


def _digest(wanted: cluster.Object) -> str:
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
