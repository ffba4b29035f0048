"""What every family has in common: what is asked of it, what a model says of itself, and how it predicts."""

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from serin_services.package import manifest

Array = npt.NDArray[Any]


class Predictor(Protocol):
    """What a server asks of a model.

    It is given one array for each input of the manifest, of its dtype and shape, and gives one for each output. A
    classification's first output holds one probability per row and class.
    """

    def predict(self, *inputs: Array) -> tuple[Array, ...]:
        """Score a batch; may be called from several threads at once."""
        ...


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What a model file says of itself; what its format does not tell is None."""

    inputs: tuple[manifest.Tensor, ...]
    outputs: tuple[manifest.Tensor, ...]
    task: manifest.Task | None = None
    # Whether the names of the features are the model's own, and not only numbers.
    named: bool = False


@dataclasses.dataclass(frozen=True)
class OpenModel:
    """A model in memory: what it says of itself, and its predictor, which gives the outputs asked for."""

    inspection: Inspection
    select: Callable[[tuple[str, ...]], Predictor]


@dataclasses.dataclass(frozen=True)
class Family:
    """One family: its library, its formats, how to open a model, and which form its artifact is."""

    name: manifest.Family
    library: str
    suffixes: tuple[str, ...]
    formats: str
    recognises: Callable[[bytes], bool]
    open: Callable[[ModuleType, bytes], OpenModel]
    form: manifest.FormName = "native"
    # Whether its parser can end the process, or never end, over a broken artifact.
    is_fragile: bool = False


def describe_rows(
    width: int,
    names: tuple[str, ...],
    kinds: tuple[manifest.DataType, ...],
    dtype: manifest.TensorType,
    outputs: int,
    task: manifest.Task,
) -> Inspection:
    """Describe a model of rows; features without a name get f0, f1 and so on."""
    features = tuple(
        manifest.Feature(name=name, dtype=kind)
        for name, kind in zip(names or (f"f{index}" for index in range(width)), kinds, strict=True)
    )
    rows = manifest.Tensor(name="rows", dtype=dtype, shape=(manifest.ANY, width), features=features)
    is_value = task == "regression"
    shape = (manifest.ANY,) if is_value and outputs == 1 else (manifest.ANY, outputs)
    scores = manifest.Tensor(name="value" if is_value else "probabilities", dtype=dtype, shape=shape)
    return Inspection((rows,), (scores,), task, named=bool(names))


def with_complement(positive: Array) -> Array:
    """Make the probabilities of both classes of the probability of the second."""
    both: Array = np.empty((positive.shape[0], 2), dtype=positive.dtype)
    both[:, 1] = positive
    both[:, 0] = 1 - positive
    return both


def sigmoid(margins: Array) -> Array:
    """Make probabilities of logits, without overflow."""
    powers = np.exp(-np.abs(margins))
    probabilities: Array = np.where(margins >= 0, 1, powers) / (1 + powers)
    return probabilities


def softmax(margins: Array) -> Array:
    """Make probabilities of margins along the last axis, without overflow."""
    powers = np.exp(margins - margins.max(axis=-1, keepdims=True))
    probabilities: Array = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities
