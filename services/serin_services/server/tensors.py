"""Tensors of the Open Inference Protocol to rows and back, typed or raw."""

import json
from typing import Any

import numpy as np

from serin_services.server import inference, schema
from serin_services.server.oip import open_inference_pb2 as oip

# Each datatype with numpy's name of it, little-endian, and the field of typed contents that carries it.
DATATYPES = {
    "BOOL": ("?", "bool_contents"),
    "UINT8": ("<u1", "uint_contents"),
    "UINT16": ("<u2", "uint_contents"),
    "UINT32": ("<u4", "uint_contents"),
    "UINT64": ("<u8", "uint64_contents"),
    "INT8": ("<i1", "int_contents"),
    "INT16": ("<i2", "int_contents"),
    "INT32": ("<i4", "int_contents"),
    "INT64": ("<i8", "int64_contents"),
    "FP16": ("<f2", None),
    "FP32": ("<f4", "fp32_contents"),
    "FP64": ("<f8", "fp64_contents"),
}
INPUT_NAME = "rows"
FEATURES_PARAMETER = "features"


def read_rows(model: schema.Schema, request: oip.ModelInferRequest) -> schema.Array:
    """Give the rows of a request: one tensor [rows, features], or one tensor [rows] for each feature by name.

    Raises:
        schema.Refusal: with the first thing that is wrong.
    """
    raw = request.raw_input_contents
    if not request.inputs:
        raise schema.Refusal(
            "InvalidRequest", "inputs", "one tensor of rows, or one for each feature", "none", mismatch=False
        )
    if raw and len(raw) != len(request.inputs):
        raise schema.Refusal(
            "InvalidRequest",
            "raw_input_contents",
            f"{len(request.inputs)}, one for each input",
            str(len(raw)),
            mismatch=False,
        )
    tensors = [read_tensor(tensor, raw[index] if raw else None) for index, tensor in enumerate(request.inputs)]
    if len(tensors) == 1 and tensors[0].ndim == 2 and request.inputs[0].name not in model.positions:
        values = whole_rows(model, request.inputs[0], tensors[0])
    else:
        values = by_feature(model, [tensor.name for tensor in request.inputs], tensors)
    if not 1 <= len(values) <= schema.MAX_ROWS:
        raise schema.Refusal("RowCount", "inputs", f"1 to {schema.MAX_ROWS} rows", str(len(values)), mismatch=False)
    model.check_values(values)
    return values


def whole_rows(model: schema.Schema, tensor: Any, values: schema.Array) -> schema.Array:  # noqa: ANN401 - generated type
    """Read rows in the model's order; the parameter `features`, a JSON list of names, lets it be checked."""
    if FEATURES_PARAMETER in tensor.parameters:
        model.check_order(listed_features(tensor.parameters[FEATURES_PARAMETER].string_param))
    if values.shape[1] != model.width:
        raise schema.Refusal(
            "FeatureCount", tensor.name, f"{model.width} features, shape [rows, {model.width}]", str(values.shape[1])
        )
    return as_rows(model, values)


def listed_features(text: str) -> list[str]:
    """Read the feature names that a tensor says it has."""
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise schema.Refusal("InvalidRequest", "parameters.features", "a JSON list of feature names", repr(text[:40]))
    return names


def by_feature(model: schema.Schema, names: list[str], tensors: list[schema.Array]) -> schema.Array:
    """Put one tensor for each feature together; their order does not matter."""
    model.check_names(names, "inputs")
    columns: list[schema.Array] = [tensors[0]] * model.width
    for name, tensor in zip(names, tensors, strict=True):
        flat = tensor.reshape(-1) if tensor.ndim == 2 and tensor.shape[1] == 1 else tensor
        if flat.ndim != 1 or len(flat) != len(tensors[0]):
            raise schema.Refusal(
                "InvalidRequest", name, f"shape [{len(tensors[0])}], one value for each row", str(list(tensor.shape))
            )
        columns[model.positions[name]] = flat
    return as_rows(model, np.stack(columns, axis=1))


def as_rows(model: schema.Schema, values: schema.Array) -> schema.Array:
    """Convert to the dtype that the model computes with; what does not fit becomes infinity and is refused as such."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(values, dtype=model.dtype)


def read_tensor(tensor: Any, raw: bytes | None) -> schema.Array:  # noqa: ANN401 - generated type
    """Read one tensor as an array of its shape."""
    if tensor.datatype not in DATATYPES:
        raise schema.Refusal("MistypedFeature", tensor.name, f"one of {', '.join(DATATYPES)}", repr(tensor.datatype))
    dtype, field = DATATYPES[tensor.datatype]
    shape = tuple(tensor.shape)
    if not 1 <= len(shape) <= 2 or any(size < 0 for size in shape):
        raise schema.Refusal("InvalidRequest", tensor.name, "shape [rows, features] or [rows]", str(list(shape)))
    wanted = shape[0] * (shape[1] if len(shape) == 2 else 1)
    if raw is not None:
        size = np.dtype(dtype).itemsize
        if len(raw) != wanted * size:
            raise schema.Refusal(
                "InvalidRequest", tensor.name, f"{wanted * size} raw bytes for shape {list(shape)}", str(len(raw))
            )
        return np.frombuffer(raw, dtype=dtype).reshape(shape)
    if field is None:
        raise schema.Refusal(
            "InvalidRequest", tensor.name, f"{tensor.datatype} in raw_input_contents", "typed contents"
        )
    given = getattr(tensor.contents, field)
    if len(given) != wanted:
        raise schema.Refusal(
            "InvalidRequest", tensor.name, f"{wanted} values in {field} for shape {list(shape)}", str(len(given))
        )
    return np.array(given, dtype="<f8" if dtype[1:] == "f4" else dtype).reshape(shape)


def make_response(
    model: inference.Inference, answer: inference.Answer, request: oip.ModelInferRequest
) -> oip.ModelInferResponse:
    """Answer typed contents with typed ones and raw with raw."""
    response = oip.ModelInferResponse(
        model_name=model.manifest.model, model_version=model.manifest.version, id=request.id
    )
    wanted = {output.name for output in request.outputs}
    made = make_outputs(model, answer)
    if unknown := sorted(wanted - set(made)):
        raise schema.Refusal(
            "UnknownOutput", f"outputs.{unknown[0]}", f"one of {', '.join(made)}", repr(unknown[0]), mismatch=False
        )
    for name, (datatype, shape, values) in made.items():
        if wanted and name not in wanted:
            continue
        output = response.outputs.add(name=name, datatype=datatype, shape=shape)
        if request.raw_input_contents:
            response.raw_output_contents.append(raw_content(values))
        elif isinstance(values, list):
            output.contents.bytes_contents.extend(values)
        else:
            output.contents.fp32_contents.extend(values.reshape(-1).tolist())
    return response


def make_outputs(
    model: inference.Inference, answer: inference.Answer
) -> dict[str, tuple[str, list[int], schema.Array | list[bytes]]]:
    """Name each output with its datatype, shape and values."""
    count = answer.rows
    scores = np.ascontiguousarray(answer.outputs[0], dtype="<f4")
    if not model.classes:
        return {"value": ("FP32", [count], scores)}
    return {
        "label": ("BYTES", [count], [label.encode() for label in model.labels(answer)]),
        "confidence": ("FP32", [count], np.array(answer.confidences, dtype="<f4")),
        "probabilities": ("FP32", [count, len(model.classes)], scores),
    }


def raw_content(values: schema.Array | list[bytes]) -> bytes:
    """Write numbers as they lie in memory, and texts each behind its length in four bytes."""
    if isinstance(values, list):
        return b"".join(len(text).to_bytes(4, "little") + text for text in values)
    return values.tobytes()
