"""Puts an answer into words, row by row: what its first output means depends on the model's task."""

from collections.abc import Callable
from typing import Any

import msgspec

from serin_services.package import manifest
from serin_services.server import inference


class Prediction(msgspec.Struct, omit_defaults=True):
    """What is answered for one row: of a classification the label, of a regression the value, of others their outputs."""

    label: str | None = None
    confidence: float | None = None
    probabilities: dict[str, float] | None = None
    value: Any = None
    quantiles: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None


Describe = Callable[[inference.Answer], list[Prediction]]


def make(document: manifest.Manifest) -> Describe:
    """Give what describes the answers of a model."""
    describe = TASKS[document.task](document)
    # The first output of a model for no known task means nothing else than itself.
    own = 0 if document.task == "tensors" else 1
    others = [(index, tensor.name) for index, tensor in enumerate(document.outputs)][own:]
    return with_outputs(describe, others) if others else describe


def labels(document: manifest.Manifest) -> Describe:
    """Describe the label of each row, and all probabilities."""
    classes = document.classes

    def describe(answer: inference.Answer) -> list[Prediction]:
        scores = answer.outputs[0].tolist()
        return [
            Prediction(classes[index], confidence, dict(zip(classes, row, strict=True)))
            for index, confidence, row in zip(*answer.listed(), scores, strict=True)
        ]

    return describe


def values(_document: manifest.Manifest) -> Describe:
    """Describe the value or values of each row."""
    return lambda answer: [Prediction(value=value) for value in answer.outputs[0].tolist()]


def quantiles(document: manifest.Manifest) -> Describe:
    """Describe each row by quantile, which is the position on the last axis."""
    names = [str(quantile) for quantile in document.quantiles]

    def describe(answer: inference.Answer) -> list[Prediction]:
        return [
            Prediction(quantiles={name: row[..., place].tolist() for place, name in enumerate(names)})
            for row in answer.outputs[0]
        ]

    return describe


def nothing(_document: manifest.Manifest) -> Describe:
    """Describe rows whose outputs stand by name."""
    return lambda answer: [Prediction() for _ in range(answer.rows)]


def with_outputs(describe: Describe, others: list[tuple[int, str]]) -> Describe:
    """Add outputs by name to what is said of each row."""

    def describe_all(answer: inference.Answer) -> list[Prediction]:
        predictions = describe(answer)
        lists = [(name, answer.outputs[index].tolist()) for index, name in others]
        for row, prediction in enumerate(predictions):
            prediction.outputs = {name: values[row] for name, values in lists}
        return predictions

    return describe_all


TASKS: dict[str, Callable[[manifest.Manifest], Describe]] = {
    "binary": labels,
    "multiclass": labels,
    "regression": values,
    "quantile": quantiles,
    "tensors": nothing,
}
