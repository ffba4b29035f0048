"""One loaded model version with its state and counters: what every way of running the server is built on."""

import dataclasses
import logging
from collections.abc import Callable

import prometheus_client

from serin_services.package import errors, families, folder
from serin_services.server import cache, inference, settings, signature, state, telemetry, watch

log = logging.getLogger("serin.server")

# Given the predictor of the package, gives the one to serve with: how an image's own layer adds to what is served.
Wrap = Callable[[families.Predictor], families.Predictor]


@dataclasses.dataclass
class Runtime:
    """Either a model at work, or the state says why there is none."""

    state: state.State
    model: inference.Inference | None = None


def load(options: settings.Settings, wrap: Wrap | None = None) -> Runtime:
    """Load the package; one that must not be served gives a runtime that refuses, instead of an error.

    Raises:
        ValueError: a setting cannot be followed, with the variable's name.
    """
    runtime = Runtime(state.State())
    try:
        package = folder.read(options.package)
        predictor = folder.open_package(package)
    except errors.PackageError as error:
        log.error("the package is refused: %s", error)  # noqa: TRY400 - the message says it all, a traceback nothing
        runtime.state.refuse(error)
        return runtime
    document = package.manifest
    registry = prometheus_client.CollectorRegistry()
    for collector in (
        prometheus_client.ProcessCollector,
        prometheus_client.PlatformCollector,
        prometheus_client.GCCollector,
    ):
        collector(registry=registry)
    runtime.model = inference.Inference(
        document,
        signature.Signature(document, options.max_rows),
        wrap(predictor) if wrap else predictor,
        telemetry.Telemetry(document, package.digest, registry),
        watch.make(options, document, registry),
        cache.make(options.cache_entries, options.cache_bytes, document, registry),
    )
    log.info(
        "loaded %s %s (%s, %s, %d features)",
        document.model,
        document.version,
        document.family,
        document.task,
        len(document.features),
    )
    return runtime
