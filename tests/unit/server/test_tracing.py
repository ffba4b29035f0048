"""W3C trace context, and spans with the real OpenTelemetry: off unless configured, and then sampled."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from serin_services.server import tracing
from support import collectors

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}

CONTEXTS = {
    "HTTP headers": ([(b"a", b"b"), (b"traceparent", collectors.PARENT.encode())], (collectors.PARENT, "")),
    "gRPC metadata with state": (
        [("traceparent", collectors.PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")],
        (collectors.PARENT, "a=1,b=2"),
    ),
    "state that is too long": (
        [("traceparent", collectors.PARENT), ("tracestate", "a" * 513)],
        (collectors.PARENT, ""),
    ),
    "a later version with more": (
        [("traceparent", f"01-{TRACE_ID}-{SPAN_ID}-01-more")],
        (f"01-{TRACE_ID}-{SPAN_ID}-01-more", ""),
    ),
    "none": ([(b"host", b"x")], None),
    "state alone": ([("tracestate", "a=1")], None),
    "version 0 with more": ([("traceparent", f"{collectors.PARENT}-more")], None),
    "version ff": ([("traceparent", f"ff{collectors.PARENT[2:]}")], None),
    "capitals": ([("traceparent", collectors.PARENT.upper())], None),
    "no trace": ([("traceparent", f"00-{'0' * 32}-{SPAN_ID}-01")], None),
    "no span": ([("traceparent", f"00-{TRACE_ID}-{'0' * 16}-01")], None),
    "two of them": ([("traceparent", collectors.PARENT)] * 2, None),
    "bytes that are no text": ([(b"traceparent", b"\xff\xfe")], None),
}


@pytest.mark.parametrize(("headers", "expected"), CONTEXTS.values(), ids=CONTEXTS)
def test_a_trace_context_is_read_or_counts_as_none(headers: Any, expected: tuple[str, str] | None) -> None:
    assert tracing.read(headers) == expected


CONFIGURED = {
    "nothing": ({}, False),
    "an endpoint": (HERE, True),
    "an endpoint for traces": ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "x"}, True),
    "an exporter": ({"OTEL_TRACES_EXPORTER": "console"}, True),
    "no exporter": (HERE | {"OTEL_TRACES_EXPORTER": "none"}, False),
    "switched off": (HERE | {"OTEL_SDK_DISABLED": "True"}, False),
    "an empty endpoint": ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    "only a name": ({"OTEL_SERVICE_NAME": "x"}, False),
}


@pytest.mark.parametrize(("environment", "expected"), CONFIGURED.values(), ids=CONFIGURED)
def test_it_is_off_unless_configured(environment: dict[str, str], expected: bool) -> None:
    assert tracing.is_configured(environment) is expected


def test_nothing_of_opentelemetry_is_imported_while_it_is_off() -> None:
    code = (
        "import sys; from serin_services.server import tracing, watch; from support import collectors\n"
        "assert tracing.make(collectors.CLASSIFIER, {}) is None\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'arro3'))])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd="tests", capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


class Kept(SpanExporter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


@pytest.fixture
def kept() -> Kept:
    return Kept()


def make_tracer(kept: Kept, **environment: str) -> tracing.Tracer:
    provider = tracing.make_provider(kept, environment, collectors.CLASSIFIER)
    return tracing.Tracer(provider, collectors.CLASSIFIER)


def make_request(protocol: str = "http", headers: tracing.Headers = (), **ended: Any) -> tracing.Request:
    return tracing.Request(protocol, b"r", 1.0, headers, **ended)


@pytest.fixture
def traced(kept: Kept) -> Iterator[tracing.Tracer]:
    tracer = make_tracer(kept)
    yield tracer
    tracer.close(5)


def test_a_sampled_request_becomes_a_span_of_its_trace(kept: Kept, traced: tracing.Tracer) -> None:
    headers = [(b"traceparent", collectors.PARENT.encode()), (b"tracestate", b"a=1")]
    said = traced.trace(tracing.Request("http", b"r-1", 0.25, headers, rows=3), 100.25)
    traced.close(5)

    (span,) = kept.spans
    assert f"{span.context.trace_id:032x}" == TRACE_ID
    assert f"{span.parent.span_id:016x}" == SPAN_ID
    assert span.context.trace_state.get("a") == "1"
    assert (span.start_time, span.end_time) == (100_000_000_000, 100_250_000_000)
    assert (span.name, span.kind.name) == ("http predict", "SERVER")
    assert span.attributes == {
        "serin.model": "momentum",
        "serin.version": "1.2.0",
        "serin.protocol": "http",
        "serin.request_id": "r-1",
        "serin.rows": 3,
    }
    assert (span.resource.attributes["service.name"], span.resource.attributes["service.version"]) == (
        "momentum",
        "1.2.0",
    )
    assert said == f"00-{TRACE_ID}-{span.context.span_id:016x}-01"


def test_a_request_that_its_caller_did_not_sample_is_passed_on_without_a_span(
    kept: Kept, traced: tracing.Tracer
) -> None:
    said = traced.trace(make_request("grpc", [("traceparent", f"{collectors.PARENT[:-2]}00")]), 2.0)
    traced.close(5)

    assert kept.spans == []
    assert said.startswith(f"00-{TRACE_ID}-")
    assert said.endswith("-00")


ENDS = {
    "a refused one keeps its code, and the server is not to blame": ("400", False, "UNSET"),
    "a failed one is an error": ("INTERNAL", True, "ERROR"),
}


@pytest.mark.parametrize(("code", "failed", "status"), ENDS.values(), ids=ENDS)
def test_a_request_without_a_prediction_becomes_a_span_too(
    code: str, failed: bool, status: str, kept: Kept, traced: tracing.Tracer
) -> None:
    sampled = [("traceparent", collectors.PARENT)]
    traced.trace(make_request(headers=sampled, code=code, failed=failed), 2.0)
    traced.close(5)

    (span,) = kept.spans
    assert (span.attributes["serin.code"], span.status.status_code.name) == (code, status)
    assert "serin.rows" not in span.attributes


SAMPLERS = {
    "always_on": ({"OTEL_TRACES_SAMPLER": "always_on"}, 400, 400),
    "always_off": ({"OTEL_TRACES_SAMPLER": "always_off"}, 0, 0),
    "a share": ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, 50, 160),
    "the default share of roots": ({}, 0, 30),
    "none of them": ({"OTEL_TRACES_SAMPLER_ARG": "0"}, 0, 0),
}


@pytest.mark.parametrize(("environment", "least", "most"), SAMPLERS.values(), ids=SAMPLERS)
def test_requests_without_a_caller_are_sampled(environment: dict[str, str], least: int, most: int, kept: Kept) -> None:
    tracer = make_tracer(kept, **environment)
    for _ in range(400):
        tracer.trace(make_request(), 2.0)
    tracer.close(5)

    assert least <= len(kept.spans) <= most


@pytest.mark.timeout(30)
def test_an_endpoint_that_hangs_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture) -> None:
    released = threading.Event()

    class Hanging(Kept):
        def export(self, spans: Any) -> SpanExportResult:
            released.wait()
            return super().export(spans)

    tracer = make_tracer(Hanging(), OTEL_TRACES_SAMPLER="always_on")
    tracer.trace(make_request(), 2.0)
    tracer.close(0.01)
    released.set()

    assert "the last spans were not sent within 0.01 s" in caplog.text


def test_a_name_from_the_environment_wins(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "theirs")
    tracer = make_tracer(kept, OTEL_SERVICE_NAME="theirs", OTEL_TRACES_SAMPLER="always_on")
    tracer.trace(make_request(), 2.0)
    tracer.close(5)

    assert kept.spans[0].resource.attributes["service.name"] == "theirs"


UNUSABLE = {
    "an exporter that nobody has": {"OTEL_TRACES_EXPORTER": "nobody"},
    "a protocol that is not installed": HERE | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    "a sampler that does not exist": HERE | {"OTEL_TRACES_SAMPLER": "often"},
    "a share that is no number": HERE | {"OTEL_TRACES_SAMPLER_ARG": "much"},
    "a share above one": HERE | {"OTEL_TRACES_SAMPLER_ARG": "2"},
}


@pytest.mark.parametrize("environment", UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_said_and_costs_no_model(
    environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert tracing.make(collectors.CLASSIFIER, environment) is None
    assert "no traces are made: OTEL_" in caplog.text
