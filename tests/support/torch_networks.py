"""Networks for packaging, and what they answer; run in the environment that has PyTorch.

`python -m support.torch_networks FOLDER` makes a package of each network, writes inputs and answers beside it as
FOLDER/<name>.npz, and prints for each the reason of its refusal, or nothing.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from serin_services.package import architectures, errors, make, measuring

STEPS, SERIES, QUANTILES = 32, 3, (0.1, 0.5, 0.9)


class Recurrent(nn.Module):
    """A forecast of 4 steps with quantiles, of a series of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(SERIES, 8, 2, batch_first=True)
        self.head = nn.Linear(8, 4 * len(QUANTILES))

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(series)[0][:, -1]).unflatten(1, (4, len(QUANTILES)))


class Patched(nn.Module):
    """A small PatchTST: patches of a normalised series through a transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Linear(8, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(STEPS // 8 * 16, 4)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        mean, spread = series.mean(1, keepdim=True), series.std(1, keepdim=True) + 1e-5
        patches = ((series - mean) / spread).unfold(1, 8, 8)
        return self.head(self.encoder(self.patches(patches)).flatten(1)) * spread + mean


class Several(nn.Module):
    """Numbers and a category in, a dictionary out."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)
        self.body = nn.Linear(7, 8)
        self.value, self.logits = nn.Linear(8, 1), nn.Linear(8, 2)

    def forward(self, numbers: torch.Tensor, category: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = torch.relu(self.body(torch.cat([numbers, self.table(category)], 1)))
        return {"value": self.value(hidden), "logits": self.logits(hidden)}


class Random(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + torch.rand_like(values)


class Branching(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * 2 if values.sum().item() > 0 else values - 1


def classifier() -> object:
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 1))


def recurrent() -> object:
    return Recurrent()


def patched() -> object:
    return Patched(), torch.randn(1, STEPS)


def several() -> object:
    return Several(), (torch.randn(4, 3), torch.tensor([0, 3, 9, 5]))


def random() -> object:
    return Random(), torch.randn(3, 2)


def branching() -> object:
    return Branching(), torch.randn(3, 2)


def failing() -> object:
    raise ValueError("no weights here")


def a_number() -> object:
    return 3


def without_examples() -> object:
    return nn.Sequential(nn.Conv1d(1, 2, 3))


def gru() -> object:
    return architectures.make("gru", features=SERIES, hidden=8, outputs=(4, 3))


def transformer() -> object:
    return architectures.make("transformer", features=SERIES, hidden=8, heads=2, outputs=(4,))


def mlp() -> object:
    return architectures.make("mlp", features=5, hidden=8)


SERIES_INPUT = {"series": np.random.default_rng(1).normal(size=(6, 20, SERIES)).astype("float32")}
ROWS = {"input": np.random.default_rng(2).normal(size=(6, 5)).astype("float32")}
EXPORTED = {
    "classifier": ({"labels": ("no", "yes")}, ROWS),
    "recurrent": ({"quantiles": QUANTILES}, SERIES_INPUT),
    "patched": ({}, {"series": np.random.default_rng(3).normal(size=(5, STEPS)).astype("float32")}),
    "several": ({}, {"numbers": np.ones((4, 3), "float32"), "category": np.array([1, 2, 3, 9])}),
    "random": ({}, {}),
    "branching": ({}, {}),
    "failing": ({}, {}),
    "a_number": ({}, {}),
    "without_examples": ({}, {}),
    "missing": ({}, {}),
}
NATIVE = {"gru": SERIES_INPUT, "transformer": SERIES_INPUT, "mlp": ROWS}
QUICK = measuring.Effort(sizes=(1,), seconds=0, least=1)


def answer(function: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give what the network itself says."""
    made = make_network(function)
    with torch.inference_mode():
        given = made(*(torch.from_numpy(value) for value in inputs.values()))
    outputs = given if isinstance(given, dict) else {"output": given}
    return {name: value.numpy() for name, value in outputs.items()}


def make_network(function: str) -> nn.Module:
    torch.manual_seed(0)
    made = globals()[function]()
    return (made[0] if isinstance(made, tuple) else made).eval()


def package(source: Path | str, target: Path, **recipe: object) -> str:
    """Make a package, and give the refusal or nothing."""
    torch.manual_seed(0)
    given = make.Recipe(source=source, model="network", version="1", **recipe)
    try:
        make.make(given, target, effort=QUICK)
    except errors.PackageError as error:
        return str(error)
    return ""


def main(folder: Path) -> None:
    """Make all packages."""
    said = {}
    for name, (recipe, inputs) in EXPORTED.items():
        said[name] = package(f"support.torch_networks:{name}", folder / name, **recipe)
        if inputs:
            write(folder / f"{name}.npz", inputs, answer(name, inputs))
    for name, inputs in NATIVE.items():
        weights = folder / f"{name}.safetensors"
        architectures.save(make_network(name), weights)
        said[name] = package(weights, folder / name)
        write(folder / f"{name}.npz", inputs, answer(name, inputs))
    print(json.dumps(said))


def write(path: Path, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> None:
    np.savez(path, **{f"in.{name}": array for name, array in inputs.items()}, **outputs)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
