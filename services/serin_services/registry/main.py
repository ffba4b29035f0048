"""Serves the registry: `python -m serin_services.registry.main`."""

import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Iterator

import prometheus_client
import uvicorn

from serin_services.registry import errors, settings, upkeep, wiring
from serin_services.registry.api import metrics
from serin_services.registry.api.app import make_app
from serin_services.registry.api.connection import make_protocol
from serin_services.registry.api.context import Services
from serin_services.registry.settings import Settings

log = logging.getLogger("serin.registry")

EXIT_USAGE = 2


def main() -> None:
    """Serve until SIGTERM; end with 2 where the settings are wrong or what they name cannot be used."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        with open_services(settings.read()) as services:
            serve(services)
    except (ValueError, errors.RegistryError) as error:
        log.error("%s", error)  # noqa: TRY400 - a wrong setting needs no traceback
        sys.exit(EXIT_USAGE)


@contextlib.contextmanager
def open_services(options: Settings) -> Iterator[Services]:
    """Open database, store and cluster, with the tables up to date where that is asked for.

    Raises:
        errors.RegistryError: one of them cannot be used.
    """
    with contextlib.ExitStack() as stack:
        database = wiring.open_database(options)
        stack.callback(database.close)
        if options.upgrade or options.is_sqlite:
            database.upgrade()
        store = wiring.open_store(options)
        cluster = wiring.open_cluster(options, database)
        if cluster is None:
            yield Services(options, database, store)
            return
        cluster.follower.start()
        stack.callback(cluster.follower.stop)
        yield Services(options, database, store, cluster.deployer, cluster.follower)


def make_server(services: Services) -> uvicorn.Server:
    """Make the server; requests that run when it is told to end are finished first."""
    options = services.settings
    return uvicorn.Server(
        uvicorn.Config(
            make_app(services),
            host=options.host,
            port=options.port,
            loop="uvloop",
            http=make_protocol(options),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips=options.trusted_proxies,
            timeout_graceful_shutdown=round(options.drain_seconds),
            ssl_certfile=options.tls_cert,
            ssl_keyfile=options.tls_key,
        )
    )


def serve(services: Services) -> None:
    """Serve, with the metrics on a port of their own."""
    options = services.settings
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # the library leaves it so
    services.telemetry.registry.register(metrics.Outcomes(services.database, services.clock))
    scrapes, _ = prometheus_client.start_http_server(options.metrics_port, options.host, services.telemetry.registry)
    # Before uvicorn takes signals over, and when it has ended and sends itself the same one again: what is open is closed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    daily = upkeep.Upkeep(services.database, services.artifacts, options, services.clock)
    daily.start()
    try:
        server = make_server(services)
        # What was loaded stays: to look through it for garbage takes some 0.15 s, in the middle of a request.
        gc.collect()
        gc.freeze()
        server.run()
    finally:
        daily.stop()
        scrapes.shutdown()
        scrapes.server_close()


if __name__ == "__main__":
    main()
