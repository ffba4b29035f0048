"""Reads the trees of an XGBoost model."""

import json
import math
from collections.abc import Callable
from typing import Any

from serin_services.package.conversion import trees

# What each objective does to the sum of the leaves, by the beginning of its name.
LINKS: dict[str, trees.Link] = {
    "binary:": "logistic",
    "multi:": "softmax",
    "reg:logistic": "sigmoid",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
}
# The base score is written as a prediction; the sum begins with what gives it.
TO_SUM: dict[str, Callable[[float], float]] = {
    "logistic": lambda score: math.log(score / (1 - score)),
    "sigmoid": lambda score: math.log(score / (1 - score)),
    "exp": math.log,
}


def read(artifact: bytes) -> trees.Ensemble:
    """Have XGBoost say in JSON what the artifact holds, and read the trees.

    Raises:
        trees.NotConvertible: it has something that ONNX's tree operators cannot say.
    """
    import xgboost  # noqa: PLC0415 - one family's library

    model = xgboost.Booster()
    model.load_model(bytearray(artifact))
    learner = json.loads(model.save_raw("json"))["learner"]
    booster = learner["gradient_booster"]
    weights = booster.get("weight_drop")
    content = (booster["gbtree"] if weights else booster)["model"]
    objective = learner["objective"]["name"]
    shape = learner["learner_model_param"]
    outputs = max(int(shape["num_class"]), int(shape.get("num_target", 1)), 1)
    nodes = trees.Nodes()
    for number, (tree, output) in enumerate(zip(content["trees"], content["tree_info"], strict=True)):
        add_tree(nodes, tree, number, output, weights[number] if weights else 1.0)
    link = read_link(objective)
    # A margin is the sum itself.
    to_sum = float if objective == "binary:logitraw" else TO_SUM.get(link, float)
    scores = [to_sum(score) for score in read_base(shape["base_score"])]
    return trees.Ensemble(nodes, "BRANCH_LT", outputs, tuple(scores * outputs if len(scores) == 1 else scores), link)


def read_link(objective: str) -> trees.Link:
    """Say what an objective does to the sum."""
    return next((link for start, link in LINKS.items() if objective.startswith(start)), "none")


def read_base(text: str) -> list[float]:
    """Read the base score: a number, or a list of one for each output, as text."""
    read = json.loads(text)
    return [float(score) for score in (read if isinstance(read, list) else [read])]


def add_tree(nodes: trees.Nodes, tree: dict[str, Any], number: int, output: int, weight: float) -> None:
    """Add the nodes of one tree; a leaf keeps its value where other nodes keep their threshold."""
    if any(tree.get("split_type", ())):
        raise trees.NotConvertible("splits by categories")
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise trees.NotConvertible("has leaves of several values")
    lefts, rights, conditions = tree["left_children"], tree["right_children"], tree["split_conditions"]
    count = len(lefts)
    leaf = [left == -1 for left in lefts]
    nodes.tree += [number] * count
    nodes.number += range(count)
    nodes.feature += tree["split_indices"]
    nodes.threshold += [0.0 if end else value for end, value in zip(leaf, conditions, strict=True)]
    nodes.left += [max(left, 0) for left in lefts]
    nodes.right += [max(right, 0) for right in rights]
    nodes.missing_left += [bool(left) for left in tree["default_left"]]
    nodes.is_leaf += leaf
    nodes.value += [value * weight if end else 0.0 for end, value in zip(leaf, conditions, strict=True)]
    nodes.output += [output] * count
