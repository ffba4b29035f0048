"""The models that are served: as their libraries saved them, as Serin's packages, and with inputs to ask about."""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Kind:
    """What is known of a model before it is made."""

    name: str
    title: str
    # The family as `serin package` and the benchmark's own apps call it.
    family: str
    artifact: str
    inputs: str
    input_name: str
    most_rows: int
    options: tuple[str, ...] = ()


LABELS = ("--labels", "down,up")
KINDS = (
    Kind(
        "xgboost", "XGBoost, 200 trees of depth 6, 49 features",
        "xgboost", "xgboost.ubj", "rows.npy", "rows", 1024, LABELS,
    ),
    Kind(
        "lightgbm", "LightGBM, 200 trees of depth 6, 49 features",
        "lightgbm", "lightgbm.txt", "rows.npy", "rows", 1024, LABELS,
    ),
    Kind(
        "network", "ONNX network of PatchTST's size: [512, 7] to [96, 7], 1.2 million parameters",
        "onnx", "network.onnx", "series.npy", "series", 64,
    ),
    Kind(
        "perceptron", "wide ONNX perceptron: 49 features, 3 layers of 1,024, 2.2 million parameters",
        "onnx", "perceptron.onnx", "rows.npy", "rows", 64,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Model:
    """A model on disk; `package` is None where `serin package` refused it, and `refusal` says why."""

    kind: Kind
    folder: Path
    package: Path | None
    refusal: str = ""

    @property
    def artifact(self) -> Path:
        """The file that the library saved."""
        return self.folder / self.kind.artifact

    @cached_property
    def onnx(self) -> Path | None:
        """The ONNX form that Serin's package has, so that peers run the very graph that Serin runs."""
        found = sorted(self.package.rglob("*.onnx")) if self.package else []
        return found[0] if found else self.artifact if self.artifact.suffix == ".onnx" else None

    @cached_property
    def inputs(self) -> Array:
        """Sample inputs, of few decimals, so that JSON is as long as people's JSON is."""
        values: Array = np.load(self.folder / self.kind.inputs)
        return values

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the package says of itself."""
        document: dict[str, Any] = json.loads((self.package / "manifest.json").read_text()) if self.package else {}
        return document


def package(kind: Kind, artifacts: Path, scratch: Path, version: str = "1.0.0") -> Model:
    """Package an artifact the way anybody would, by the command."""
    target = scratch / f"package-{kind.name}"
    argv = [str(Path(sys.executable).parent / "serin"), "package", "--from", str(artifacts / kind.artifact)]
    argv += ["--model", kind.name, "--version", version, "--output", str(target), *kind.options]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        return Model(kind, artifacts, None, (done.stderr or done.stdout).strip().splitlines()[-1])
    return Model(kind, artifacts, target)
