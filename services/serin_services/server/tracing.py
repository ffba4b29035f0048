"""W3C trace context, and spans for whoever has configured OpenTelemetry; without that nothing of it is imported."""

import dataclasses
import importlib
import importlib.metadata
import logging
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from serin_services.package import manifest

log = logging.getLogger("serin.server")

Headers = Sequence[tuple[str | bytes, str | bytes]]

# https://www.w3.org/TR/trace-context/#traceparent-header: later versions may only add to the end of it.
TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
# As much as everyone must hand on; more is not worth its place in each line of the log.
TRACESTATE_LENGTH = 512

# Any of these means that spans have somewhere to go.
# https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
# The specification samples every root span unless told otherwise; of a server's predictions that is too much.
SAMPLER = "parentbased_traceidratio"
RATIO = "0.01"


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A request as a span tells it: the seconds that it took and its headers; `code` says how it ended, if not well.

    `failed` is for an end that the server is to blame for.
    """

    protocol: str
    request_id: bytes
    seconds: float
    headers: Headers
    rows: int = 0
    code: str = ""
    failed: bool = False


class Trace(NamedTuple):
    """A trace that a request belongs to, as its two headers say it."""

    parent: str
    state: str


def read(headers: Headers) -> Trace | None:
    """Find the trace context of a request; a broken one counts as none, as the specification says."""
    parents, states = [], []
    for name, value in headers:
        if name in {b"traceparent", "traceparent"}:
            parents.append(text(value))
        elif name in {b"tracestate", "tracestate"}:
            states.append(text(value))
    if len(parents) != 1 or not (found := TRACEPARENT.fullmatch(parents[0])) or (found[1] == "00" and found[5]):
        return None
    state = ",".join(states)
    return Trace(parents[0], state if len(state) <= TRACESTATE_LENGTH else "")


def text(value: str | bytes) -> str:
    """Give a header's value as text; HTTP's are bytes and gRPC's are not."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def is_configured(environment: Mapping[str, str]) -> bool:
    """Whether the environment says where spans go, and does not say that there be none."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    return exporter != "none" and bool(exporter or any(environment.get(name) for name in ENDPOINTS))


def exporter_name(environment: Mapping[str, str]) -> str:
    """Give the entry point's name of the exporter: OpenTelemetry's own names are not those of the variables."""
    wanted = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), "http/protobuf")
    named = {"otlp": {"grpc": "otlp_proto_grpc"}.get(protocol, "otlp_proto_http")}
    return named.get(wanted, wanted)


def make(document: manifest.Manifest, environment: Mapping[str, str] = os.environ) -> "Tracer | None":
    """Make a tracer where one is configured.

    A cluster may set these variables for every pod, so what cannot be loaded is said in the log and costs no model.
    """
    if not is_configured(environment):
        return None
    try:
        return Tracer(make_provider(load_exporter(environment)(), environment, document), document)
    except (ImportError, ValueError) as error:
        log.error("no traces are made: %s", error)  # noqa: TRY400 - the message says it all
        return None


def load_exporter(environment: Mapping[str, str]) -> Callable[[], Any]:
    """Load the exporter that the variables name.

    Raises:
        ValueError: it is not installed.
    """
    name = exporter_name(environment)
    for entry in importlib.metadata.entry_points(group="opentelemetry_traces_exporter", name=name):
        loaded: Callable[[], Any] = entry.load()
        return loaded
    raise ValueError(
        f"OTEL_TRACES_EXPORTER: {name} is not installed; install serin[tracing], or that exporter's package"
    )


def make_provider(exporter: Any, environment: Mapping[str, str], document: manifest.Manifest) -> Any:  # noqa: ANN401 - loaded late
    """Set OpenTelemetry up, as the variables say and, where they say nothing, with a small share of traces."""
    sdk = importlib.import_module("opentelemetry.sdk.trace")
    export = importlib.import_module("opentelemetry.sdk.trace.export")
    sampling = importlib.import_module("opentelemetry.sdk.trace.sampling")
    resources = importlib.import_module("opentelemetry.sdk.resources")
    own = {"service.name": document.model, "service.version": document.version}
    if environment.get("OTEL_SERVICE_NAME") or "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        del own["service.name"]
    sampler = make_sampler(sampling, environment)
    provider = sdk.TracerProvider(sampler=sampler, resource=resources.Resource.create(own), shutdown_on_exit=False)
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    return provider


def make_sampler(sampling: Any, environment: Mapping[str, str]) -> Any:  # noqa: ANN401 - loaded late
    """Read the sampler's name and share.

    Raises:
        ValueError: one that OpenTelemetry does not have, or a share outside of 0 to 1.
    """
    name = environment.get("OTEL_TRACES_SAMPLER") or SAMPLER
    share = read_share(environment.get("OTEL_TRACES_SAMPLER_ARG") or RATIO)
    kinds = {
        "always_on": lambda: sampling.ALWAYS_ON,
        "always_off": lambda: sampling.ALWAYS_OFF,
        "traceidratio": lambda: sampling.TraceIdRatioBased(share),
    }
    base = name.removeprefix("parentbased_")
    if base not in kinds:
        raise ValueError(
            f"OTEL_TRACES_SAMPLER: expected one of {', '.join(kinds)}, or parentbased_ of it, got {name!r}"
        )
    root = kinds[base]()
    return sampling.ParentBased(root) if base != name else root


def read_share(given: str) -> float:
    """Read a share of traces."""
    try:
        share = float(given)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise ValueError(f"OTEL_TRACES_SAMPLER_ARG: expected a share from 0 to 1, got {given!r}")
    return share


class Tracer:
    """Makes one server span of each request once it is answered, since only then is it known what it was."""

    def __init__(self, provider: Any, document: manifest.Manifest) -> None:  # noqa: ANN401 - loaded late
        self._provider = provider
        self._tracer = provider.get_tracer("serin", document.version)
        propagation = importlib.import_module("opentelemetry.trace.propagation.tracecontext")
        self._propagator = propagation.TraceContextTextMapPropagator()
        # Not the thread's own: what else runs there is no parent of a request.
        self._empty = importlib.import_module("opentelemetry.context").Context()
        api = importlib.import_module("opentelemetry.trace")
        self._kind, self._error = api.SpanKind.SERVER, api.Status(api.StatusCode.ERROR)
        self._own = {"serin.model": document.model, "serin.version": document.version}

    def trace(self, request: Request, ended: float) -> str:
        """Make the span, given its end in seconds since 1970; gives the `traceresponse` header, in traceparent's form."""
        parent = read(request.headers)
        context = self._empty
        if parent:
            carrier = {"traceparent": parent.parent, "tracestate": parent.state}
            context = self._propagator.extract(carrier, self._empty)
        began = int((ended - request.seconds) * 1e9)
        span = self._tracer.start_span(f"{request.protocol} predict", context, self._kind, start_time=began)
        if span.is_recording():
            span.set_attributes({**self._own, **describe(request)})
            if request.failed:
                span.set_status(self._error)
            span.end(int(ended * 1e9))
        said = span.get_span_context()
        return f"00-{said.trace_id:032x}-{said.span_id:016x}-{said.trace_flags:02x}"

    def close(self, seconds: float) -> None:
        """Send what is left, for so many seconds at most: OpenTelemetry itself tries on for a minute."""
        ending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(seconds)
        if ending.is_alive():
            log.warning("the last spans were not sent within %g s", seconds)


def describe(request: Request) -> dict[str, str | int]:
    """Give a span's attributes; one whose request was not answered well has a code instead of rows."""
    own: dict[str, str | int] = {
        "serin.protocol": request.protocol,
        "serin.request_id": request.request_id.decode("latin-1"),
    }
    return own | ({"serin.code": request.code} if request.code else {"serin.rows": request.rows})
