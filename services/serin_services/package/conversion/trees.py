"""Trees of any library as columns of numbers."""

import dataclasses
from typing import Literal

import numpy as np
import numpy.typing as npt

# What is done to the sum of the leaves.
Link = Literal["none", "logistic", "softmax", "exp", "sigmoid"]

Floats = npt.NDArray[np.float64]


class NotConvertible(Exception):  # noqa: N818 - the model is not at fault
    """A model with something that ONNX's tree operators cannot say; the words end `the model ...`."""


@dataclasses.dataclass
class Nodes:
    """All nodes of all trees, in columns; a node's number counts within its tree, from 0, its root."""

    tree: list[int] = dataclasses.field(default_factory=list)
    number: list[int] = dataclasses.field(default_factory=list)
    feature: list[int] = dataclasses.field(default_factory=list)
    threshold: list[float] = dataclasses.field(default_factory=list)
    left: list[int] = dataclasses.field(default_factory=list)
    right: list[int] = dataclasses.field(default_factory=list)
    missing_left: list[bool] = dataclasses.field(default_factory=list)
    is_leaf: list[bool] = dataclasses.field(default_factory=list)
    # Of a leaf: its value, and which output it is added to.
    value: list[float] = dataclasses.field(default_factory=list)
    output: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """A tree model: a row goes left where its value `comparison` the threshold, and its leaves are summed."""

    nodes: Nodes
    comparison: Literal["BRANCH_LT", "BRANCH_LEQ"]
    outputs: int
    base: tuple[float, ...]
    link: Link

    def thresholds(self, width: int) -> list[Floats]:
        """Give the thresholds of each feature, ascending."""
        nodes = self.nodes
        inner = ~np.array(nodes.is_leaf, bool)
        features, values = np.array(nodes.feature)[inner], np.array(nodes.threshold)[inner]
        return [np.unique(values[features == feature]) for feature in range(width)]
