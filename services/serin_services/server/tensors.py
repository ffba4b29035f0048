"""Tensors of the Open Inference Protocol over gRPC: typed or raw contents to arrays, and outputs back."""

import json
from typing import Any

import numpy as np

from serin_services.server import answers, datatypes, inference, schema, signature
from serin_services.server.oip import open_inference_pb2 as oip

# The field of typed contents that carries each datatype; half precision travels raw only.
FIELDS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    datatypes.TEXT: "bytes_contents",
}


def read_inputs(model: signature.Signature, request: oip.ModelInferRequest) -> tuple[schema.Array, ...]:
    """Give the arrays of a request, one for each input of the model.

    Raises:
        schema.Refusal: with the first thing that is wrong.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        expected = f"{len(request.inputs)}, one for each input"
        raise schema.Refusal("InvalidRequest", "raw_input_contents", expected, str(len(raw)), mismatch=False)
    given = [read_tensor(tensor, raw[index] if raw else None) for index, tensor in enumerate(request.inputs)]
    return model.accept(given)


def read_tensor(tensor: Any, raw: bytes | None) -> signature.Given:  # noqa: ANN401 - generated type
    """Read one tensor as an array of its shape."""
    name, datatype, shape = tensor.name, tensor.datatype, tuple(tensor.shape)
    values = read_typed(tensor, shape) if raw is None else signature.make_values(name, datatype, shape, raw)
    if tensor.parameters and signature.FEATURES_PARAMETER in tensor.parameters:
        listed = listed_features(tensor.parameters[signature.FEATURES_PARAMETER].string_param)
        return signature.Given(name, values, listed)
    return signature.Given(name, values)


def read_typed(tensor: Any, shape: tuple[int, ...]) -> schema.Array:  # noqa: ANN401 - generated type
    """Read the typed contents of one tensor."""
    name, datatype = tensor.name, tensor.datatype
    if datatype not in datatypes.NUMPY:
        raise signature.unknown_datatype(name, datatype)
    if datatype not in FIELDS:
        raise schema.Refusal("InvalidRequest", name, f"{datatype} in raw_input_contents", "typed contents")
    given = getattr(tensor.contents, FIELDS[datatype])
    wanted = signature.count(name, shape)
    if len(given) != wanted:
        expected = f"{wanted} values in {FIELDS[datatype]} for shape {list(shape)}"
        raise schema.Refusal("InvalidRequest", name, expected, str(len(given)))
    dtype = datatypes.NUMPY[datatype]
    try:
        return np.array(given, dtype=dtype).reshape(shape)
    except OverflowError as error:
        raise schema.Refusal("MistypedFeature", name, f"values of {datatype}", str(error)) from error


def listed_features(text: str) -> list[str]:
    """Read the feature names that a tensor says it has."""
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise schema.Refusal("InvalidRequest", "parameters.features", "a JSON list of feature names", repr(text[:40]))
    return names


def make_response(
    model: inference.Inference, answer: inference.Answer, request: oip.ModelInferRequest
) -> oip.ModelInferResponse:
    """Answer typed contents with typed ones and raw with raw; an output that has no typed form makes all of them raw."""
    response = oip.ModelInferResponse(
        model_name=model.manifest.model, model_version=model.manifest.version, id=request.id
    )
    chosen = model.outputs.select([output.name for output in request.outputs])
    raw = bool(request.raw_input_contents) or any(output.datatype not in FIELDS for output in chosen)
    for output in chosen:
        values = output.values(answer)
        made = response.outputs.add(name=output.name, datatype=output.datatype, shape=answers.shape_of(values))
        if raw:
            response.raw_output_contents.append(answers.raw_content(values))
        else:
            flat = values.listed() if isinstance(values, answers.Texts) else values.reshape(-1).tolist()
            getattr(made.contents, FIELDS[output.datatype]).extend(flat)
    return response
