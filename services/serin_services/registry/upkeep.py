"""What keeps the registry small: rows and uploads go when their time is up, once a day or when somebody asks for it."""

import datetime as dt
import logging
import threading
from collections.abc import Callable, Mapping

from serin_services.registry import errors
from serin_services.registry.artifacts.store import Store
from serin_services.registry.database.sessions import Database
from serin_services.registry.records import maintenance
from serin_services.registry.settings import Settings

log = logging.getLogger("serin.registry")

# Longer than any upload takes.
_UNFINISHED = dt.timedelta(days=1)
_EVERY = dt.timedelta(days=1)


def make_ages(settings: Settings) -> maintenance.Ages:
    """Read how long things are kept from the settings."""
    return maintenance.Ages(
        shadow_results=dt.timedelta(days=settings.shadow_days),
        retired_versions=dt.timedelta(days=settings.retired_days),
        idempotency_keys=dt.timedelta(hours=settings.idempotency_hours),
    )


def describe(settings: Settings) -> Mapping[str, str]:
    """Tell each rule in a sentence, by its name."""
    ages = make_ages(settings)
    told = {rule.name: rule.what.format(age=_tell(rule.age(ages))) for rule in maintenance.RULES}
    return {**told, "unfinished_uploads": f"uploads that broke off are removed after {_tell(_UNFINISHED)}"}


def _tell(age: dt.timedelta) -> str:
    hours = round(age / dt.timedelta(hours=1))
    return f"{hours // 24} days" if hours % 24 == 0 and hours > 24 else f"{hours} hours"


def carry_out(database: Database, store: Store, settings: Settings, now: dt.datetime) -> Mapping[str, int]:
    """Do all of it once, and give how much each of the rules reached.

    Raises:
        errors.RegistryError: the database or the store does not answer; what was done before stays done.
    """
    reached = maintenance.run(database, now, make_ages(settings))
    return {**reached, "unfinished_uploads": store.remove_unfinished(now - _UNFINISHED)}


class Upkeep:
    """A thread that does it at the start and then once a day; replicas that do it at the same time do not mind each other."""

    def __init__(
        self,
        database: Database,
        store: Store,
        settings: Settings,
        clock: Callable[[], dt.datetime],
        every: dt.timedelta = _EVERY,
    ) -> None:
        self._database, self._store, self._settings, self._clock = database, store, settings, clock
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; what is under way may be broken off with the process."""
        self._ended.set()

    def wait(self) -> None:
        """Wait until what is under way has ended."""
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                reached = carry_out(self._database, self._store, self._settings, self._clock())
                log.info("upkeep: %s", {name: count for name, count in reached.items() if count} or "nothing was due")
            except errors.RegistryError as error:
                log.warning("upkeep: %s; it is tried again in %s", error, self._every)
            self._ended.wait(self._every.total_seconds())
