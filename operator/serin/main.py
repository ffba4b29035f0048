"""The operator's process: reads its settings from the environment, connects the parts, and runs until told to stop."""

import asyncio
import json
import logging
import math
import os
import signal
import sys
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kopf
import uvloop

from serin import handlers, reconcile
from serin.adapters import alerts, analysis, cluster, exporter, health, prometheus, queue, watches, web

logger = logging.getLogger("serin")


@dataclass(frozen=True)
class Settings:
    """What the environment says."""

    prometheus_url: str = "http://prometheus.monitoring.svc:9090"
    evaluation_seconds: float = 5.0
    alert_poll_seconds: float = 0.5
    namespaces: tuple[str, ...] = ()
    log_level: str = "INFO"
    log_format: str = "text"
    webhook_token: str = field(default="", repr=False)
    port: int = web.PORT


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level, logger, message, and the traceback if there is one."""
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


_FORMATTERS: dict[str, logging.Formatter] = {
    "text": logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"),
    "json": JsonFormatter(),
}


class SettingsError(Exception):
    """An environment variable that makes no sense; the text names it, what came and what was expected."""


def read_settings(environment: dict[str, str]) -> Settings:
    """Read the settings from environment variables SERIN_…

    Raises:
        SettingsError: a variable has no usable value.
    """
    defaults = Settings()
    level = environment.get("SERIN_LOG_LEVEL", defaults.log_level).upper()
    if level not in logging.getLevelNamesMapping():
        raise SettingsError(f"SERIN_LOG_LEVEL is {level!r}; expected DEBUG, INFO, WARNING or ERROR")
    log_format = environment.get("SERIN_LOG_FORMAT", defaults.log_format)
    if log_format not in _FORMATTERS:
        raise SettingsError(f"SERIN_LOG_FORMAT is {log_format!r}; expected {' or '.join(_FORMATTERS)}")
    token_file = environment.get("SERIN_WEBHOOK_TOKEN_FILE", "")
    return Settings(
        prometheus_url=_read_url(environment, defaults.prometheus_url),
        evaluation_seconds=_read_seconds(environment, "SERIN_EVALUATION_SECONDS", defaults.evaluation_seconds),
        alert_poll_seconds=_read_seconds(environment, "SERIN_ALERT_POLL_SECONDS", defaults.alert_poll_seconds),
        namespaces=tuple(filter(None, map(str.strip, environment.get("SERIN_WATCH_NAMESPACES", "").split(",")))),
        log_level=level,
        log_format=log_format,
        webhook_token=_read_token(token_file),
        port=int(_read_seconds(environment, "SERIN_PORT", defaults.port)),
    )


def _read_url(environment: dict[str, str], default: str) -> str:
    url = environment.get("SERIN_PROMETHEUS_URL", default)
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"SERIN_PROMETHEUS_URL is {url!r}; expected http://… or https://…")
    return url


def _read_seconds(environment: dict[str, str], name: str, default: float) -> float:
    text = environment.get(name, str(default))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < math.inf:
        raise SettingsError(f"{name} is {text!r}; expected a number above 0")
    return seconds


def _read_token(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise SettingsError(f"SERIN_WEBHOOK_TOKEN_FILE is {path!r}, which cannot be read: {error.strerror}") from error


class Operator:
    """All parts, connected."""

    def __init__(self, settings: Settings, api: cluster.Cluster) -> None:
        self.settings, self.api = settings, api
        self.store = watches.Store()
        self.source = prometheus.Prometheus(settings.prometheus_url)
        self.export = exporter.Exporter()
        self.queue = queue.Queue(self._work)
        self.board = alerts.AlertBoard(self.source, settings.alert_poll_seconds, self.queue.wake)
        self.reconciler = reconcile.Reconciler(
            api,
            self.store,
            analysis.Analyst(self.source),
            self.board,
            self.export,
            reconcile.Settings(settings.evaluation_seconds),
        )
        self.health = health.Health(api, self.store, self.queue.wake, self.queue.lateness, settings.namespaces)
        self.watchers = [
            watches.Watcher(api, kind, self.store, self._wake_owners, namespace)
            for kind in cluster.WATCHED
            # A Gateway may be in a namespace that is not watched.
            for namespace in (("",) if kind is cluster.GATEWAY else settings.namespaces or ("",))
        ]
        self.kopf_ready = asyncio.Event()

    async def _work(self, key: queue.Key) -> float | None:
        if key == health.HEARTBEAT:
            self.health.beat()
            return health.HEARTBEAT_SECONDS
        return await self.reconciler.reconcile(key)

    def _wake_owners(self, kind: cluster.Kind, found: cluster.Object) -> None:
        owner = watches.owner_of(found)
        if owner:
            self.queue.wake(owner)
        elif kind is cluster.GATEWAY:
            for item in self.store.all(cluster.MODELDEPLOYMENT):
                self.queue.wake(watches.key_of(item))

    def is_ready(self) -> bool:
        """Tell whether everything has been read once."""
        return self.kopf_ready.is_set() and all(watcher.synced.is_set() for watcher in self.watchers)

    async def _run_queue(self) -> None:
        """Work only once all is known: a child that has not been read yet looks like one that is lost."""
        for watcher in self.watchers:
            await watcher.synced.wait()
        self.queue.wake(health.HEARTBEAT)
        await self.queue.run()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop, or until a part fails, which ends the process and lets the kubelet start it again."""
        app = web.make_app(self.health, self.export, self.is_ready, self.settings.webhook_token, self.board.poke)
        runner = await web.serve(app, self.settings.port)
        parts: list[Coroutine[Any, Any, None]] = [watcher.run() for watcher in self.watchers]
        parts += [self._run_queue(), self.board.run(), self.health.run(), self._run_kopf(stop)]
        tasks = [asyncio.create_task(part) for part in parts]
        stopping = asyncio.create_task(_wait(stop))
        try:
            done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in [*tasks, stopping]:
                task.cancel()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)
            await runner.cleanup()
            await self.source.close()

    async def _run_kopf(self, stop: asyncio.Event) -> None:
        settings = kopf.OperatorSettings()
        handlers.configure(settings)
        await kopf.operator(
            registry=handlers.make_registry(self.store, self.queue.wake),
            settings=settings,
            standalone=True,
            # Kopf would ask for the user's name otherwise, and a bare uid in a container has none.
            identity="serin",  # type: ignore[arg-type] # a NewType of str that Kopf keeps to itself
            clusterwide=not self.settings.namespaces,
            namespaces=self.settings.namespaces,
            ready_flag=self.kopf_ready,
            stop_flag=stop,
        )


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def run(settings: Settings) -> None:
    """Connect to the cluster and run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    api = await cluster.Cluster.connect()
    try:
        await Operator(settings, api).run(stop)
    finally:
        await api.close()


def main() -> None:
    """Start the operator."""
    try:
        settings = read_settings(dict(os.environ))
    except SettingsError as error:
        sys.exit(f"serin: {error}")
    handler = logging.StreamHandler()
    handler.setFormatter(_FORMATTERS[settings.log_format])
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    for noisy in ("kopf", "aiohttp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    uvloop.run(run(settings))


if __name__ == "__main__":
    main()
