"""Exports a PyTorch network to ONNX and compares the two; importing this module imports PyTorch.

The network comes from a function of the caller's own code. That code is run here, where the model is packaged, and is
no part of the package: PyTorch stays out of the server.
"""

import contextlib
import dataclasses
import importlib
import inspect
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from serin_services.package import comparing, errors
from serin_services.package.families import base, onnx

OPSET = 20
# Of the batches that the two are compared with: one row, as most requests have, and more than were exported with.
COMPARED_ROWS = (1, 3, 8)
# How long a sequence is taken to be where the caller gives no example.
EXAMPLE_STEPS = 16


@dataclasses.dataclass(frozen=True)
class Network:
    """A network with example inputs by the names of its parameters, which of their axes are free, and its outputs."""

    module: Any
    examples: dict[str, Any]
    free_axes: tuple[int, ...]
    outputs: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Exported:
    """The ONNX model, and its largest difference from the original."""

    content: bytes
    difference: float


def export(reference: str) -> Exported:
    """Call `module:function` for a network, export it, and compare it with the original.

    Raises:
        errors.PackageError: the function, the export or the comparison fails.
    """
    network = prepare(reference, call(reference))
    content = convert(reference, network)
    difference = compare(network, content)
    if not difference <= comparing.MAX_DIFFERENCE:
        raise errors.PackageError(
            "ExportDiffers",
            f"{reference}: the exported model differs from the original by {difference:.3g}, more than "
            f"{comparing.MAX_DIFFERENCE:g}; look for random numbers or state in the network (is it in eval mode?), or "
            "package it natively: serin_services.package.architectures",
        )
    return Exported(content, difference)


def call(reference: str) -> Any:  # noqa: ANN401 - whatever the caller's function gives
    """Import the module, from the working folder or the environment, and call the function."""
    name, _, function = reference.partition(":")
    try:
        with searching(Path.cwd()):
            made = getattr(importlib.import_module(name), function)
            return made()
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise errors.PackageError(
            "SourceFailed",
            f"{reference}: {type(error).__name__}: {said}; expected a function without arguments, in a module that can "
            "be imported here, that gives a torch.nn.Module or a pair of one and example inputs",
        ) from error


@contextlib.contextmanager
def searching(path: Path) -> Iterator[None]:
    """Let modules be imported from a folder."""
    sys.path.insert(0, str(path))
    try:
        yield
    finally:
        sys.path.remove(str(path))


def prepare(reference: str, made: Any) -> Network:  # noqa: ANN401 - whatever the caller's function gave
    """Take the network and its examples apart, and run it once."""
    module, given = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(module, torch.nn.Module):
        raise errors.PackageError(
            "SourceFailed",
            f"{reference}: expected a torch.nn.Module, or (module, example inputs), got {type(module).__name__}",
        )
    module = module.to("cpu").eval()
    guessed, free_axes = (given, (0,)) if given is not None else guess_example(module)
    examples = name_examples(reference, module, guessed)
    try:
        with torch.inference_mode():
            outputs = name_outputs(module(**examples))
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise errors.PackageError(
            "SourceFailed", f"{reference}: the network fails on its example inputs: {type(error).__name__}: {said}"
        ) from error
    return Network(module, examples, free_axes, tuple(outputs))


def name_examples(reference: str, module: Any, given: Any) -> dict[str, Any]:  # noqa: ANN401 - torch is not followed
    """Give each example the name of its parameter, and make it a batch of at least two, which an export asks for."""
    if not isinstance(given, Mapping):
        values = given if isinstance(given, tuple | list) else (given,)
        names = [name for name in inspect.signature(module.forward).parameters if name != "self"]
        given = dict(zip(names, values, strict=False))
        if len(given) != len(values):
            given = {}
    if not given or not all(isinstance(value, torch.Tensor) and value.ndim for value in given.values()):
        raise errors.PackageError(
            "ExamplesMissing",
            f"{reference}: expected example inputs: a tensor with the batch first, a tuple of them, or a dictionary by "
            "the names of the network's parameters; let the function give (module, examples)",
        )
    return {
        name: value.repeat(2, *[1] * (value.ndim - 1)) if len(value) < 2 else value for name, value in given.items()
    }


def guess_example(module: Any) -> tuple[Any, tuple[int, ...]]:  # noqa: ANN401 - torch is not followed
    """Make an example for a network that begins with a linear or recurrent layer, and say which of its axes are free.

    Layers without weights, such as a normalisation of the series, may stand before it.
    """
    first = next((layer for layer in module.modules() if any(True for _ in layer.parameters(recurse=False))), None)
    if isinstance(first, torch.nn.Linear):
        return torch.zeros(2, first.in_features), (0,)
    if isinstance(first, torch.nn.RNNBase) and first.batch_first:
        return torch.zeros(2, EXAMPLE_STEPS, first.input_size), (0, 1)
    return None, (0,)


def name_outputs(given: Any) -> dict[str, Any]:  # noqa: ANN401 - torch is not followed
    """Name the outputs: by their keys where they have them, else by their number."""
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, torch.Tensor):
        return {"output": given}
    return {f"output_{index}": value for index, value in enumerate(given)}


def convert(reference: str, network: Network) -> bytes:
    """Export with free axes."""
    shapes = {name: dict.fromkeys(network.free_axes, torch.export.Dim.DYNAMIC) for name in network.examples}
    try:
        with quietly():
            program = torch.onnx.export(
                network.module,
                (),
                kwargs=network.examples,
                input_names=list(network.examples),
                output_names=list(network.outputs),
                dynamic_shapes=shapes,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
            content: bytes = program.model_proto.SerializeToString()
    except Exception as error:
        raise errors.PackageError(
            "ExportFailed",
            f"{reference}: PyTorch cannot export it with a batch of any size: {find_cause(error)}; change what it names, "
            "or package it natively: serin_services.package.architectures",
        ) from error
    return content


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep what the exporter logs and prints, for its developers, off the terminal."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def find_cause(error: BaseException) -> str:
    """Give the first line of the error behind the others, which says what the network does."""
    while error.__cause__:
        error = error.__cause__
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')[:300]}"


def compare(network: Network, content: bytes) -> float:
    """Give the largest difference over batches of several sizes, of the examples' kind."""
    predict = onnx.open_model(onnxruntime, content).select(network.outputs).predict
    chance = np.random.default_rng(0)
    largest = 0.0
    for rows in COMPARED_ROWS:
        given = {name: vary(example, rows, chance) for name, example in network.examples.items()}
        with torch.inference_mode():
            outputs = name_outputs(network.module(**{name: torch.from_numpy(array) for name, array in given.items()}))
        expected = tuple(outputs[name].numpy() for name in network.outputs)
        largest = max(largest, comparing.largest_difference(expected, predict(*given.values())))
    return largest


def vary(example: Any, rows: int, chance: np.random.Generator) -> base.Array:  # noqa: ANN401 - torch is not followed
    """Make other inputs like the example: floats of its spread around it, and whole numbers that stand in it."""
    values = example.numpy()
    picked: base.Array = values[chance.integers(0, len(values), rows)]
    if not np.issubdtype(values.dtype, np.floating):
        return chance.permuted(picked, axis=0)
    noise = chance.normal(scale=float(values.std()) or 1.0, size=picked.shape)
    return (picked + noise).astype(values.dtype)
