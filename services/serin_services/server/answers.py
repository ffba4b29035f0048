"""The outputs of an answer by name, as both protocols give them."""

import dataclasses
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np

from serin_services.package import manifest
from serin_services.server import datatypes, schema

if TYPE_CHECKING:
    from serin_services.server import inference

LABEL, CONFIDENCE = "label", "confidence"


@dataclasses.dataclass(frozen=True)
class Output:
    """One output as the protocol's metadata has it, and where its values come from."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Callable[["inference.Answer"], schema.Array | list[bytes]]


class Outputs:
    """What a model answers: its own outputs and, for a classification, before them the label and its probability."""

    def __init__(self, document: manifest.Manifest) -> None:
        outputs = [make_output(index, tensor) for index, tensor in enumerate(document.outputs)]
        if document.classes:
            labels = [label.encode() for label in document.classes]
            outputs = [
                Output(LABEL, datatypes.TEXT, (manifest.ANY,), lambda answer: [labels[i] for i in answer.chosen]),
                Output(
                    CONFIDENCE, "FP32", (manifest.ANY,), lambda answer: answer.outputs[0].max(axis=1).astype(np.float32)
                ),
                *(output for output in outputs if output.name not in {LABEL, CONFIDENCE}),
            ]
        self.all = tuple(outputs)
        self._by_name = {output.name: output for output in outputs}

    def select(self, names: Collection[str]) -> tuple[Output, ...]:
        """Give the outputs of these names in their order, or all where none is named.

        Raises:
            schema.Refusal: a name that is none of the model's.
        """
        if not names:
            return self.all
        if unknown := [name for name in names if name not in self._by_name]:
            raise schema.Refusal(
                "UnknownOutput",
                f"outputs.{unknown[0]}",
                f"one of {', '.join(self._by_name)}",
                repr(unknown[0]),
                mismatch=False,
            )
        if len(set(names)) != len(names):
            raise schema.Refusal("DoubledOutput", "outputs", "each output once", f"{len(names)} names", mismatch=False)
        return tuple(self._by_name[name] for name in names)


def make_output(index: int, tensor: manifest.Tensor) -> Output:
    """Describe one of the model's own outputs."""
    dtype = np.dtype(tensor.dtype)

    def values(answer: "inference.Answer") -> schema.Array:
        return np.ascontiguousarray(answer.outputs[index], dtype=dtype)

    return Output(tensor.name, datatypes.name_of(tensor.dtype), tensor.shape, values)


def shape_of(values: schema.Array | list[bytes]) -> list[int]:
    """Give the shape of an output's values."""
    return [len(values)] if isinstance(values, list) else list(values.shape)


def raw_content(values: schema.Array | list[bytes]) -> bytes:
    """Write numbers as they lie in memory, and texts each behind its length in four bytes."""
    if isinstance(values, list):
        # There are as many different ones as classes, however many rows.
        framed = {text: len(text).to_bytes(4, "little") + text for text in set(values)}
        return b"".join([framed[text] for text in values])
    return values.tobytes()
