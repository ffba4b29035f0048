"""A network for the demo's rows, as a data scientist would hand it over: trained elsewhere, saved as ONNX."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import helper
from sklearn import linear_model

from serin_demo import models, story
from serin_services.package import folder, make, manifest
from support import networks


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
    values = {
        "mean": mean,
        "deviation": deviation,
        "weights": np.stack([np.zeros_like(trained.coef_[0]), trained.coef_[0]], axis=1),
        "bias": np.array([0, trained.intercept_[0]]),
    }
    nodes = [
        helper.make_node("Sub", ["rows", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["scaled"]),
        helper.make_node("Gemm", ["scaled", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    inputs = [networks.tensor("rows", None, len(data.features))]
    outputs = [networks.tensor("probabilities", None, 2)]
    weights = {name: value.astype("float32") for name, value in values.items()}
    target.write_bytes(networks.build(nodes, inputs, outputs, weights))
    return Network(version, trained.predict_proba((data.held_out_rows - mean) / deviation)[:, 1])


def make_package(data: models.Data, source: Path | str, version: str, target: Path) -> folder.Package:
    """Make a package of a network, with the demo's features and labels."""
    recipe = make.Recipe(
        source=source,
        model=story.NAME,
        version=version,
        features=tuple(manifest.Feature(name=name) for name in data.features),
        labels=tuple(data.classes),
        task="binary",
    )
    return make.make(recipe, target)
