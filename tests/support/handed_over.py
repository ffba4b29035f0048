"""Models of other families for the demo's rows, as a data scientist would hand them over."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import numpy.typing as npt
from onnx import helper
from sklearn import linear_model

from serin_demo import models, story
from serin_services.package import folder, make, manifest
from support import networks, torch_environment


@dataclass(frozen=True)
class HandedOver:
    """A version and its probability of class 1 for each held-out row."""

    version: str
    probabilities: npt.NDArray[np.float64]

    def class_of(self, row: int) -> int:
        """Tell the class that this version gives a held-out row."""
        return int(self.probabilities[row] > 0.5)


def train(data: models.Data, version: str) -> tuple[HandedOver, dict[str, npt.NDArray[np.float32]]]:
    """Train a classifier with a scaler of its own; give what it says, and its parameters."""
    mean, deviation = data.train_rows.mean(axis=0), data.train_rows.std(axis=0)
    trained = linear_model.LogisticRegression().fit((data.train_rows - mean) / deviation, data.train_labels)
    parameters = {
        "mean": mean,
        "deviation": deviation,
        "weights": np.stack([np.zeros_like(trained.coef_[0]), trained.coef_[0]], axis=1),
        "bias": np.array([0, trained.intercept_[0]]),
    }
    probabilities = trained.predict_proba((data.held_out_rows - mean) / deviation)[:, 1]
    return HandedOver(version, probabilities), {name: value.astype("float32") for name, value in parameters.items()}


def train_trees(data: models.Data, version: str) -> tuple[HandedOver, lightgbm.Booster]:
    """Train LightGBM; give what it says, and the model."""
    settings = {"objective": "binary", "num_threads": 1, "seed": 0, "deterministic": True, "verbose": -1}
    rows = lightgbm.Dataset(data.train_rows, data.train_labels, feature_name=list(data.features))
    trained = lightgbm.train({**settings, "num_leaves": 8, "min_data_in_leaf": 10}, rows, 100)
    return HandedOver(version, np.asarray(trained.predict(data.held_out_rows))), trained


def package_lightgbm(data: models.Data, trained: lightgbm.Booster, version: str, scratch: Path) -> folder.Package:
    """Make a package of LightGBM's own text, with the demo's labels."""
    source = scratch / "trees.txt"
    trained.save_model(source)
    recipe = make.Recipe(source=source, model=story.NAME, version=version, labels=tuple(data.classes))
    return make.make(recipe, scratch / f"package-{version}")


def save_as_onnx(parameters: dict[str, npt.NDArray[np.float32]], target: Path) -> None:
    """Save the classifier as an ONNX graph."""
    nodes = [
        helper.make_node("Sub", ["rows", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["scaled"]),
        helper.make_node("Gemm", ["scaled", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    inputs = [networks.tensor("rows", None, len(parameters["mean"]))]
    outputs = [networks.tensor("probabilities", None, 2)]
    target.write_bytes(networks.build(nodes, inputs, outputs, parameters))


def package_onnx(
    data: models.Data, parameters: dict[str, npt.NDArray[np.float32]], version: str, scratch: Path
) -> folder.Package:
    """Make a package of the ONNX graph, with the demo's features and labels."""
    source = scratch / "network.onnx"
    save_as_onnx(parameters, source)
    recipe = make.Recipe(
        source=source,
        model=story.NAME,
        version=version,
        features=tuple(manifest.Feature(name=name) for name in data.features),
        labels=tuple(data.classes),
        task="binary",
    )
    return make.make(recipe, scratch / f"package-{version}")


def package_torch(
    data: models.Data, parameters: dict[str, npt.NDArray[np.float32]], version: str, scratch: Path
) -> folder.Package:
    """Make a package of the same classifier as a PyTorch network, where PyTorch is."""
    file, target = scratch / "parameters.npz", scratch / f"package-{version}"
    np.savez(file, names=np.array(data.features), labels=np.array(data.classes), **parameters)
    program = [str(torch_environment.ensure()), "-m", "support.torch_demo", str(file), version, str(target)]
    done = subprocess.run(
        program, env=torch_environment.make_environment(), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return folder.read(target)
