"""A recurrent ONNX network, drawn: many small steps one after the other, of which a batch makes larger ones."""

import network
import numpy as np
import onnx

TIME, CHANNELS, HORIZON = 128, 8, 16
WIDTH = 128


def make() -> onnx.ModelProto:
    """Make the network: `series` [batch, time, channel] in, `forecast` [batch, horizon] out."""
    graph = network.Graph()
    steps = graph.add("Transpose", "series", perm=[1, 0, 2])
    # Weights and recurrent weights of the three gates, as the operator wants them: [directions, 3 * width, inputs].
    weights = graph.constant(draw(1, 1, 3 * WIDTH, CHANNELS), np.float32)
    recurrent = graph.constant(draw(2, 1, 3 * WIDTH, WIDTH), np.float32)
    graph.nodes.append(onnx.helper.make_node("GRU", [steps, weights, recurrent], ["", "last"], hidden_size=WIDTH))
    state = graph.add("Squeeze", "last", graph.constant([0]))
    graph.add("Identity", graph.linear(state, WIDTH, HORIZON), name="forecast")
    return graph.finish((TIME, CHANNELS), (HORIZON,))


def draw(seed: int, *shape: int) -> np.ndarray:
    """Draw weights that keep the size of what they are multiplied with."""
    return np.random.default_rng(seed).normal(size=shape) / np.sqrt(shape[-1])
