"""LightGBM: text, computed in float64."""

import re
from types import ModuleType
from typing import Any

from serin_services.package import errors, manifest
from serin_services.package.families import base

TASKS: dict[str, manifest.Task] = {"binary": "binary", "multiclass": "multiclass", "multiclassova": "multiclass"}
# The objective stands in the header, before the first tree.
HEADER_BYTES = 65536
LINE_END = re.compile(r"\r\n|\n|\r")
# The list of the parameters that the model was trained with follows the trees.
PARAMETERS, END, PARAMETER = "parameters:", "end of parameters", re.compile(r"\[[^:]+: .*\]")


def recognise(head: bytes) -> bool:
    """Recognise the text format by its first line."""
    return head.startswith((b"tree\n", b"tree\r\n"))


def read_objective(artifact: bytes) -> list[str]:
    """Read the objective and its parameters, such as `binary sigmoid:1`."""
    lines = artifact[:HEADER_BYTES].decode(errors="replace").splitlines()
    given = (line.partition("=")[2].split() for line in lines if line.startswith("objective="))
    return next(given, []) or ["regression"]


def check_parameters(text: str) -> None:
    """Refuse a list of parameters that LightGBM would read past its end.

    LightGBM 4.7 takes the second half of each line without looking whether there is one: what comes of that depends on what
    else lies in memory, so opening the model elsewhere first does not show it.

    Raises:
        errors.PackageError: a line is no parameter, or the list does not end.
    """
    if (nul := text.find("\0")) >= 0:
        number = 1 + text.count("\n", 0, nul)
        raise broken(f"line {number}", "text", "a NUL")
    # The trees before it may be hundreds of megabytes.
    start = text.find(PARAMETERS)
    if start < 0:
        return
    start = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    inside = False
    for number, line in enumerate(LINE_END.split(text[start:]), 1 + len(LINE_END.findall(text, 0, start))):
        if line in (PARAMETERS, END):
            inside = line == PARAMETERS
        elif inside and line and not PARAMETER.fullmatch(line):
            raise broken(f"line {number}", "a parameter as [name: value]", repr(line[:80]))
    if inside:
        raise broken("at its end", repr(END), "nothing more")


def broken(where: str, expected: str, came: str) -> errors.PackageError:
    """Say what is wrong with the text."""
    return errors.PackageError(
        "ModelInvalid",
        f"LightGBM text, {where}: expected {expected}, got {came}; the file is broken: save the model again",
    )


def open_model(library: ModuleType, artifact: bytes) -> base.OpenModel:
    """Open a text model."""
    text = artifact.decode()
    check_parameters(text)
    booster = library.Booster(model_str=text)
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
