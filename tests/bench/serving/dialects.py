"""How a prediction is asked for and answered: each way as a pair of functions between arrays and bytes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serin_services.server.oip import open_inference_pb2 as oip

from .models import Array, Model

JSON = {"Content-Type": "application/json"}
GRPC_METHOD = "/inference.GRPCInferenceService/ModelInfer"
HEADER_LENGTH = "Inference-Header-Content-Length"
# What is the model's answer among the outputs of a server that gives more than one.
OUTPUTS = ("probabilities", "forecast", "predict")


@dataclass(frozen=True)
class Request:
    """One request, ready to be sent again and again."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dialect:
    """A way to ask: over HTTP or gRPC, how a request is made, and how the model's values are read from the answer."""

    name: str
    transport: str
    ask: Callable[[Model, Array], Request]
    read: Callable[[bytes, Mapping[str, str]], Array]


def json_body(path: str, field_name: str) -> Callable[[Model, Array], Request]:
    """Rows in one field of a JSON object."""
    return lambda _model, values: Request(path, json.dumps({field_name: values.tolist()}).encode(), JSON)


def read_serin(body: bytes, _headers: Mapping[str, str]) -> Array:
    """The probability of the second class of each row."""
    return np.array([list(item["probabilities"].values())[1] for item in json.loads(body)["predictions"]])


def read_predictions(body: bytes, _headers: Mapping[str, str]) -> Array:
    """The field that the FastAPI application answers with."""
    return np.array(json.loads(body)["predictions"])


def read_list(body: bytes, _headers: Mapping[str, str]) -> Array:
    """A bare JSON list."""
    return np.array(json.loads(body))


def oip_path(model: Model) -> str:
    """Where the Open Inference Protocol has a model's inference."""
    return f"/v2/models/{model.kind.name}/infer"


def describe(model: Model, values: Array) -> dict[str, Any]:
    """A tensor as the protocol's JSON describes it, without its values."""
    return {"name": model.kind.input_name, "shape": list(values.shape), "datatype": "FP32"}


def ask_oip_json(model: Model, values: Array) -> Request:
    """The Open Inference Protocol over HTTP, values in JSON."""
    tensor = {**describe(model, values), "data": values.ravel().tolist()}
    return Request(oip_path(model), json.dumps({"inputs": [tensor]}).encode(), JSON)


def ask_oip_binary(model: Model, values: Array) -> Request:
    """The Open Inference Protocol over HTTP with the binary tensor extension, both ways."""
    raw = values.astype("<f4").tobytes()
    tensor = {**describe(model, values), "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    return Request(oip_path(model), head + raw, headers)


def ask_oip_grpc(model: Model, values: Array) -> Request:
    """The Open Inference Protocol over gRPC with raw contents."""
    message = oip.ModelInferRequest(model_name=model.kind.name)
    message.inputs.add(name=model.kind.input_name, datatype="FP32", shape=values.shape)
    message.raw_input_contents.append(values.astype("<f4").tobytes())
    return Request(GRPC_METHOD, message.SerializeToString())


def read_oip_http(body: bytes, headers: Mapping[str, str]) -> Array:
    """The model's values from the protocol's JSON, or from what is behind it."""
    length = next((int(value) for name, value in headers.items() if name.lower() == HEADER_LENGTH.lower()), len(body))
    outputs, offset, found = json.loads(body[:length])["outputs"], length, {}
    for tensor in outputs:
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        if size is None:
            found[tensor["name"]] = np.array(tensor["data"]).reshape(tensor["shape"])
        elif tensor["datatype"] in DTYPES:
            flat = np.frombuffer(body[offset : offset + size], DTYPES[tensor["datatype"]])
            found[tensor["name"]] = flat.reshape(tensor["shape"])
        offset += size or 0
    return choose(found)


def read_oip_grpc(body: bytes, _headers: Mapping[str, str]) -> Array:
    """The model's values from raw or typed contents."""
    message = oip.ModelInferResponse.FromString(body)
    found = {}
    for index, tensor in enumerate(message.outputs):
        if tensor.datatype not in DTYPES:
            continue
        if message.raw_output_contents:
            flat = np.frombuffer(message.raw_output_contents[index], DTYPES[tensor.datatype])
        else:
            flat = np.array(list(tensor.contents.fp32_contents) or list(tensor.contents.fp64_contents))
        found[tensor.name] = flat.reshape(tuple(tensor.shape))
    return choose(found)


DTYPES = {"FP32": "<f4", "FP64": "<f8"}


def choose(found: Mapping[str, Array]) -> Array:
    """The model's answer among the outputs, and of two probabilities the second class's."""
    values = next((found[name] for name in OUTPUTS if name in found), next(iter(found.values())))
    return values[:, 1] if values.ndim == 2 and values.shape[1] == 2 else values


SERIN_JSON = Dialect("HTTP JSON", "http", json_body("/predict", "rows"), read_serin)
BENTO_JSON = Dialect("HTTP JSON", "http", json_body("/predict", "data"), read_list)
FASTAPI_JSON = Dialect("HTTP JSON", "http", json_body("/predict", "rows"), read_predictions)
FASTAPI_FORECAST = Dialect("HTTP JSON", "http", json_body("/forecast", "rows"), read_predictions)
OIP_JSON = Dialect("HTTP OIP JSON", "http", ask_oip_json, read_oip_http)
OIP_BINARY = Dialect("HTTP OIP binary", "http", ask_oip_binary, read_oip_http)
OIP_GRPC = Dialect("gRPC", "grpc", ask_oip_grpc, read_oip_grpc)
