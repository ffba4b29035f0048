"""A real server with a prediction log, a cache and traces, asked over both protocols and ended while it is asked."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from serin_services.server import runtime, settings
from serin_services.server.oip import open_inference_pb2 as oip
from serin_services.server.oip import open_inference_pb2_grpc as oip_grpc
from support import collectors, packages, server_process

GOOD = [30, 1000.5, 0.25, 4]
EACH = 40


class Ended(NamedTuple):
    """What is left of a server that was ended under load."""

    code: int
    answered: dict[str, str]
    lines: list[dict[str, object]]
    metrics: str
    answers: list[dict[str, str]]
    refusals: dict[str, str]
    spans: list[object]


def ask_http(server: server_process.ServerProcess, request_id: str) -> dict[str, str]:
    headers = {"x-request-id": request_id, "traceparent": collectors.PARENT, "tracestate": "a=1"}
    answer = server.call("/predict", {"rows": [GOOD, GOOD]}, **headers)
    assert answer.status == 200
    return {name.lower(): value for name, value in answer.headers.items()}


def ask_grpc(stub: oip_grpc.GRPCInferenceServiceStub, request_id: str) -> dict[str, str]:
    request = oip.ModelInferRequest(id=request_id)
    tensor = request.inputs.add(name="rows", datatype="FP64", shape=[1, 4])
    tensor.contents.fp64_contents.extend(GOOD)
    _, call = stub.ModelInfer.with_call(request, metadata=[("traceparent", collectors.PARENT)])
    return dict(call.initial_metadata())


def ask_wrongly(server: server_process.ServerProcess, stub: oip_grpc.GRPCInferenceServiceStub) -> dict[str, str]:
    """Ask once over each protocol for what is refused, and give what both say of the trace, by the code."""
    over_http = server.call("/predict", {"rows": [[1]]}, traceparent=collectors.PARENT)
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(oip.ModelInferRequest(model_name="another"), metadata=[("traceparent", collectors.PARENT)])
    metadata = dict(caught.value.initial_metadata())
    return {
        str(over_http.status): {name.lower(): value for name, value in over_http.headers.items()}["traceresponse"],
        caught.value.code().name: metadata["traceresponse"],
    }


class Client(threading.Thread):
    """Asks until the server is gone; says when it has been answered often."""

    def __init__(self, name: str, ask: Callable[[str], dict[str, str]]) -> None:
        super().__init__()
        self.answers: dict[str, dict[str, str]] = {}
        self.often = threading.Event()
        self._ask = ask
        self._prefix = name

    def run(self) -> None:
        while True:
            request_id = f"{self._prefix}-{len(self.answers)}"
            try:
                self.answers[request_id] = self._ask(request_id)
            except (OSError, grpc.RpcError):
                self.often.set()
                return
            if len(self.answers) >= EACH:
                self.often.set()


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    scratch = tmp_path_factory.mktemp("watched")
    packages.make_package(scratch / "package")
    with collectors.collecting() as collector:
        server = server_process.start(
            scratch / "package",
            scratch / "run",
            # Long enough that only the end writes it.
            SERIN_PREDICTION_LOG=f"file://{scratch}/log.jsonl#flush_seconds=3600",
            SERIN_CACHE_ENTRIES="10",
            SERIN_DRAIN_SECONDS="0.5",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}",
        )
        server.wait_until(200)
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            stub = oip_grpc.GRPCInferenceServiceStub(channel)
            refusals = ask_wrongly(server, stub)
            clients = [
                Client("h", lambda request_id: ask_http(server, request_id)),
                Client("g", lambda request_id: ask_grpc(stub, request_id)),
            ]
            for client in clients:
                client.start()
            for client in clients:
                assert client.often.wait(server_process.DEADLINE_SECONDS)
            metrics = server.metrics()
            code = server.end()
            for client in clients:
                client.join()
        spans = [span for _, body in collector.requests for span in read_spans(body)]
    lines = [json.loads(line) for line in (scratch / "log.jsonl").read_text().splitlines()]
    answered = {
        name: protocol for client, protocol in zip(clients, ("http", "grpc"), strict=True) for name in client.answers
    }
    answers = [answer for client in clients for answer in client.answers.values()]
    return Ended(code, answered, lines, metrics, answers, refusals, spans)


def read_spans(body: bytes) -> list[object]:
    request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
    return [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]


def test_every_answered_request_is_in_the_log_once(ended: Ended) -> None:
    logged = [line["id"] for line in ended.lines]

    assert ended.code == 0
    assert len(ended.answered) >= 2 * EACH
    assert len(set(logged)) == len(logged)
    assert {request_id for request_id, protocol in ended.answered.items() if protocol == "grpc"} <= {
        line["request_id"] for line in ended.lines
    }
    assert {
        f"{request_id}/{row}" for request_id, protocol in ended.answered.items() for row in (0, 1) if protocol == "http"
    } <= set(logged)


def test_both_protocols_are_logged_alike(ended: Ended) -> None:
    http, over_grpc = (next(line for line in ended.lines if line["protocol"] == name) for name in ("http", "grpc"))

    for line in (http, over_grpc):
        assert line["features"] == dict(zip(packages.NAMES, GOOD, strict=True))
        assert line["label"] in {"down", "up"}
        assert line["confidence"] == max(line["outputs"]["probabilities"])
        assert line["traceparent"] == collectors.PARENT
        assert (line["model"], line["version"]) == ("momentum", "1.2.0")
    assert http["outputs"] == over_grpc["outputs"]
    assert (http["tracestate"], "tracestate" in over_grpc) == ("a=1", False)


def test_its_metrics_count_the_log_and_the_cache(ended: Ended) -> None:
    def value(start: str) -> float:
        return float(next(line for line in ended.metrics.splitlines() if line.startswith(start)).split()[-1])

    assert value("serin_prediction_log_records_total") >= 3 * EACH
    assert value("serin_prediction_log_dropped_total") == 0
    assert value('serin_cache_lookups_total{model="momentum",result="hit"') >= 2 * EACH - 4
    assert value('serin_cache_lookups_total{model="momentum",result="miss"') <= 4
    assert (
        sum(
            float(line.split()[-1])
            for line in ended.metrics.splitlines()
            if line.startswith("serin_predictions_total{")
        )
        >= 3 * EACH
    )


def test_every_sampled_request_is_a_span_and_its_answer_names_it(ended: Ended) -> None:
    made = {f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01" for span in ended.spans}

    assert {span.trace_id.hex() for span in ended.spans} == {collectors.PARENT.split("-")[1]}
    assert {answer["traceresponse"] for answer in ended.answers} <= made


def test_a_refused_request_is_a_span_with_its_code(ended: Ended) -> None:
    codes = {
        f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01": attribute.value.string_value
        for span in ended.spans
        for attribute in span.attributes
        if attribute.key == "serin.code"
    }

    assert set(ended.refusals) == {"400", "NOT_FOUND"}
    assert codes == {said: code for code, said in ended.refusals.items()}


def test_a_wrong_address_is_named_by_its_variable_and_never_quoted(tmp_path: Path) -> None:
    packages.make_package(tmp_path / "package")

    with pytest.raises(ValueError, match=r"^SERIN_PREDICTION_LOG: expected - or an address") as caught:
        runtime.load(settings.Settings(package=tmp_path / "package", prediction_log="kafka://secret@x"))
    assert "secret" not in str(caught.value)
