"""Small ONNX networks, made node by node."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT, DOUBLE, INT64, STRING = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.INT64,
    onnx.TensorProto.STRING,
)
Value = onnx.ValueInfoProto


def tensor(name: str, *shape: object, dtype: int = FLOAT) -> Value:
    """Describe an input or output; None and names are axes of any size."""
    return helper.make_tensor_value_info(name, dtype, list(shape))


def build(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    weights: dict[str, np.ndarray] | None = None,
    opset: int = 20,
) -> bytes:
    """Serialise a network."""
    initializers = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), initializers)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9).SerializeToString()


def linear(width: int = 3, outputs: int = 2, *, after: str | None = None) -> bytes:
    """One layer, with another operator behind it where one is asked for."""
    chance = np.random.default_rng(5)
    weights = {"w": chance.normal(size=(width, outputs)).astype("float32"), "b": np.ones(outputs, "float32")}
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y" if after is None else "z"])]
    if after:
        nodes.append(helper.make_node(after, ["z"], ["y"]))
    return build(nodes, [tensor("x", None, width)], [tensor("y", None, outputs)], weights)


def forecaster(quantiles: int = 3) -> bytes:
    """A series [batch, time, 2] of any length in, [batch, 1, quantiles] out."""
    weights = {"w": np.random.default_rng(6).normal(size=(2, quantiles)).astype("float32"), "axes": np.array([1])}
    nodes = [
        helper.make_node("ReduceMean", ["series", "axes"], ["mean"], keepdims=1),
        helper.make_node("MatMul", ["mean", "w"], ["forecast"]),
    ]
    return build(nodes, [tensor("series", "batch", "time", 2)], [tensor("forecast", "batch", 1, quantiles)], weights)


def two_inputs() -> bytes:
    """Numbers and a category in, a value and logits out."""
    weights = {
        "table": np.arange(8, dtype="float32").reshape(4, 2),
        "w": np.random.default_rng(7).normal(size=(3, 1)).astype("float32"),
        "axis": np.array([1]),
    }
    nodes = [
        helper.make_node("Gather", ["table", "category"], ["logits"]),
        helper.make_node("ReduceSum", ["logits", "axis"], ["sum"], keepdims=1),
        helper.make_node("MatMul", ["numbers", "w"], ["product"]),
        helper.make_node("Add", ["product", "sum"], ["value"]),
    ]
    inputs = [tensor("numbers", None, 3), tensor("category", None, dtype=INT64)]
    return build(nodes, inputs, [tensor("value", None, 1), tensor("logits", None, 2)], weights)
