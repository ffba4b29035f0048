"""What the cluster was last seen to be: one list and watch per kind, filtered by the API server, into one store.

Kopf filters by label only after every object of a kind has been sent and parsed, which for all pods of a large cluster
costs more than everything else here; so it watches the ModelDeployments, and this the children.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from serin.adapters import cluster
from serin.api import names

Key = tuple[str, str]
logger = logging.getLogger(__name__)


def key_of(found: cluster.Object) -> Key:
    """Give namespace and name."""
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]


def owner_of(found: cluster.Object) -> Key | None:
    """Give the ModelDeployment that a child says it belongs to."""
    name = found["metadata"].get("labels", {}).get(names.MODELDEPLOYMENT_LABEL)
    return (found["metadata"].get("namespace", ""), name) if name else None


def is_edited(before: cluster.Object, after: cluster.Object) -> bool:
    """Tell whether a ModelDeployment changed in what people write; a change of the status alone is our own."""
    fields = ("generation", "annotations", "deletionTimestamp", "uid")
    return any(before["metadata"].get(name) != after["metadata"].get(name) for name in fields)


def version_of(found: cluster.Object) -> int:
    """Give the resource version, which grows with every write of the cluster."""
    return int(found["metadata"].get("resourceVersion", "0"))


@dataclass
class Store:
    """Objects by kind and key; children are also found by their owner."""

    objects: dict[str, dict[Key, cluster.Object]] = field(default_factory=dict)

    def put(self, kind: cluster.Kind, found: cluster.Object) -> bool:
        """Keep an object unless a newer one is known already; tell whether it was news."""
        known = self.objects.setdefault(kind.name, {})
        key = key_of(found)
        if key in known and version_of(known[key]) >= version_of(found):
            return False
        known[key] = found
        return True

    def remove(self, kind: cluster.Kind, key: Key) -> None:
        """Forget an object."""
        self.objects.get(kind.name, {}).pop(key, None)

    def get(self, kind: cluster.Kind, key: Key) -> cluster.Object | None:
        """Give one object, or None."""
        return self.objects.get(kind.name, {}).get(key)

    def all(self, kind: cluster.Kind) -> Iterator[cluster.Object]:
        """Give all objects of a kind."""
        return iter(list(self.objects.get(kind.name, {}).values()))

    def owned(self, kind: cluster.Kind, owner: Key) -> list[cluster.Object]:
        """Give an owner's children of a kind."""
        return [found for found in self.all(kind) if owner_of(found) == owner]


class Watcher:
    """Keeps one kind in the store, and wakes the owners of what changes."""

    def __init__(
        self,
        api: cluster.Cluster,
        kind: cluster.Kind,
        store: Store,
        wake: Callable[[cluster.Kind, cluster.Object], None],
        namespace: str = "",
    ) -> None:
        self._api, self._kind, self._store, self._wake, self._namespace = api, kind, store, wake, namespace
        self.synced = asyncio.Event()
        self.failures = 0

    async def run(self) -> None:
        """List and watch until cancelled; whatever goes wrong is logged and tried again with growing pauses."""
        while True:
            try:
                version = await self._list()
                self.failures = 0
                await self._follow(version)
            except cluster.ExpiredError:
                continue
            except (OSError, TimeoutError, ValueError, cluster.ApiError) as error:
                self.failures += 1
                pause = min(30.0, 0.5 * 2 ** min(self.failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - a jitter, no secret
                logger.warning("watching %s failed (%s): again in %.1f s", self._kind.name, error, pause)
                await asyncio.sleep(pause)

    async def _list(self) -> str:
        listed = await self._api.list_all(self._kind, self._namespace)
        # Only an object that stands alone names its kind; without it, no listed child would be what is wanted.
        items: list[cluster.Object] = [
            {"apiVersion": self._kind.api, "kind": self._kind.name, **item} for item in listed["items"]
        ]
        present = {key_of(item) for item in items}
        for known in self._store.all(self._kind):
            inside = not self._namespace or key_of(known)[0] == self._namespace
            if inside and key_of(known) not in present:
                self._store.remove(self._kind, key_of(known))
                self._wake(self._kind, known)
        for item in items:
            if self._store.put(self._kind, item):
                self._wake(self._kind, item)
        self.synced.set()
        return str(listed["metadata"]["resourceVersion"])

    async def _follow(self, version: str) -> None:
        while True:
            async for event in self._api.watch(self._kind, version, self._namespace):
                found = event["object"]
                version = found["metadata"]["resourceVersion"]
                if event["type"] == "DELETED":
                    self._store.remove(self._kind, key_of(found))
                    self._wake(self._kind, found)
                elif event["type"] != "BOOKMARK" and self._store.put(self._kind, found):
                    self._wake(self._kind, found)
