"""The model families: which format each is stored in, what a model file says of itself, and how it predicts.

Each library is imported only when a model of its family is opened, because a server's image holds one of them, and
because a model with an ONNX form may need none.
"""

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import get_args

import numpy as np

from serin_services.package import errors, formats, manifest, sandbox
from serin_services.package.families import lightgbm, onnx, torch, tree_form, xgboost
from serin_services.package.families.base import Array, Family, Inspection, OpenModel, Predictor

__all__ = [
    "FAMILIES",
    "Array",
    "Family",
    "Inspection",
    "OpenModel",
    "Predictor",
    "check_format",
    "check_predicts",
    "check_schema",
    "import_library",
    "open_form",
    "open_model",
    "recognise",
]

FAMILIES: dict[str, Family] = {
    family.name: family for family in (xgboost.FAMILY, lightgbm.FAMILY, onnx.FAMILY, torch.FAMILY)
}
assert set(FAMILIES) == set(get_args(manifest.Family))  # noqa: S101 - one list of families, written twice for the types
# So long as each axis that a request chooses, apart from the batch, when a model is tried.
FREE_AXIS = 16
# More than one, to see that the first axis is the batch.
TRIED_ROWS = 2


def recognise(artifact: bytes, where: str) -> Family:
    """Find the family by the file's first bytes."""
    for family in FAMILIES.values():
        if family.recognises(artifact[: formats.HEAD_BYTES]):
            return family
    raise wrong_format(artifact, where, " or ".join(family.formats for family in FAMILIES.values()))


def check_format(family: Family, artifact: bytes, where: str) -> None:
    """Refuse an artifact whose first bytes are not of its family's format, before any parser reads it."""
    if not family.recognises(artifact[: formats.HEAD_BYTES]):
        raise wrong_format(artifact, where, family.formats)


def wrong_format(artifact: bytes, where: str, expected: str) -> errors.PackageError:
    """Say what a file is instead of a model in a safe format."""
    came = formats.describe(artifact)
    return errors.PackageError("WrongFormat", f"{where}: expected {expected}, got {came.words}; {came.advice}")


def open_model(family: Family, artifact: bytes, where: str) -> OpenModel:
    """Import the library and open the model.

    Raises:
        errors.PackageError: the library is not there, or refuses the artifact.
    """
    if family.is_fragile:
        with located(where):
            sandbox.check(family.name, artifact)
    return _open(family, family, where, lambda library: family.open(library, artifact))


def open_form(family: Family, content: bytes, artifact_sha256: str, where: str) -> OpenModel:
    """Open the ONNX form of a tree model.

    Raises:
        errors.PackageError: ONNX Runtime is not there, or refuses it, or it is the form of another artifact.
    """
    return _open(family, onnx.FAMILY, where, lambda library: tree_form.open_form(library, content, artifact_sha256))


@contextlib.contextmanager
def located(where: str) -> Iterator[None]:
    """Say of a refusal which file it is about."""
    try:
        yield
    except errors.PackageError as error:
        raise errors.PackageError(error.reason, f"{where}: {error.message}") from error


def import_library(family: Family, wanted_by: Family | None = None) -> ModuleType:
    """Import a family's library.

    Raises:
        errors.PackageError: it is not there, or something that it needs is not.
    """
    # Read when ONNX Runtime is imported, which else writes into the home folder and calls its maker.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return importlib.import_module(family.library)
    except (ImportError, OSError) as error:
        name = (wanted_by or family).name
        raise errors.PackageError(
            "LibraryMissing",
            f"a model of family {name} needs {family.library}, which cannot be loaded: {error}; "
            f"install serin[{name}], or build the image again",
        ) from error


def _open(family: Family, opened_by: Family, where: str, opener: Callable[[ModuleType], OpenModel]) -> OpenModel:
    with located(where):
        library = import_library(opened_by, family)
        try:
            return opener(library)
        except errors.PackageError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            raise errors.PackageError(
                "ModelInvalid",
                f"{opened_by.library} cannot open it: {said}; save the model again and package it again",
            ) from error


def check_schema(document: manifest.Manifest, found: Inspection) -> None:
    """Refuse a manifest that describes another model than the artifact holds."""
    problems = list(_different_tensors(document, found))
    if found.task not in {None, document.task}:
        problems.append(f"task is {document.task}, but the model is for {found.task}")
    elif found.task and document.classes and (classes := found.outputs[0].shape[-1]) != len(document.classes):
        problems.append(f"classes has {len(document.classes)} labels, but the model has {classes} classes")
    if problems:
        raise errors.PackageError(
            "FeatureSchemaMismatch",
            f"{manifest.FILE_NAME}: {'; '.join(problems)}; package the model again with its own features",
        )


def _different_tensors(document: manifest.Manifest, found: Inspection) -> list[str]:
    told, held = [tensor.name for tensor in document.inputs], [tensor.name for tensor in found.inputs]
    if told != held:
        return [f"inputs are {told}, but the model takes {held}"]
    outputs = {tensor.name: tensor for tensor in found.outputs}
    if unknown := [tensor.name for tensor in document.outputs if tensor.name not in outputs]:
        return [f"outputs has {unknown[0]!r}, but the model gives {list(outputs)}"]
    problems = []
    for mine, own in zip(document.inputs, found.inputs, strict=True):
        problems.extend(_different_features(mine, own, named=found.named) or _different_shape("inputs", mine, own))
    # What an activation makes of an output has another shape; trying the model shows it.
    skipped = 1 if document.activation else 0
    for mine in document.outputs[skipped:]:
        problems.extend(_different_shape("outputs", mine, outputs[mine.name]))
    return problems


def _different_features(mine: manifest.Tensor, own: manifest.Tensor, *, named: bool) -> list[str]:
    if not own.features:
        return []
    if len(mine.features) != len(own.features):
        return [f"inputs has {len(mine.features)} features, but the model takes {len(own.features)}"]
    pairs = enumerate(zip(mine.features, own.features, strict=True))
    wrong = [(index, told.name, held.name) for index, (told, held) in pairs if told.name != held.name]
    if not (named and wrong):
        return []
    index, told, held = wrong[0]
    return [f"inputs[{index}] is {told!r}, but the model calls it {held!r} ({len(wrong)} names differ)"]


def _different_shape(what: str, mine: manifest.Tensor, own: manifest.Tensor) -> list[str]:
    problems = []
    if mine.dtype != own.dtype:
        problems.append(f"{what}.{mine.name} is {mine.dtype}, but the model has {own.dtype}")
    if not fits(mine.shape, own.shape):
        problems.append(f"{what}.{mine.name} has the shape {list(mine.shape)}, but the model has {list(own.shape)}")
    return problems


def fits(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes are of one tensor: of one rank, and with no two sizes that differ."""
    return len(one) == len(other) and all(
        manifest.ANY in {mine, own} or mine == own for mine, own in zip(one, other, strict=True)
    )


def check_predicts(predictor: Predictor, document: manifest.Manifest) -> None:
    """Score rows of zeros, so that a model that cannot predict is found before a request finds it."""
    shapes = [(TRIED_ROWS, *(FREE_AXIS if size < 0 else size for size in t.shape[1:])) for t in document.inputs]
    zeros = [np.zeros(shape, tensor.dtype) for shape, tensor in zip(shapes, document.inputs, strict=True)]
    try:
        outputs = predictor.predict(*zeros)
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise errors.PackageError(
            "ModelInvalid", f"the model fails on zeros of the shapes {shapes}: {said}; try it with its own library"
        ) from error
    for tensor, came in zip(document.outputs, outputs, strict=True):
        if not fits(tensor.shape, (manifest.ANY, *came.shape[1:])) or came.shape[:1] != (TRIED_ROWS,):
            problem = f"the shape {list(came.shape)}, expected {[TRIED_ROWS, *tensor.shape[1:]]}"
        elif came.dtype != tensor.dtype:
            problem = f"{came.dtype}, expected {tensor.dtype}"
        elif not np.isfinite(came).all():
            problem = "numbers that are not finite (NaN or infinity)"
        else:
            continue
        raise errors.PackageError(
            "ModelInvalid", f"the model gives {problem}, as output {tensor.name!r} for {TRIED_ROWS} rows of zeros"
        )
