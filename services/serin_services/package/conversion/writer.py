"""Writes a tree ensemble as an ONNX model.

ONNX's tree operators hold thresholds in float64 where the input is of float64 (ai.onnx.ml 3), so a model trained in
float64 is the same in every leaf; converters that cast its thresholds to float32 send rows near them the other way.
"""

import numpy as np
import onnx
from onnx import helper

from serin_services.package import manifest
from serin_services.package.conversion import trees
from serin_services.package.families import base

OPSET, ML_OPSET, IR_VERSION = 15, 3, 8
LEAF = "LEAF"


def to_onnx(ensemble: trees.Ensemble, found: base.Inspection, metadata: dict[str, str]) -> bytes:
    """Write the ONNX model: the scores of each row, as probabilities or values in columns, in float32."""
    rows, scores = found.inputs[0], found.outputs[0]
    is_class = found.task != "regression"
    nodes = [make_classifier(ensemble, rows) if is_class else make_regressor(ensemble, rows)]
    if not is_class and ensemble.link != "none":
        operator = {"exp": "Exp", "sigmoid": "Sigmoid"}[ensemble.link]
        nodes[0].output[0] = "sums"
        nodes.append(helper.make_node(operator, ["sums"], [scores.name]))
    width = scores.shape[1] if len(scores.shape) > 1 else 1
    graph = helper.make_graph(
        nodes,
        "trees",
        [helper.make_tensor_value_info(rows.name, onnx_type(rows), [None, rows.shape[1]])],
        [helper.make_tensor_value_info(scores.name, onnx.TensorProto.FLOAT, [None, width])],
    )
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION, producer_name="serin")
    helper.set_model_props(model, metadata)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def onnx_type(rows: manifest.Tensor) -> int:
    """Give ONNX's number of the type of the rows."""
    return int(onnx.TensorProto.DOUBLE if rows.dtype == "float64" else onnx.TensorProto.FLOAT)


def make_classifier(ensemble: trees.Ensemble, rows: manifest.Tensor) -> onnx.NodeProto:
    """Make the classifier: its label is not asked for, and costs next to nothing."""
    leaves, values = leaf_values(ensemble)
    bases = list(ensemble.base)
    if ensemble.outputs == 1 and min(values, default=0) >= 0:
        # ONNX Runtime takes a binary model without a negative leaf for one that sums probabilities; moving a constant
        # from the base into the first tree's leaves gives it one.
        nodes = ensemble.nodes
        moved = 1 + max(value for value, leaf in zip(values, leaves, strict=True) if nodes.tree[leaf] == 0)
        values = [value - moved if nodes.tree[leaf] == 0 else value for value, leaf in zip(values, leaves, strict=True)]
        bases = [bases[0] + moved]
    return helper.make_node(
        "TreeEnsembleClassifier",
        [rows.name],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        post_transform="SOFTMAX" if ensemble.link == "softmax" else "LOGISTIC",
        classlabels_int64s=list(range(max(ensemble.outputs, 2))),
        **leaf_attributes(ensemble, "class", leaves),
        **numbers("class_weights", values, rows),
        **numbers("base_values", bases, rows),
        **node_attributes(ensemble, rows),
    )


def make_regressor(ensemble: trees.Ensemble, rows: manifest.Tensor) -> onnx.NodeProto:
    """Make the regressor, which gives a column for each output."""
    leaves, values = leaf_values(ensemble)
    return helper.make_node(
        "TreeEnsembleRegressor",
        [rows.name],
        ["value"],
        domain="ai.onnx.ml",
        n_targets=ensemble.outputs,
        **leaf_attributes(ensemble, "target", leaves),
        **numbers("target_weights", values, rows),
        **numbers("base_values", list(ensemble.base), rows),
        **node_attributes(ensemble, rows),
    )


def leaf_values(ensemble: trees.Ensemble) -> tuple[list[int], list[float]]:
    """Give the positions of the leaves, and their values."""
    leaves = [position for position, is_leaf in enumerate(ensemble.nodes.is_leaf) if is_leaf]
    return leaves, [ensemble.nodes.value[leaf] for leaf in leaves]


def leaf_attributes(ensemble: trees.Ensemble, prefix: str, leaves: list[int]) -> dict[str, list[int]]:
    """Say of each leaf which node it is and which output it is added to."""
    nodes = ensemble.nodes
    columns = {"treeids": nodes.tree, "nodeids": nodes.number, "ids": nodes.output}
    return {f"{prefix}_{name}": [column[leaf] for leaf in leaves] for name, column in columns.items()}


def node_attributes(ensemble: trees.Ensemble, rows: manifest.Tensor) -> dict[str, object]:
    """Say of each node what it asks and where it leads."""
    nodes = ensemble.nodes
    return {
        "nodes_treeids": nodes.tree,
        "nodes_nodeids": nodes.number,
        "nodes_featureids": nodes.feature,
        "nodes_modes": [LEAF if is_leaf else ensemble.comparison for is_leaf in nodes.is_leaf],
        "nodes_truenodeids": nodes.left,
        "nodes_falsenodeids": nodes.right,
        "nodes_missing_value_tracks_true": [int(left) for left in nodes.missing_left],
        **numbers("nodes_values", nodes.threshold, rows),
    }


def numbers(name: str, values: list[float], rows: manifest.Tensor) -> dict[str, object]:
    """Write numbers in the precision of the rows: float64 goes as a tensor under another name."""
    if rows.dtype != "float64":
        return {name: [float(np.float32(value)) for value in values]}
    tensor = helper.make_tensor(name, onnx.TensorProto.DOUBLE, [len(values)], values)
    return {f"{name}_as_tensor": tensor}
