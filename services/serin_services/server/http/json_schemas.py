"""JSON Schemas (2020-12) of what a model takes and answers, made from its manifest."""

from typing import Any

import numpy as np

from serin_services.package import manifest
from serin_services.server import datatypes, inference, schema

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
ERROR: Schema = {
    "type": "object",
    "properties": {"error": TEXT, "reason": TEXT, "field": TEXT, "expected": TEXT, "got": TEXT},
    "required": ["error", "reason"],
}


def rows_body(model: schema.Schema) -> Schema:
    """Describe the body of a model of rows."""
    values = [feature_value(feature, model.dtype) for feature in model.features]
    by_order = {
        "type": "array",
        "prefixItems": values,
        "items": False,
        "minItems": model.width,
        "maxItems": model.width,
        "description": "The values in the model's order.",
    }
    by_name = {**record(dict(zip(model.names, values, strict=True))), "description": "The values by feature name."}
    rows = {
        "anyOf": [
            {
                "type": "array",
                "items": {"anyOf": [by_name, by_order]},
                "minItems": 1,
                "maxItems": model.max_rows,
                "description": "Rows.",
            },
            by_name,
            by_order,
        ]
    }
    features = {"enum": [list(model.names), None], "description": "Lets the order of the features be checked."}
    return {**record({"rows": rows, "features": features}), "required": ["rows"]}


def tensors_body(inputs: tuple[manifest.Tensor, ...], max_rows: int) -> Schema:
    """Describe the body of a model that takes tensors: a row is one element of the batch."""
    elements = {tensor.name: axes(tensor_value(tensor), tensor.shape[1:]) for tensor in inputs}
    by_name = record(elements)
    row = {"anyOf": [*elements.values(), by_name]} if len(inputs) == 1 else by_name
    rows = {"anyOf": [{"type": "array", "items": row, "minItems": 1, "maxItems": max_rows}, by_name]}
    properties: Schema = {"rows": rows}
    if len(inputs) == 1 and inputs[0].features:
        names = [feature.name for feature in inputs[0].features]
        properties["features"] = {"enum": [names, None], "description": "Lets the order of the features be checked."}
    return {**record(properties), "required": ["rows"]}


def feature_value(feature: manifest.Feature, dtype: np.dtype[Any]) -> Schema:
    """Describe one value of a row."""
    if feature.dtype == "bool":
        allowed: list[Any] = [False, True, 0, 1]
        return {"enum": [*allowed, None] if feature.allow_nan else allowed}
    whole = feature.dtype == "int64" or dtype.kind != "f"
    kind = "integer" if whole else "number"
    described: Schema = {"type": [kind, "null"] if feature.allow_nan else kind, **limits(dtype, whole=whole)}
    return described | ({"description": f"in {feature.unit}"} if feature.unit else {})


def tensor_value(tensor: manifest.Tensor) -> Schema:
    """Describe one number of a tensor."""
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "b":
        return {"enum": [False, True, 0, 1]}
    if dtype.kind != "f":
        return {"type": "integer", **limits(dtype)}
    nullable = bool(tensor.features) and all(feature.allow_nan for feature in tensor.features)
    return {"type": ["number", "null"] if nullable else "number", **limits(dtype)}


def limits(dtype: np.dtype[Any], *, whole: bool = False) -> Schema:
    """Give the range of a dtype: of a float up to where rounding gives infinity.

    Whole numbers become float64 before they become what a model takes, which rounds some of the largest up.
    """
    if dtype.kind == "f":
        found = np.finfo(dtype)
        bound = 2**found.maxexp - 2 ** (found.maxexp - found.nmant - 2)
        if whole and dtype.itemsize < 8:
            bound -= 2 ** (found.maxexp - 54)
        return {"exclusiveMinimum": -bound, "exclusiveMaximum": bound}
    info = np.iinfo(dtype)
    return {"minimum": int(info.min), "maximum": int(info.max)}


def axes(value: Schema, shape: tuple[int, ...]) -> Schema:
    """Put a value into lists in lists."""
    for size in reversed(shape):
        sizes = {"minItems": 1} if size == manifest.ANY else {"minItems": size, "maxItems": size}
        value = {"type": "array", "items": value, **sizes}
    return value


def record(properties: Schema) -> Schema:
    """Describe an object of exactly these fields."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def predictions(document: manifest.Manifest) -> Schema:
    """Describe the body of a good answer of `POST /predict`."""
    nested = {"type": ["number", "boolean", "array", "null"]}
    fields: Schema = {}
    if document.classes:
        names = dict.fromkeys(document.classes, NUMBER)
        fields = {"label": {"enum": list(document.classes)}, "confidence": NUMBER, "probabilities": record(names)}
    elif document.quantiles:
        fields = {"quantiles": record({str(quantile): nested for quantile in document.quantiles})}
    elif document.task == "regression":
        fields = {"value": nested}
    own = 0 if document.task == "tensors" else 1
    if others := document.outputs[own:]:
        fields["outputs"] = record({tensor.name: nested for tensor in others})
    return record(
        {
            "model": {"const": document.model},
            "version": {"const": document.version},
            "request_id": TEXT,
            "predictions": {"type": "array", "items": record(fields)},
        }
    )


def infer_request(model: inference.Inference) -> Schema:
    """Describe a request of the Open Inference Protocol; that shapes and values fit together no schema can say."""
    tensor = {
        "type": "object",
        "properties": {
            "name": TEXT,
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
            "datatype": {"enum": list(datatypes.NUMPY)},
            "data": {"type": "array", "description": "The values, flat or as lists in lists."},
            "parameters": {"type": ["object", "null"]},
        },
        "required": ["name", "shape", "datatype"],
    }
    named = {"enum": [output.name for output in model.outputs.all]}
    output = {
        "type": "object",
        "properties": {"name": named, "parameters": {"type": ["object", "null"]}},
        "required": ["name"],
    }
    return {
        "type": "object",
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": {"type": ["object", "null"]},
            "inputs": {"type": "array", "items": tensor, "minItems": 1},
            "outputs": {"type": ["array", "null"], "items": output},
        },
        "required": ["inputs"],
    }


def infer_response(model: inference.Inference) -> Schema:
    """Describe an answer of the Open Inference Protocol."""
    output = {
        "type": "object",
        "properties": {
            "name": {"enum": [each.name for each in model.outputs.all]},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": TEXT,
            "data": {"type": "array"},
            "parameters": {"type": "object"},
        },
        "required": ["name", "shape", "datatype"],
    }
    return {
        "type": "object",
        "properties": {
            "model_name": {"const": model.manifest.model},
            "model_version": {"const": model.manifest.version},
            "id": TEXT,
            "outputs": {"type": "array", "items": output},
        },
        "required": ["model_name", "model_version", "id", "outputs"],
    }
