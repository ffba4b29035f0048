"""Kopf's side: its settings, and ModelDeployment events, which only wake the queue.

No timers, daemons, delete or create handlers: Kopf gives objects with such handlers a finalizer, and an operator that is
uninstalled must never keep anybody from deleting their objects. Event handlers also keep no annotations on objects.
"""

import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

import kopf

from serin.adapters import cluster, watches
from serin.api import names

logger = logging.getLogger(__name__)


class JitteredBackoffs:
    """Pauses in seconds between tries of a failed request, spread so that many operators do not come back at once."""

    def __iter__(self) -> Iterator[float]:
        """Give the pauses of one request."""
        for seconds in (0.2, 0.5, 1.0, 2.0, 4.0, 8.0):
            yield seconds * random.uniform(0.5, 1.5)  # noqa: S311 - a jitter, no secret


def configure(settings: kopf.OperatorSettings) -> None:
    """Set what Kopf leaves open: time limits on every request and watch, so that a silent connection ends."""
    settings.persistence.finalizer = f"{names.GROUP}/finalizer"
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = JitteredBackoffs()
    settings.watching.server_timeout = 600
    settings.watching.client_timeout = 660
    settings.queueing.worker_limit = 50
    settings.execution.max_workers = 4
    settings.posting.enabled = False
    settings.scanning.disabled = True


def make_registry(store: watches.Store, wake: Callable[[watches.Key], None]) -> kopf.OperatorRegistry:
    """Make the handlers: each change of an object goes to the store, and what people changed wakes the queue."""
    registry = kopf.OperatorRegistry()

    # A coroutine, because Kopf runs plain functions in threads, and the queue belongs to the event loop.
    async def note_event(**kwargs: Any) -> None:  # noqa: ANN401 - Kopf's keywords
        note(store, wake, kwargs["event"])

    async def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - Kopf's keywords
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    kopf.on.login(registry=registry)(log_in)
    kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)(note_event)
    return registry


def note(store: watches.Store, wake: Callable[[watches.Key], None], event: dict[str, Any]) -> None:
    """Put what an event brings into the store."""
    found = dict(event["object"])
    key = watches.key_of(found)
    if event["type"] == "DELETED":
        store.remove(cluster.MODELDEPLOYMENT, key)
        wake(key)
        return
    known = store.get(cluster.MODELDEPLOYMENT, key)
    if store.put(cluster.MODELDEPLOYMENT, found) and (known is None or watches.is_edited(known, found)):
        wake(key)
