"""LightGBM: text, computed in float64."""

from types import ModuleType
from typing import Any

from serin_services.package import manifest
from serin_services.package.families import base

TASKS: dict[str, manifest.Task] = {"binary": "binary", "multiclass": "multiclass", "multiclassova": "multiclass"}
# The objective stands in the header, before the first tree.
HEADER_BYTES = 65536


def recognise(head: bytes) -> bool:
    """Recognise the text format by its first line."""
    return head.startswith((b"tree\n", b"tree\r\n"))


def read_objective(artifact: bytes) -> list[str]:
    """Read the objective and its parameters, such as `binary sigmoid:1`."""
    lines = artifact[:HEADER_BYTES].decode(errors="replace").splitlines()
    given = (line.partition("=")[2].split() for line in lines if line.startswith("objective="))
    return next(given, []) or ["regression"]


def open_model(library: ModuleType, artifact: bytes) -> base.OpenModel:
    """Open a text model."""
    booster = library.Booster(model_str=artifact.decode())
    task = TASKS.get(read_objective(artifact)[0], "regression")
    width = int(booster.num_feature())
    float64: tuple[manifest.DataType, ...] = ("float64",)
    outputs = int(booster.num_model_per_iteration())
    inspection = base.describe_rows(
        width,
        tuple(booster.feature_name()),
        float64 * width,
        "float64",
        max(outputs, 2 if task != "regression" else 1),
        task,
    )
    return base.OpenModel(inspection, lambda _names: Native(booster, task))


class Native:
    """Predicts with LightGBM's own library, on the caller's thread."""

    def __init__(self, booster: Any, task: manifest.Task) -> None:  # noqa: ANN401 - the library has no types
        self._predict = booster.predict
        self._binary = task == "binary"

    def predict(self, *inputs: base.Array) -> tuple[base.Array, ...]:
        """Score rows of float64."""
        scores: base.Array = self._predict(inputs[0], num_threads=1)
        return (base.with_complement(scores) if self._binary else scores,)


FAMILY = base.Family("lightgbm", "lightgbm", (".txt",), "LightGBM text", recognise, open_model, is_fragile=True)
