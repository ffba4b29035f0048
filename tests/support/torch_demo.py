"""A PyTorch classifier of the demo's rows; run in the environment that has PyTorch.

`python -m support.torch_demo PARAMETERS.npz VERSION FOLDER` packages a network with the parameters of the file.
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from serin_services.package import make, manifest

PARAMETERS = "SERIN_TEST_PARAMETERS"


class Classifier(nn.Module):
    """Scaled rows through one layer and a softmax."""

    def __init__(self, parameters: dict[str, torch.Tensor]) -> None:
        super().__init__()
        for name, value in parameters.items():
            self.register_buffer(name, value)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        scaled = (rows - self.mean) / self.deviation
        return torch.softmax(scaled @ self.weights + self.bias, dim=1)


def network() -> tuple[nn.Module, torch.Tensor]:
    with np.load(os.environ[PARAMETERS]) as found:
        parameters = {name: torch.from_numpy(found[name]) for name in ("mean", "deviation", "weights", "bias")}
    return Classifier(parameters), parameters["mean"].repeat(4, 1)


def main(parameters: str, version: str, target: str) -> None:
    """Make the package."""
    os.environ[PARAMETERS] = parameters
    with np.load(parameters) as found:
        names, labels = found["names"].tolist(), found["labels"].tolist()
    recipe = make.Recipe(
        source="support.torch_demo:network",
        model="tumor",
        version=version,
        features=tuple(manifest.Feature(name=name) for name in names),
        labels=tuple(labels),
        task="binary",
    )
    make.make(recipe, Path(target))


if __name__ == "__main__":
    main(*sys.argv[1:])
