"""The firing alerts that ask for a rollback, polled while any rollout runs."""

import asyncio
import logging
from collections.abc import Callable

from serin.adapters import prometheus
from serin.core.model import Alert

Key = tuple[str, str]
logger = logging.getLogger(__name__)

ROLLBACK = "rollback"


class AlertBoard:
    """Knows which alerts fire for which object; Prometheus' alerts API is the one source, a webhook only wakes it."""

    def __init__(self, source: prometheus.Prometheus, poll_seconds: float, wake: Callable[[Key], None]) -> None:
        self._source, self._poll_seconds, self._wake = source, poll_seconds, wake
        self._firing: dict[Key, tuple[Alert, ...]] = {}
        self._interested: set[Key] = set()
        self._poke = asyncio.Event()

    def firing(self, key: Key) -> tuple[Alert, ...]:
        """Give the alerts that ask for a rollback of an object."""
        return self._firing.get(key, ())

    def follow(self, key: Key, interested: bool) -> None:
        """Poll while at least one object is interested, and not otherwise."""
        if interested and key not in self._interested:
            self._interested.add(key)
            self._poke.set()
        elif not interested:
            self._interested.discard(key)

    def poke(self) -> None:
        """Poll at once."""
        self._poke.set()

    async def run(self) -> None:
        """Poll until cancelled; an outage leaves what is known, because an alert is not over when nobody answers."""
        while True:
            if not self._interested:
                await self._poke.wait()
            self._poke.clear()
            try:
                await self._read()
            except prometheus.UnavailableError as error:
                logger.debug("alerts cannot be read: %s", error)
            try:
                async with asyncio.timeout(self._poll_seconds):
                    await self._poke.wait()
            except TimeoutError:
                continue

    async def _read(self) -> None:
        found: dict[Key, list[Alert]] = {}
        for firing in await self._source.alerts():
            if firing.action == ROLLBACK:
                alert = Alert(firing.name, firing.revision, firing.message, firing.active_at)
                found.setdefault((firing.namespace, firing.modeldeployment), []).append(alert)
        before, self._firing = self._firing, {key: tuple(alerts) for key, alerts in found.items()}
        for key in before.keys() | self._firing.keys():
            names_before = {(alert.name, alert.revision) for alert in before.get(key, ())}
            if names_before != {(alert.name, alert.revision) for alert in self._firing.get(key, ())}:
                self._wake(key)
