"""A network for the demo's rows, as a data scientist would hand it over: trained elsewhere, saved as ONNX."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import helper
from sklearn import linear_model

from serin_demo import models, story
from serin_services.package import folder, make, manifest
from support import networks, torch_environment


@dataclass(frozen=True)
class Network:
    """A version and its probability of class 1 for each held-out row."""

    version: str
    probabilities: npt.NDArray[np.float64]

    def class_of(self, row: int) -> int:
        """Tell the class that this version gives a held-out row."""
        return int(self.probabilities[row] > 0.5)


def train(data: models.Data, version: str) -> tuple[Network, dict[str, npt.NDArray[np.float32]]]:
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
    return Network(version, probabilities), {name: value.astype("float32") for name, value in parameters.items()}


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
