"""One loaded model version with its state and counters: what every way of running the server is built on."""

import dataclasses
import logging
from collections.abc import Callable

import prometheus_client

from serin_services.package import errors, families, folder, manifest, sandbox
from serin_services.server import admission, cache, inference, mode, settings, signature, state, telemetry, watch

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
    sandbox.leave_early()
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
    served = wrap(predictor) if wrap else predictor
    runtime.model = inference.Inference(
        document,
        signature.Signature(document, options.max_rows),
        served,
        telemetry.Telemetry(document, package.digest, registry),
        inference.Parts(
            watching=watch.make(options, document, registry),
            known=cache.make(options.cache_entries, options.cache_bytes, document, registry),
            door=admission.Admission(options.max_waiting, options.max_wait_seconds),
            serving=decide(options.batching, document, served),
        ),
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


def decide(wanted: str, document: manifest.Manifest, predictor: families.Predictor) -> mode.Mode:
    """Decide how to serve a model; whether requests are predicted together may be set.

    Raises:
        ValueError: the setting is none of the three.
    """
    if wanted not in {"on", "off", "auto"}:
        raise ValueError(f"SERIN_BATCHING: expected on, off or auto, got {wanted!r}")
    chosen = mode.choose(document, predictor)
    return chosen if wanted == "auto" else dataclasses.replace(chosen, batched=wanted == "on")
