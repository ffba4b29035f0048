"""A network for the demo's rows, as a data scientist would hand it over: trained elsewhere, saved as ONNX."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn import linear_model

from serin_demo import models
from serin_services.package import folder, make

OPSET, IR_VERSION = 17, 8


@dataclass(frozen=True)
class Network:
    """A version and its probability of class 1 for each held-out row."""

    version: str
    probabilities: npt.NDArray[np.float64]

    def class_of(self, row: int) -> int:
        """Tell the class that this version gives a held-out row."""
        return int(self.probabilities[row] > 0.5)


def save_network(data: models.Data, target: Path, version: str) -> Network:
    """Save a classifier with its own scaler inside."""
    mean, deviation = data.train_rows.mean(axis=0), data.train_rows.std(axis=0)
    trained = linear_model.LogisticRegression().fit((data.train_rows - mean) / deviation, data.train_labels)
    weights = np.stack([np.zeros_like(trained.coef_[0]), trained.coef_[0]], axis=1)
    values = {
        "mean": mean,
        "deviation": deviation,
        "weights": weights,
        "bias": np.array([0, trained.intercept_[0]]),
    }
    nodes = [
        helper.make_node("Sub", ["rows", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["scaled"]),
        helper.make_node("Gemm", ["scaled", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", len(data.features)])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.save_model(model, target)
    return Network(version, trained.predict_proba((data.held_out_rows - mean) / deviation)[:, 1])


def make_package(data: models.Data, source: Path | str, version: str, target: Path) -> folder.Package:
    """Make a package of a network, with the demo's features and labels."""
    features = tuple(make.manifest.Feature(name=name) for name in data.features)
    recipe = make.Recipe(
        source=source, model="tumor", version=version, features=features, labels=tuple(data.classes), task="binary"
    )
    return make.make(recipe, target)
