"""Finds out what a network is for: from what its caller says, from its outputs' names and shapes, and from trying it."""

import dataclasses

import numpy as np

from serin_services.package import errors, manifest
from serin_services.package.families import base

CLASSIFICATIONS = ("binary", "multiclass")
FLOATS = ("float16", "float32", "float64")
# How near to 1 the probabilities of a row must sum.
SUM_TOLERANCE = 1e-3
TRIED_ROWS = 32
FREE_AXIS = 16


@dataclasses.dataclass(frozen=True)
class Purpose:
    """The part of a manifest that says what the outputs mean."""

    task: manifest.Task
    outputs: tuple[manifest.Tensor, ...]
    classes: tuple[str, ...] = ()
    activation: manifest.Activation | None = None


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the caller says of it."""

    task: manifest.Task | None = None
    labels: tuple[str, ...] | None = None
    quantiles: tuple[float, ...] = ()


def find(wanted: Wanted, opened: base.OpenModel, tried: tuple[base.Array, ...]) -> Purpose:
    """Find the purpose of a model; `tried` are inputs to try it with.

    Raises:
        errors.PackageError: the caller wants what the model is not.
    """
    found = opened.inspection
    if found.task:
        return _told(wanted, found, found.task)
    task = wanted.task or _guess(wanted, found)
    if task not in CLASSIFICATIONS:
        if wanted.labels:
            raise errors.PackageError("TaskMismatch", f"--labels: a {task} model has no labels; leave them away")
        first = next((tensor for tensor in found.outputs if tensor.dtype in FLOATS), found.outputs[0])
        return Purpose(task, _first(first, found.outputs) if task != "tensors" else found.outputs)
    return _classify(wanted, task, opened, tried)


def _told(wanted: Wanted, found: base.Inspection, task: manifest.Task) -> Purpose:
    """Take the task from the model itself."""
    if wanted.task not in {None, task}:
        raise errors.PackageError("TaskMismatch", f"--task: the model is for {task}, got {wanted.task}; leave it away")
    classes = found.outputs[0].shape[-1] if task in CLASSIFICATIONS else 0
    return Purpose(task, found.outputs, wanted.labels or tuple(str(index) for index in range(classes)))


def _guess(wanted: Wanted, found: base.Inspection) -> manifest.Task:
    if wanted.quantiles:
        return "quantile"
    if wanted.labels:
        return "binary" if len(wanted.labels) == 2 else "multiclass"
    probable = _probabilities(found)
    if probable and probable.shape[1] >= 2:
        return "binary" if probable.shape[1] == 2 else "multiclass"
    only = found.outputs[0]
    is_value = len(found.outputs) == 1 and only.dtype in FLOATS and only.shape[1:] in {(), (1,)}
    return "regression" if is_value else "tensors"


def _probabilities(found: base.Inspection) -> manifest.Tensor | None:
    """Find the output that is called a probability, as converters call it."""
    return next(
        (t for t in found.outputs if t.dtype in FLOATS and len(t.shape) == 2 and "prob" in t.name.lower()), None
    )


def _first(first: manifest.Tensor, outputs: tuple[manifest.Tensor, ...]) -> tuple[manifest.Tensor, ...]:
    return (first, *(tensor for tensor in outputs if tensor is not first))


def _classify(wanted: Wanted, task: manifest.Task, opened: base.OpenModel, tried: tuple[base.Array, ...]) -> Purpose:
    """Try the model to see how many classes it has, and whether it gives probabilities or logits."""
    found = opened.inspection
    scored = _probabilities(found) or next((t for t in found.outputs if t.dtype in FLOATS and len(t.shape) <= 2), None)
    if scored is None:
        raise errors.PackageError(
            "TaskMismatch", f"a {task} model needs an output [rows, classes] of floats; it has none"
        )
    # The label that a converter puts beside the probabilities is made again from them, with its name.
    others = tuple(tensor for tensor in found.outputs if tensor is not scored and tensor.dtype in FLOATS)
    (scores,) = opened.select((scored.name,)).predict(*tried)
    width = scores.shape[1] if scores.ndim == 2 else 1
    activation = _activation(scores, width)
    classes = max(width, 2)
    labels = wanted.labels or tuple(str(index) for index in range(classes))
    if len(labels) != classes:
        raise errors.PackageError(
            "TaskMismatch", f"--labels: the model has {classes} classes, got {len(labels)} labels"
        )
    tensor = scored.model_copy(update={"shape": (manifest.ANY, classes)})
    return Purpose("binary" if classes == 2 else "multiclass", (tensor, *others), labels, activation)


def _activation(scores: base.Array, width: int) -> manifest.Activation | None:
    in_range = bool(((scores >= 0) & (scores <= 1)).all())
    if width == 1:
        return "complement" if in_range else "sigmoid"
    sums = scores.astype(np.float64).sum(axis=1)
    return None if in_range and bool((np.abs(sums - 1) < SUM_TOLERANCE).all()) else "softmax"


def make_inputs(inputs: tuple[manifest.Tensor, ...], rows: int = TRIED_ROWS) -> tuple[base.Array, ...]:
    """Make inputs to try a network with: floats around 0, and the whole numbers 0 and 1, which any vocabulary has."""
    chance = np.random.default_rng(0)
    made = []
    for tensor in inputs:
        shape = (rows, *(FREE_AXIS if size == manifest.ANY else size for size in tensor.shape[1:]))
        values = chance.normal(size=shape) if tensor.dtype in FLOATS else chance.integers(0, 2, shape)
        made.append(values.astype(tensor.dtype))
    return tuple(made)
