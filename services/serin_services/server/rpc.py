"""The gRPC side: the Open Inference Protocol, health and reflection, in front of the same model as HTTP."""

import logging
import os
import re
import time
from typing import Any, NoReturn

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from serin.api import names
from serin_services.package import manifest
from serin_services.server import datatypes, inference, schema, state, telemetry, tensors
from serin_services.server.oip import open_inference_pb2 as oip
from serin_services.server.oip import open_inference_pb2_grpc as oip_grpc

log = logging.getLogger("serin.server")

SERVICE = "inference.GRPCInferenceService"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
REQUEST_ID = "x-request-id"
ACCEPTED_ID = re.compile(r"[\x21-\x7e]{1,128}")

Context = Any


class WrongModel(Exception):  # noqa: N818 - the request is at fault, not the server
    """A request for another model or version than the one served here."""


class InferenceService(oip_grpc.GRPCInferenceServiceServicer):
    """Answers the protocol's six calls for one model version."""

    def __init__(self, current: state.State, model: inference.Inference) -> None:
        self._state = current
        self._model = model
        self._version = (names.VERSION_HEADER, model.manifest.version)

    async def ServerLive(self, _request: oip.ServerLiveRequest, _context: Context) -> oip.ServerLiveResponse:  # noqa: N802
        """Say that the process answers."""
        return oip.ServerLiveResponse(live=True)

    async def ServerReady(self, _request: oip.ServerReadyRequest, _context: Context) -> oip.ServerReadyResponse:  # noqa: N802
        """Say whether requests should be sent here."""
        return oip.ServerReadyResponse(ready=self._state.ready)

    async def ModelReady(self, request: oip.ModelReadyRequest, context: Context) -> oip.ModelReadyResponse:  # noqa: N802
        """Say whether the named model is served and ready."""
        await self._check_known(request.name, request.version, context)
        return oip.ModelReadyResponse(ready=self._state.ready)

    async def ServerMetadata(  # noqa: N802
        self, _request: oip.ServerMetadataRequest, _context: Context
    ) -> oip.ServerMetadataResponse:
        """Name the server."""
        return oip.ServerMetadataResponse(name="serin", version=self._model.manifest.version)

    async def ModelMetadata(self, request: oip.ModelMetadataRequest, context: Context) -> oip.ModelMetadataResponse:  # noqa: N802
        """Describe the model's tensors."""
        await self._check_known(request.name, request.version, context)
        return make_metadata(self._model)

    async def ModelInfer(self, request: oip.ModelInferRequest, context: Context) -> oip.ModelInferResponse:  # noqa: N802
        """Predict."""
        started = time.perf_counter()
        request_id = identify(context.invocation_metadata())
        await context.send_initial_metadata((self._version, (REQUEST_ID, request_id)))
        response, code, message, mismatch = await self._respond(request, request_id)
        outcome = {grpc.StatusCode.OK: "ok", grpc.StatusCode.INTERNAL: "failed"}.get(code, "refused")
        seconds = time.perf_counter() - started
        self._model.telemetry.count_request(telemetry.Request("grpc", outcome, code.name, seconds, mismatch))
        if response is None:
            await refuse(context, code, message)
        return response

    async def _respond(
        self, request: oip.ModelInferRequest, request_id: str
    ) -> tuple[oip.ModelInferResponse | None, Any, str, bool]:
        """Give the answer or the code and message of its absence, and whether the features were at fault."""
        try:
            check_model(self._model.manifest, request.model_name, request.model_version)
            answer = await self._model.predict(tensors.read_inputs(self._model.signature, request))
            return tensors.make_response(self._model, answer, request), grpc.StatusCode.OK, "", False
        except schema.Refusal as refusal:
            return None, grpc.StatusCode.INVALID_ARGUMENT, str(refusal), refusal.mismatch
        except WrongModel as error:
            return None, grpc.StatusCode.NOT_FOUND, str(error), False
        except Exception:
            log.exception("request %s failed", request_id)
            return None, grpc.StatusCode.INTERNAL, f"the prediction failed; the log tells more of {request_id}", False

    async def _check_known(self, name: str, version: str, context: Context) -> None:
        try:
            check_model(self._model.manifest, name, version)
        except WrongModel as error:
            await refuse(context, grpc.StatusCode.NOT_FOUND, str(error))


async def refuse(context: Context, code: Any, message: str) -> NoReturn:  # noqa: ANN401 - grpc has no types
    """End a call with a code, which grpc does by an exception of its own."""
    await context.abort(code, message)
    raise AssertionError("abort returned")


def check_model(document: manifest.Manifest, name: str, version: str) -> None:
    """Refuse another model's name or version; a client that names none takes what is here."""
    if name not in {"", document.model}:
        raise WrongModel(f"model_name: expected {document.model!r}, got {name!r}")
    if version not in {"", document.version}:
        raise WrongModel(f"model_version: expected {document.version!r} or none, got {version!r}")


def make_metadata(model: inference.Inference) -> oip.ModelMetadataResponse:
    """Describe the tensors that go in and come out."""
    document = model.manifest
    response = oip.ModelMetadataResponse(name=document.model, versions=[document.version], platform=document.family)
    for tensor in document.inputs:
        response.inputs.add(name=tensor.name, datatype=datatypes.name_of(tensor.dtype), shape=tensor.shape)
    for output in model.outputs.all:
        response.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
    return response


def identify(metadata: Any) -> str:  # noqa: ANN401 - grpc has no types
    """Take the request's id from its metadata, or make one."""
    for name, value in metadata or ():
        if name == REQUEST_ID and ACCEPTED_ID.fullmatch(value):
            return str(value)
    return os.urandom(8).hex()


class Server:
    """The gRPC server with its health service, which says the same as /readyz."""

    def __init__(self, current: state.State, model: inference.Inference, address: str) -> None:
        limits = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.aio.server(options=limits)
        self._health = health.aio.HealthServicer()
        add = oip_grpc.add_GRPCInferenceServiceServicer_to_server
        add(InferenceService(current, model), self._server)  # type: ignore[no-untyped-call] # generated
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self.port = self._server.add_insecure_port(address)

    async def start(self) -> None:
        """Begin to answer, not yet healthy."""
        await self.tell(ready=False)
        await self._server.start()

    async def tell(self, *, ready: bool) -> None:
        """Set what the health service answers."""
        status = health_pb2.HealthCheckResponse
        for service in ("", SERVICE):
            await self._health.set(service, status.SERVING if ready else status.NOT_SERVING)

    async def stop(self, grace: float) -> None:
        """Take no new calls and give those that run `grace` seconds."""
        await self._server.stop(grace)
