"""An ONNX network of PatchTST's size: the sizes of PatchTST/64 in its paper (Nie et al., ICLR 2023), drawn weights.

Each channel is a sequence of its own, cut into patches; three encoder layers; one linear head over all patches.
"""

import math

import numpy as np
import onnx
from onnx import helper, numpy_helper

TIME, CHANNELS, HORIZON = 512, 7, 96
PATCH, STRIDE = 16, 8
WIDTH, HEADS, HIDDEN, LAYERS = 128, 16, 256, 3
# The last patch is padded with a stride of the last value.
PATCHES = (TIME - PATCH) // STRIDE + 2
HEAD_WIDTH = WIDTH // HEADS
# Gelu is an operator from 20 on.
OPSET, IR_VERSION = 20, 10


class Graph:
    """Nodes and weights, put down in the order of the computation."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(5)

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes: object) -> str:
        """Add a node and give its output's name."""
        output = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, values: object, dtype: type = np.int64) -> str:
        """Add a constant and give its name."""
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def draw(self, *shape: int) -> str:
        """Add weights that keep the size of what they are multiplied with."""
        return self.constant(self._random.normal(size=shape) / math.sqrt(shape[0]), np.float32)

    def linear(self, given: str, width: int, wanted: int) -> str:
        """Multiply the last axis with drawn weights and add drawn biases."""
        return self.add("Add", self.add("MatMul", given, self.draw(width, wanted)), self.draw(wanted))

    def normalize(self, given: str) -> str:
        """Normalize the last axis."""
        scale, bias = self.constant(np.ones(WIDTH), np.float32), self.constant(np.zeros(WIDTH), np.float32)
        return self.add("LayerNormalization", given, scale, bias)

    def heads(self, given: str, order: list[int]) -> str:
        """Split the last axis into heads, in an order of [sequence, patch, head, position]."""
        split = self.add("Reshape", given, self.constant([-1, PATCHES, HEADS, HEAD_WIDTH]))
        return self.add("Transpose", split, perm=order)

    def attend(self, given: str) -> str:
        """Let each patch look at all patches."""
        query = self.heads(self.linear(given, WIDTH, WIDTH), [0, 2, 1, 3])
        key = self.heads(self.linear(given, WIDTH, WIDTH), [0, 2, 3, 1])
        value = self.heads(self.linear(given, WIDTH, WIDTH), [0, 2, 1, 3])
        scores = self.add("Div", self.add("MatMul", query, key), self.constant(math.sqrt(HEAD_WIDTH), np.float32))
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=-1), value)
        joined = self.add("Transpose", mixed, perm=[0, 2, 1, 3])
        return self.linear(self.add("Reshape", joined, self.constant([-1, PATCHES, WIDTH])), WIDTH, WIDTH)

    def encode(self, given: str) -> str:
        """One layer of the encoder."""
        attended = self.normalize(self.add("Add", given, self.attend(given)))
        hidden = self.add("Gelu", self.linear(attended, WIDTH, HIDDEN))
        return self.normalize(self.add("Add", attended, self.linear(hidden, HIDDEN, WIDTH)))

    def finish(self, given: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]]) -> onnx.ModelProto:
        """Make the model, given its inputs and outputs with the shape of each row."""

        def describe(tensors: dict[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
            kind = onnx.TensorProto.FLOAT
            return [helper.make_tensor_value_info(name, kind, ["batch", *shape]) for name, shape in tensors.items()]

        made = helper.make_graph(self.nodes, "bench", describe(given), describe(wanted), self.weights)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def make() -> onnx.ModelProto:
    """Make the network: `series` [batch, time, channel] in, `forecast` [batch, horizon, channel] out."""
    graph = Graph()
    mean = graph.add("ReduceMean", "series", graph.constant([1]), keepdims=1)
    centred = graph.add("Sub", "series", mean)
    channels = graph.add("Transpose", centred, perm=[0, 2, 1])
    padded = graph.add("Pad", channels, graph.constant([0, 0, 0, 0, 0, STRIDE]), mode="edge")
    starts = np.arange(PATCHES)[:, None] * STRIDE + np.arange(PATCH)
    patches = graph.add("Gather", padded, graph.constant(starts), axis=2)
    sequences = graph.add("Reshape", patches, graph.constant([-1, PATCHES, PATCH]))
    tokens = graph.add("Add", graph.linear(sequences, PATCH, WIDTH), graph.draw(PATCHES, WIDTH))
    for _ in range(LAYERS):
        tokens = graph.encode(tokens)
    flat = graph.add("Reshape", tokens, graph.constant([-1, CHANNELS, PATCHES * WIDTH]))
    ahead = graph.add("Transpose", graph.linear(flat, PATCHES * WIDTH, HORIZON), perm=[0, 2, 1])
    graph.add("Add", ahead, mean, name="forecast")
    return graph.finish({"series": (TIME, CHANNELS)}, {"forecast": (HORIZON, CHANNELS)})


def draw_series(count: int) -> np.ndarray:
    """Draw series that wander as prices do."""
    return np.random.default_rng(6).normal(size=(count, TIME, CHANNELS)).cumsum(axis=1).round(4)
