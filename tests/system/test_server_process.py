"""The real server as a process: both protocols, its metrics, its end, and packages that it refuses."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import proto_reflection_descriptor_database

from serin_services.package import errors, folder
from serin_services.server import main, runtime, settings, state
from serin_services.server.oip import open_inference_pb2 as oip
from serin_services.server.oip import open_inference_pb2_grpc as oip_grpc
from support import packages, server_process

GOOD = [30, 1000.5, 0.25, 4]

# What an image's own layer may hold: a server that fails when the first number of the first row is 13.
WRAPPER = """
from serin_services.server import main

class Moody:
    def __init__(self, inner):
        self.inner = inner

    def predict(self, *inputs):
        if inputs[0][0, 0] == 13:
            raise RuntimeError("the moody layer")
        return self.inner.predict(*inputs)

main.serve(wrap=Moody)
"""


class Servers:
    """Every server of these tests, started at once, because each takes seconds to start.

    `good` is left as it is, `wrapped` serves another family with the layer above and is ended by a test.
    """

    def __init__(self, scratch: Path) -> None:
        packages.make_package(scratch / "good")
        packages.make_package(scratch / "light", packages.lightgbm_model("regression"), labels=None)
        packages.make_package(scratch / "bad")
        (scratch / "bad" / "model.ubj").write_bytes(b"{L broken")
        wrapper = scratch / "wrapper.py"
        wrapper.write_text(WRAPPER)
        self.good = server_process.start(scratch / "good", scratch / "run-good", SERIN_DRAIN_SECONDS="0")
        self.wrapped = server_process.start(
            scratch / "light", scratch / "run-wrapped", str(wrapper), SERIN_DRAIN_SECONDS="1.5"
        )
        self.refused = server_process.start(scratch / "bad", scratch / "run-refused", SERIN_REFUSAL_SECONDS="600")
        self.bento = subprocess.Popen(
            [sys.executable, "-m", "bentoml", "build", "--output", "tag"],
            cwd=scratch / "good",
            env={**os.environ, "BENTOML_HOME": str(scratch / "bentos"), "BENTOML_DO_NOT_TRACK": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.package = scratch / "good"
        self.bentos = scratch / "bentos" / "bentos"
        self.digest = folder.read(scratch / "good").digest

    def end(self) -> None:
        for process in (self.good, self.wrapped, self.refused):
            process.end()
        self.bento.communicate()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    started = Servers(tmp_path_factory.mktemp("servers"))
    yield started
    started.end()


@pytest.fixture
def good(servers: Servers) -> server_process.ServerProcess:
    servers.good.wait_until(200)
    return servers.good


@pytest.fixture
def channel(good: server_process.ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{good.grpc_port}") as made:
        yield made


def infer_request(*rows: list[float], name: str = "momentum", raw: bool = False) -> oip.ModelInferRequest:
    request = oip.ModelInferRequest(model_name=name, id="7")
    tensor = request.inputs.add(name="rows", datatype="FP64", shape=[len(rows), len(rows[0])])
    tensor.contents.fp64_contents.extend(value for row in rows for value in row)
    if raw:
        values = packages.np.array(rows, dtype="<f8")
        tensor.ClearField("contents")
        request.raw_input_contents.append(values.tobytes())
    return request


def test_it_answers_over_http(good: server_process.ServerProcess) -> None:
    answer = good.call(
        "/predict", {"rows": [GOOD, dict(zip(packages.NAMES, GOOD, strict=True))]}, **{"x-request-id": "r-1"}
    )

    assert answer.status == 200
    assert answer.headers["x-model-version"] == "1.2.0"
    assert answer.headers["x-request-id"] == "r-1"
    first, second = answer.body["predictions"]
    assert first == second
    assert first["label"] in {"down", "up"}
    assert first["confidence"] == max(first["probabilities"].values())
    assert (answer.body["model"], answer.body["version"]) == ("momentum", "1.2.0")


def test_it_says_what_is_wrong_with_a_request(good: server_process.ServerProcess) -> None:
    answer = good.call("/predict", {"rows": [GOOD[:3]]})

    assert answer.status == 400
    assert answer.body == {
        "error": "rows[0]: expected 4 features, got 3",
        "reason": "FeatureCount",
        "field": "rows[0]",
        "expected": "4 features",
        "got": "3",
    }
    assert answer.headers["x-model-version"] == "1.2.0"
    assert len(answer.headers["x-request-id"]) == 24


def test_other_methods_paths_and_sizes_are_refused(good: server_process.ServerProcess) -> None:
    assert good.call("/predict").status == 405
    assert good.call("/predict", b" " * (16 * 1024 * 1024 + 1)).status == 413
    assert good.call("/livez").body == {"live": True}


def test_bentoml_answers_the_other_paths_and_no_metrics(good: server_process.ServerProcess) -> None:
    routes = good.call("/schema.json").body["routes"]

    assert [route["route"] for route in routes] == ["/predict"]
    with pytest.raises(json.JSONDecodeError):
        good.call("/metrics")


def test_it_answers_over_grpc_typed_and_raw(channel: grpc.Channel) -> None:
    stub = oip_grpc.GRPCInferenceServiceStub(channel)

    typed, call = stub.ModelInfer.with_call(infer_request(GOOD, GOOD), metadata=[("x-request-id", "g-1")])
    raw = stub.ModelInfer(infer_request(GOOD, GOOD, raw=True))

    assert dict(call.initial_metadata()) == {"x-model-version": "1.2.0", "x-request-id": "g-1"}
    assert (typed.model_name, typed.model_version, typed.id) == ("momentum", "1.2.0", "7")
    by_name = {output.name: output for output in typed.outputs}
    assert list(by_name) == ["label", "confidence", "probabilities"]
    assert list(by_name["probabilities"].shape) == [2, 2]
    label, confidence = by_name["label"].contents.bytes_contents[0], by_name["confidence"].contents.fp32_contents[0]
    assert raw.raw_output_contents[0].startswith(len(label).to_bytes(4, "little") + label)
    assert packages.np.frombuffer(raw.raw_output_contents[1], "<f4")[0] == pytest.approx(confidence)


def test_both_protocols_give_the_same_answer(good: server_process.ServerProcess, channel: grpc.Channel) -> None:
    http = good.call("/predict", {"rows": [GOOD]}).body["predictions"][0]
    outputs = oip_grpc.GRPCInferenceServiceStub(channel).ModelInfer(infer_request(GOOD)).outputs

    assert outputs[0].contents.bytes_contents[0].decode() == http["label"]
    assert outputs[1].contents.fp32_contents[0] == pytest.approx(http["confidence"])


def test_grpc_gives_only_the_outputs_asked_for(channel: grpc.Channel) -> None:
    stub = oip_grpc.GRPCInferenceServiceStub(channel)
    request = infer_request(GOOD)
    request.outputs.add(name="label")

    assert [output.name for output in stub.ModelInfer(request).outputs] == ["label"]
    request.outputs.add(name="colour")
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


WRONG = {
    "22 features": (infer_request([1.0] * 22), "INVALID_ARGUMENT", "rows: expected 4 features"),
    "another model": (infer_request(GOOD, name="other"), "NOT_FOUND", "expected 'momentum', got 'other'"),
}


@pytest.mark.parametrize(("request_", "code", "said"), WRONG.values(), ids=WRONG)
def test_grpc_says_what_is_wrong(request_: oip.ModelInferRequest, code: str, said: str, channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        oip_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request_)

    assert caught.value.code().name == code
    assert said in caught.value.details()
    assert dict(caught.value.initial_metadata())["x-model-version"] == "1.2.0"


def test_grpc_describes_the_model(channel: grpc.Channel) -> None:
    stub = oip_grpc.GRPCInferenceServiceStub(channel)

    metadata = stub.ModelMetadata(oip.ModelMetadataRequest(name="momentum"))

    assert stub.ServerLive(oip.ServerLiveRequest()).live
    assert stub.ServerReady(oip.ServerReadyRequest()).ready
    assert stub.ModelReady(oip.ModelReadyRequest(name="momentum", version="1.2.0")).ready
    assert stub.ServerMetadata(oip.ServerMetadataRequest()).name == "serin"
    assert (metadata.name, list(metadata.versions), metadata.platform) == ("momentum", ["1.2.0"], "xgboost")
    assert (metadata.inputs[0].datatype, list(metadata.inputs[0].shape)) == ("FP32", [-1, 4])
    with pytest.raises(grpc.RpcError):
        stub.ModelReady(oip.ModelReadyRequest(name="momentum", version="9"))


def test_a_client_without_our_code_finds_its_way_by_reflection(channel: grpc.Channel) -> None:
    database = proto_reflection_descriptor_database.ProtoReflectionDescriptorDatabase(channel)
    pool = descriptor_pool.DescriptorPool(database)
    method = pool.FindServiceByName("inference.GRPCInferenceService").FindMethodByName("ModelInfer")
    request_class = message_factory.GetMessageClass(method.input_type)
    response_class = message_factory.GetMessageClass(method.output_type)
    call = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=request_class.SerializeToString,
        response_deserializer=response_class.FromString,
    )

    response = call(request_class.FromString(infer_request(GOOD).SerializeToString()))

    assert {"grpc.health.v1.Health", "inference.GRPCInferenceService"} <= set(database.get_services())
    assert response.model_version == "1.2.0"


def test_grpc_health_says_serving(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)

    for service in ("", "inference.GRPCInferenceService"):
        assert (
            stub.Check(health_pb2.HealthCheckRequest(service=service)).status == health_pb2.HealthCheckResponse.SERVING
        )


def test_it_counts_what_it_answers(good: server_process.ServerProcess, servers: Servers) -> None:
    def count(*parts: str) -> float:
        lines = [line for line in good.metrics().splitlines() if all(part in line for part in parts)]
        assert len(lines) == 1, lines
        return float(lines[0].split()[-1])

    refused = ('serin_requests_total{code="400"', 'outcome="refused"')
    before = count(*refused), count("serin_feature_mismatch_total{"), count('serin_requests_total{code="200"')
    good.call("/predict", {"rows": [["a"] * 4]})
    good.call("/predict", b"no JSON")
    good.call("/predict", {"rows": [GOOD]})

    assert count(*refused) == before[0] + 2
    assert count("serin_feature_mismatch_total{") == before[1] + 1
    assert count('serin_requests_total{code="200"') == before[2] + 1
    assert count("serin_model_info{", servers.digest) == 1
    assert "_created" not in good.metrics()


def test_the_package_builds_as_a_bento(servers: Servers) -> None:
    said, _ = servers.bento.communicate(timeout=server_process.DEADLINE_SECONDS)

    assert servers.bento.returncode == 0, said
    name, tag = said.strip().splitlines()[-1].removeprefix("__tag__:").split(":")
    source = servers.bentos / name / tag / "src"
    assert folder.read(source).digest == servers.digest


@pytest.mark.parametrize("port", ["HTTP", "METRICS"])
def test_a_port_in_use_ends_the_process_with_a_sentence(
    port: str, good: server_process.ServerProcess, servers: Servers, tmp_path: Path
) -> None:
    taken = {"HTTP": good.http_port, "METRICS": good.metrics_port}[port]
    second = server_process.start(servers.package, tmp_path / "second", **{f"SERIN_{port}_PORT": str(taken)})

    assert second.process.wait(server_process.DEADLINE_SECONDS) == 1
    said = second.log.read_text()
    assert "cannot listen on 127.0.0.1, ports " in said
    assert "Address already in use" in said
    assert "Traceback" not in said


def test_a_regression_gives_values(servers: Servers) -> None:
    servers.wrapped.wait_until(200)

    predictions = servers.wrapped.call("/predict", {"rows": [GOOD, GOOD]}).body["predictions"]

    assert [list(prediction) for prediction in predictions] == [["value"], ["value"]]
    with grpc.insecure_channel(f"127.0.0.1:{servers.wrapped.grpc_port}") as channel:
        outputs = oip_grpc.GRPCInferenceServiceStub(channel).ModelInfer(infer_request(GOOD)).outputs
    assert outputs[0].contents.fp64_contents[0] == pytest.approx(predictions[0]["value"])


def test_an_unexpected_failure_is_500_and_tells_nothing_of_the_inside(servers: Servers) -> None:
    servers.wrapped.wait_until(200)
    unlucky = [13, *GOOD[1:]]

    answer = servers.wrapped.call("/predict", {"rows": [unlucky]}, **{"x-request-id": "m-1"})
    with (
        grpc.insecure_channel(f"127.0.0.1:{servers.wrapped.grpc_port}") as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        oip_grpc.GRPCInferenceServiceStub(channel).ModelInfer(infer_request(unlucky))

    assert answer.status == 500
    assert answer.body == {"error": "the prediction failed; the log tells more of m-1", "reason": "InternalError"}
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "moody" not in caught.value.details()
    log = servers.wrapped.log.read_text()
    assert "request m-1 failed" in log
    assert "the moody layer" in log
    metrics = servers.wrapped.metrics()
    assert 'code="500",model="momentum",outcome="failed",protocol="http",version="1.2.0"} 1.0' in metrics
    assert 'code="INTERNAL",model="momentum",outcome="failed",protocol="grpc",version="1.2.0"} 1.0' in metrics


def test_a_refused_package_stays_alive_and_unready_for_a_while(servers: Servers) -> None:
    answer = servers.refused.wait_until(503)

    assert answer.body["ready"] is False
    assert answer.body["reason"] == "WrongDigest"
    assert "model.ubj: expected" in answer.body["message"]
    assert servers.refused.call("/livez").status == 200
    assert servers.refused.call("/predict", {"rows": [GOOD]}).body["reason"] == "WrongDigest"
    assert servers.refused.termination_log.read_text() == f"WrongDigest: {answer.body['message']}"
    assert servers.refused.end() == 78


def test_a_refused_package_ends_the_process_by_itself() -> None:
    current = state.State()
    current.refuse(errors.PackageError("WrongDigest", "not what was packaged"))
    options = settings.Settings(host="127.0.0.1", http_port=0, refusal_seconds=0, termination_log=Path("/nowhere/log"))

    assert asyncio.run(main.run(options, runtime.Runtime(current))) == main.EXIT_REFUSED


def test_on_sigterm_it_says_unready_and_goes_on_answering_until_it_ends_with_0(servers: Servers) -> None:
    leaving = servers.wrapped
    leaving.wait_until(200)
    statuses: list[int] = []
    drained = threading.Event()

    def keep_asking() -> None:
        while not drained.is_set():
            statuses.append(leaving.call("/predict", {"rows": [GOOD]}).status)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    leaving.terminate()
    unready = leaving.wait_until(503)
    told = time.monotonic()
    with grpc.insecure_channel(f"127.0.0.1:{leaving.grpc_port}") as channel:
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status
        answered = oip_grpc.GRPCInferenceServiceStub(channel).ModelInfer(infer_request(GOOD))
    before = len(statuses)
    while len(statuses) < before + 20 and time.monotonic() < told + 1:
        time.sleep(0.005)
    drained.set()
    asking.join()

    assert unready.body["reason"] == "Draining"
    assert health == health_pb2.HealthCheckResponse.NOT_SERVING
    assert answered.model_version == "1.2.0"
    assert len(statuses) >= before + 20
    assert set(statuses) == {200}
    assert leaving.process.wait(server_process.DEADLINE_SECONDS) == 0
