"""The outputs of an answer by name, as both protocols give them."""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from serin_services.package import manifest
from serin_services.server import datatypes, schema

if TYPE_CHECKING:
    from serin_services.server import inference

LABEL, CONFIDENCE = "label", "confidence"


@dataclasses.dataclass(frozen=True, slots=True)
class Texts:
    """One of a few texts for each row, by its number; there are two forms of each, plain and behind its length."""

    plain: schema.Array
    framed: schema.Array
    # For one row a list and for more an array, as the answer has it.
    chosen: list[int] | schema.Array

    def listed(self) -> list[bytes]:
        """Give each row's text."""
        return pick(self.plain, self.chosen)

    def packed(self) -> bytes:
        """Give each row's text behind its length in four bytes."""
        return b"".join(pick(self.framed, self.chosen))


def pick(texts: schema.Array, chosen: list[int] | schema.Array) -> list[bytes]:
    """Give the texts of these numbers: one by one for a list, and in half the time for an array."""
    if isinstance(chosen, list):
        return [texts[index] for index in chosen]
    picked: list[bytes] = texts.take(chosen).tolist()
    return picked


def make_texts(texts: Sequence[bytes]) -> schema.Array:
    """Make an array of texts of any lengths; numpy's own of bytes cut zeros off their ends."""
    made: schema.Array = np.empty(len(texts), dtype=object)
    made[:] = texts
    return made


@dataclasses.dataclass(frozen=True)
class Output:
    """One output as the protocol's metadata has it, and where its values come from."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Callable[["inference.Answer"], "schema.Array | Texts"]


class Outputs:
    """What a model answers: its own outputs and, for a classification, before them the label and its probability."""

    def __init__(self, document: manifest.Manifest) -> None:
        outputs = [make_output(index, tensor) for index, tensor in enumerate(document.outputs)]
        if document.classes:
            labels = [label.encode() for label in document.classes]
            plain = make_texts(labels)
            framed = make_texts([len(label).to_bytes(4, "little") + label for label in labels])
            outputs = [
                Output(LABEL, datatypes.TEXT, (manifest.ANY,), lambda answer: Texts(plain, framed, answer.chosen)),
                Output(CONFIDENCE, "FP32", (manifest.ANY,), lambda answer: np.asarray(answer.confidences, np.float32)),
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


def shape_of(values: schema.Array | Texts) -> list[int]:
    """Give the shape of an output's values."""
    return [len(values.chosen)] if isinstance(values, Texts) else list(values.shape)


def raw_content(values: schema.Array | Texts) -> bytes:
    """Write numbers as they lie in memory, and texts each behind its length in four bytes."""
    return values.packed() if isinstance(values, Texts) else values.tobytes()
