"""Reads the trees of a LightGBM model."""

import math
from typing import Any

from serin_services.package.conversion import trees
from serin_services.package.families import lightgbm as family

# What each objective does to the sum of the leaves.
LINKS: dict[str, trees.Link] = {
    "binary": "logistic",
    "multiclassova": "logistic",
    "multiclass": "softmax",
    "cross_entropy": "sigmoid",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
}


# LightGBM takes values of at most this size for 0 (kZeroThreshold, a float32).
ZERO = 1.0000000180025095e-35


def read(artifact: bytes) -> trees.Ensemble:
    """Have LightGBM dump what the artifact holds, and read the trees.

    Raises:
        trees.NotConvertible: it has something that ONNX's tree operators cannot say.
    """
    import lightgbm  # noqa: PLC0415 - one family's library

    model = lightgbm.Booster(model_str=artifact.decode()).dump_model()
    name, *parameters = family.read_objective(artifact)
    given = dict(parameter.partition(":")[::2] for parameter in parameters)
    if "sqrt" in given:
        raise trees.NotConvertible("is trained on square roots")
    outputs = int(model["num_tree_per_iteration"])
    tables = model["tree_info"]
    # A random forest's sum is a mean; a sigmoid may be steeper than usual.
    share = outputs / max(len(tables), 1) if model.get("average_output") else 1.0
    weight = share * float(given.get("sigmoid", 1))
    nodes = trees.Nodes()
    for number, table in enumerate(tables):
        add_tree(nodes, table["tree_structure"], number, number % outputs, weight)
    return trees.Ensemble(nodes, "BRANCH_LEQ", outputs, (0.0,) * outputs, LINKS.get(name, "none"))


def add_tree(nodes: trees.Nodes, root: dict[str, Any], number: int, output: int, weight: float) -> None:
    """Add the nodes of one tree, numbered as they are met."""
    waiting = [root]
    for own, node in enumerate(waiting):
        is_leaf = "leaf_value" in node
        if is_leaf and "leaf_coeff" in node:
            raise trees.NotConvertible("has linear functions in its leaves")
        nodes.tree.append(number)
        nodes.number.append(own)
        nodes.output.append(output)
        nodes.is_leaf.append(is_leaf)
        nodes.value.append(node["leaf_value"] * weight if is_leaf else 0.0)
        nodes.feature.append(0 if is_leaf else node["split_feature"])
        nodes.missing_left.append(not is_leaf and goes_left_when_missing(node))
        nodes.threshold.append(0.0 if is_leaf else beside_zero(node["threshold"]))
        nodes.left.append(0 if is_leaf else len(waiting))
        nodes.right.append(0 if is_leaf else len(waiting) + 1)
        if not is_leaf:
            waiting += [node["left_child"], node["right_child"]]


def goes_left_when_missing(node: dict[str, Any]) -> bool:
    """Say where NaN goes: its own way, or where 0 goes, which LightGBM takes it for."""
    if node["decision_type"] != "<=":
        raise trees.NotConvertible("splits by categories")
    zero_left = bool(node["threshold"] >= 0)
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    if node["missing_type"] == "Zero" and zero_left != node["default_left"]:
        raise trees.NotConvertible("takes 0 for a missing value")
    return zero_left


def beside_zero(threshold: float) -> float:
    """Move a threshold that lies among the values taken for 0 to their edge, so that all of them go where 0 goes."""
    if not -ZERO <= threshold < ZERO:
        return threshold
    return ZERO if threshold >= 0 else math.nextafter(-ZERO, -math.inf)
