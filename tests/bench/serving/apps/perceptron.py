"""A wide ONNX network over a table's row: its weights are read from memory for each call, so rows together share that."""

import network
import onnx

WIDTH, HIDDEN_LAYERS, OUTPUTS = 1024, 3, 2


def make(features: int) -> onnx.ModelProto:
    """Make the network: `rows` [batch, feature] in, `scores` [batch, output] out."""
    graph = network.Graph()
    given, width = "rows", features
    for _ in range(HIDDEN_LAYERS):
        given, width = graph.add("Relu", graph.linear(given, width, WIDTH)), WIDTH
    graph.add("Identity", graph.linear(given, width, OUTPUTS), name="scores")
    return graph.finish({"rows": (features,)}, {"scores": (OUTPUTS,)})
