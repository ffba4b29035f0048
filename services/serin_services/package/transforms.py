"""What a package does before and after the model as such: its scaler and its activation, both plain data."""

from collections.abc import Callable

import numpy as np

from serin_services.package import manifest
from serin_services.package.families import base

ACTIVATIONS: dict[manifest.Activation, Callable[[base.Array], base.Array]] = {
    "softmax": base.softmax,
    "sigmoid": lambda logits: base.with_complement(base.sigmoid(as_column(logits))),
    "complement": lambda positive: base.with_complement(as_column(positive)),
}


def as_column(scores: base.Array) -> base.Array:
    """Take the axis of length 1 away."""
    return scores.reshape(scores.shape[0])


def wrap(predictor: base.Predictor, document: manifest.Manifest) -> base.Predictor:
    """Put the scaler and the activation of the manifest around a model; most have neither and stay as they are."""
    if document.activation:
        predictor = Activated(predictor, document.activation)
    if document.scaler:
        names = [tensor.name for tensor in document.inputs]
        predictor = Scaled(predictor, names.index(document.scaler.input), document.scaler)
    return predictor


class Scaled:
    """Scales one input before the model; in float64, since an offset may be large beside what is left of a value."""

    def __init__(self, inner: base.Predictor, position: int, scaler: manifest.Scaler) -> None:
        self._inner = inner
        self._position = position
        self._offset, self._scale = np.array(scaler.offset), np.array(scaler.scale)

    def predict(self, *inputs: base.Array) -> tuple[base.Array, ...]:
        """Score a batch."""
        given = list(inputs)
        values = given[self._position]
        given[self._position] = ((values - self._offset) / self._scale).astype(values.dtype)
        return self._inner.predict(*given)


class Activated:
    """Makes probabilities of the model's first output."""

    def __init__(self, inner: base.Predictor, activation: manifest.Activation) -> None:
        self._inner = inner
        self._activate = ACTIVATIONS[activation]

    def predict(self, *inputs: base.Array) -> tuple[base.Array, ...]:
        """Score a batch."""
        first, *others = self._inner.predict(*inputs)
        return (self._activate(first), *others)
