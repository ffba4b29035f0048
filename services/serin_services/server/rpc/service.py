"""The Open Inference Protocol's gRPC service, in front of the same model as HTTP."""

import dataclasses
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import DecodeError, Message

from serin.api import names
from serin_services.package import manifest
from serin_services.server import datatypes, envelope, inference, schema, state, telemetry, tensors, tracing
from serin_services.server.oip import open_inference_pb2 as oip
from serin_services.server.rpc import calls, headers, messages

log = logging.getLogger("serin.server")

NAME = "inference.GRPCInferenceService"
OUTCOMES = {messages.Status.OK: "ok", messages.Status.INTERNAL: "failed"}


class WrongModel(Exception):  # noqa: N818 - the request is at fault, not the server
    """A request for another model or version than the one served here."""


@dataclasses.dataclass(slots=True)
class Asked:
    """One request for a prediction, on its way."""

    call: calls.Call
    started: float
    request_id: bytes = b""
    inputs: tuple[schema.Array, ...] = ()


class InferenceService:
    """Answers the protocol's six calls for one model version."""

    def __init__(self, current: state.State, model: inference.Inference, deadline_seconds: float = 0.0) -> None:
        self._state = current
        self._model = model
        self._deadline_seconds = deadline_seconds or math.inf
        self._ids = envelope.Ids()

    def methods(self) -> dict[bytes, calls.Method]:
        """Give each call by its path."""
        unary: dict[str, calls.Method] = {
            "ServerLive": calls.Unary(self._simple(oip.ServerLiveRequest, self._server_live)),
            "ServerReady": calls.Unary(self._simple(oip.ServerReadyRequest, self._server_ready)),
            "ModelReady": calls.Unary(self._simple(oip.ModelReadyRequest, self._model_ready)),
            "ServerMetadata": calls.Unary(self._simple(oip.ServerMetadataRequest, self._server_metadata)),
            "ModelMetadata": calls.Unary(self._simple(oip.ModelMetadataRequest, self._model_metadata)),
            "ModelInfer": calls.Unary(self.infer),
        }
        return {f"/{NAME}/{name}".encode(): method for name, method in unary.items()}

    @staticmethod
    def _simple(kind: type[Message], answer: Callable[[Any], Message]) -> Callable[[calls.Call, bytes], bytes]:
        def respond(_call: calls.Call, message: bytes) -> bytes:
            try:
                made = answer(parse(kind, message))
            except WrongModel as error:
                raise messages.Failure(messages.Status.NOT_FOUND, str(error)) from error
            except schema.Refusal as refusal:
                raise messages.Failure(messages.Status.INVALID_ARGUMENT, str(refusal)) from refusal
            packed: bytes = made.SerializeToString()
            return packed

        return respond

    def _server_live(self, _request: oip.ServerLiveRequest) -> oip.ServerLiveResponse:
        return oip.ServerLiveResponse(live=True)

    def _server_ready(self, _request: oip.ServerReadyRequest) -> oip.ServerReadyResponse:
        return oip.ServerReadyResponse(ready=self._state.ready)

    def _model_ready(self, request: oip.ModelReadyRequest) -> oip.ModelReadyResponse:
        check_model(self._model.manifest, request.name, request.version)
        return oip.ModelReadyResponse(ready=self._state.ready)

    def _server_metadata(self, _request: oip.ServerMetadataRequest) -> oip.ServerMetadataResponse:
        return oip.ServerMetadataResponse(name="serin", version=self._model.manifest.version)

    def _model_metadata(self, request: oip.ModelMetadataRequest) -> oip.ModelMetadataResponse:
        check_model(self._model.manifest, request.name, request.version)
        return make_metadata(self._model)

    def infer(self, call: calls.Call, message: bytes) -> bytes | Awaitable[bytes]:
        """Predict, at once where the model allows that."""
        asked = Asked(call, time.perf_counter())
        try:
            request = parse(oip.ModelInferRequest, message)
        except schema.Refusal as refusal:
            asked.request_id = self._name(call, "")
            raise self._fail(asked, refusal) from refusal
        asked.request_id = self._name(call, request.id)
        call.reply = headers.literal(envelope.REQUEST_ID, asked.request_id)
        try:
            check_model(self._model.manifest, request.model_name, request.model_version)
            asked.inputs = tensors.read_inputs(self._model.signature, request)
            if self._model.answers_now(asked.inputs):
                return self._finish(asked, request, self._model.predict_now(asked.inputs))
        except Exception as error:
            raise self._fail(asked, error) from error
        return self._infer_later(asked, request)

    def _name(self, call: calls.Call, given: str) -> bytes:
        """Take the request's id from its metadata, or from the protocol's own field, or make one."""
        return envelope.given_id(call.headers.by_name) or envelope.accept_id(given.encode()) or self._ids.make()

    async def _infer_later(self, asked: Asked, request: oip.ModelInferRequest) -> bytes:
        try:
            call = asked.call
            answer = await self._model.predict(asked.inputs, min(call.deadline, call.opened + self._deadline_seconds))
            return self._finish(asked, request, answer)
        except Exception as error:
            raise self._fail(asked, error) from error

    def _finish(self, asked: Asked, request: oip.ModelInferRequest, answer: inference.Answer) -> bytes:
        """Write the answer and count it."""
        response: bytes = tensors.make_response(self._model, answer, request).SerializeToString()
        seconds = self._count(asked, messages.Status.OK)
        if self._model.watch is not None:
            pairs = asked.call.headers.pairs
            self._trace(asked, self._model.watch.see("grpc", asked.request_id, asked.inputs, answer, seconds, pairs))
        return response

    def _fail(self, asked: Asked, error: Exception) -> messages.Failure:
        """Put what went wrong into a status, and count it."""
        mismatch = False
        match error:
            case schema.Refusal():
                failure = messages.Failure(messages.Status.INVALID_ARGUMENT, str(error))
                mismatch = error.mismatch
            case WrongModel():
                failure = messages.Failure(messages.Status.NOT_FOUND, str(error))
            case schema.Limit():
                failure = messages.Failure(messages.Status[error.grpc_code], error.message)
            case _:
                request_id = asked.request_id.decode("latin-1")
                log.error("request %s failed", request_id, exc_info=error)
                text = f"the prediction failed; the log tells more of {request_id}"
                failure = messages.Failure(messages.Status.INTERNAL, text)
        seconds = self._count(asked, failure.status, mismatch=mismatch)
        if self._model.watch is not None:
            failed = outcome_of(failure.status) == "failed"
            pairs, code = asked.call.headers.pairs, failure.status.name
            ended = tracing.Request("grpc", asked.request_id, seconds, pairs, code=code, failed=failed)
            self._trace(asked, self._model.watch.miss(ended))
        return failure

    @staticmethod
    def _trace(asked: Asked, said: str | None) -> None:
        """Answer with the trace context, if there is one."""
        if said:
            asked.call.reply += headers.literal(envelope.TRACE_RESPONSE, said.encode())

    def _count(self, asked: Asked, status: messages.Status, *, mismatch: bool = False) -> float:
        seconds = time.perf_counter() - asked.started
        outcome = outcome_of(status)
        self._model.telemetry.count_request(telemetry.Request("grpc", outcome, status.name, seconds, mismatch))
        return seconds


def outcome_of(status: messages.Status) -> str:
    """Say whether a call went well, and if not, whether the server is to blame."""
    return OUTCOMES.get(status, "refused")


def parse(kind: type[Any], message: bytes) -> Any:  # noqa: ANN401 - one of the protocol's messages
    """Read a message.

    Raises:
        schema.Refusal: it is none.
    """
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise schema.Refusal("InvalidRequest", "message", kind.__name__, "other bytes", mismatch=False) from error


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


def head(document: manifest.Manifest) -> bytes:
    """The headers that every answer begins with."""
    return calls.HEAD + headers.literal(names.VERSION_HEADER.encode(), document.version.encode())
