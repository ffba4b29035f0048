"""The model families: which format each is stored in, what a model file says of itself, and how it predicts.

Each library is imported only when a model of its family is opened, because a server's image holds one of them.
"""

import dataclasses
import importlib
import json
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from serin_services.package import errors, manifest

Array = npt.NDArray[Any]

# What a pickle begins with, protocols 0 to 5; named apart, because it is the one format that must never be opened.
PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"(l", b"(d", b"(i", b"ccopy_reg", b"cnumpy")
ARCHIVE_STARTS = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")


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
    """What a model file says of itself."""

    task: manifest.Task
    width: int
    feature_names: tuple[str, ...]
    dtypes: tuple[manifest.DataType, ...]
    classes: int


@dataclasses.dataclass(frozen=True)
class OpenModel:
    """A model in memory: what it says of itself, and its predictor."""

    inspection: Inspection
    predictor: Predictor


@dataclasses.dataclass(frozen=True)
class Family:
    """One family: its library, the dtype that the library computes with, its formats, and how to open a model."""

    name: manifest.Family
    library: str
    row_dtype: Literal["float32", "float64"]
    suffixes: tuple[str, ...]
    formats: str
    recognises: Callable[[bytes], bool]
    open: Callable[[ModuleType, bytes], OpenModel]


def is_xgboost(head: bytes) -> bool:
    """Recognise XGBoost's UBJSON (an object whose first key has a sized length) and its JSON."""
    return head[:2] in {b"{L", b"{l", b"{i", b"{U", b"{#", b"{$"} or (
        head[:1] == b"{" and head[1:].lstrip()[:1] == b'"'
    )


def is_lightgbm(head: bytes) -> bool:
    """Recognise LightGBM's text format by its first line."""
    return head.startswith((b"tree\n", b"tree\r\n"))


XGBOOST_TASKS: dict[str, manifest.Task] = {
    "binary:logistic": "binary",
    "binary:logitraw": "binary",
    "multi:softprob": "multiclass",
    "multi:softmax": "multiclass",
}
# Its classes come without a probability, so a confidence could only be made up.
XGBOOST_REFUSED = ("binary:hinge", "rank:", "survival:aft", "survival:cox")
XGBOOST_DTYPES: dict[str, manifest.DataType] = {"int": "int64", "i": "bool", "c": "int64"}


def open_xgboost(library: ModuleType, artifact: bytes) -> OpenModel:
    """Open a UBJSON or JSON model."""
    booster = library.Booster()
    booster.load_model(bytearray(artifact))
    # One row costs less on one thread than on several; a server grows by replicas.
    booster.set_param({"nthread": 1})
    learner = json.loads(booster.save_config())["learner"]
    objective = learner["objective"]["name"]
    if objective.startswith(XGBOOST_REFUSED):
        raise errors.PackageError(
            "UnsupportedObjective",
            f"the model's objective is {objective}, which gives no probability or value of its own; "
            f"train it with one of {', '.join(XGBOOST_TASKS)} or a reg: objective",
        )
    task = XGBOOST_TASKS.get(objective, "regression")
    width = int(booster.num_features())
    classes = max(int(learner["learner_model_param"]["num_class"]), 2) if task != "regression" else 0
    inspection = Inspection(
        task=task,
        width=width,
        feature_names=tuple(booster.feature_names or ()),
        dtypes=tuple(xgboost_dtype(kind) for kind in booster.feature_types or ["float"] * width),
        classes=classes,
    )
    return OpenModel(inspection, XGBoostPredictor(booster, objective))


def xgboost_dtype(kind: str) -> manifest.DataType:
    """Read XGBoost's own word for a feature's type; it computes in float32 whatever the type."""
    return XGBOOST_DTYPES.get(kind, "float32")


class XGBoostPredictor:
    """Predicts with XGBoost's own library, on the caller's thread."""

    def __init__(self, booster: Any, objective: str) -> None:  # noqa: ANN401 - the library has no types
        self._predict = booster.inplace_predict
        self._binary = objective.startswith("binary:")
        # These two give classes or margins by themselves; the margin holds what the probability is made of.
        self._kind = "margin" if objective in {"multi:softmax", "binary:logitraw"} else "value"

    def predict(self, *inputs: Array) -> tuple[Array, ...]:
        """Score rows of float32."""
        scores: Array = self._predict(inputs[0], predict_type=self._kind, validate_features=False)
        if self._kind == "margin":
            scores = 1 / (1 + np.exp(-scores)) if self._binary else softmax(scores)
        return (with_complement(scores) if self._binary else scores,)


LIGHTGBM_TASKS: dict[str, manifest.Task] = {
    "binary": "binary",
    "multiclass": "multiclass",
    "multiclassova": "multiclass",
}


def open_lightgbm(library: ModuleType, artifact: bytes) -> OpenModel:
    """Open a text model."""
    booster = library.Booster(model_str=artifact.decode())
    objective = next(
        (
            line.partition("=")[2].split()[0]
            for line in artifact[:65536].decode().splitlines()
            if line.startswith("objective=")
        ),
        "regression",
    )
    task = LIGHTGBM_TASKS.get(objective, "regression")
    width = int(booster.num_feature())
    float64: tuple[manifest.DataType, ...] = ("float64",)
    inspection = Inspection(
        task=task,
        width=width,
        feature_names=tuple(booster.feature_name()),
        dtypes=float64 * width,
        classes=max(int(booster.num_model_per_iteration()), 2) if task != "regression" else 0,
    )
    return OpenModel(inspection, LightGBMPredictor(booster, task))


class LightGBMPredictor:
    """Predicts with LightGBM's own library, on the caller's thread."""

    def __init__(self, booster: Any, task: manifest.Task) -> None:  # noqa: ANN401 - the library has no types
        self._predict = booster.predict
        self._binary = task == "binary"

    def predict(self, *inputs: Array) -> tuple[Array, ...]:
        """Score rows of float64."""
        scores: Array = self._predict(inputs[0], num_threads=1)
        return (with_complement(scores) if self._binary else scores,)


def with_complement(positive: Array) -> Array:
    """Make the probabilities of both classes of the probability of the second."""
    both: Array = np.empty((positive.shape[0], 2), dtype=positive.dtype)
    both[:, 1] = positive
    both[:, 0] = 1 - positive
    return both


def softmax(margins: Array) -> Array:
    """Make probabilities of margins, row by row, without overflow."""
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    probabilities: Array = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


FAMILIES: dict[str, Family] = {
    "xgboost": Family(
        "xgboost", "xgboost", "float32", (".ubj", ".json"), "XGBoost UBJSON or JSON", is_xgboost, open_xgboost
    ),
    "lightgbm": Family("lightgbm", "lightgbm", "float64", (".txt",), "LightGBM text", is_lightgbm, open_lightgbm),
}
assert set(FAMILIES) == set(get_args(manifest.Family))  # noqa: S101 - one list of families, written twice for the types


def recognise(artifact: bytes, where: str) -> Family:
    """Find the family by the file's first bytes."""
    for family in FAMILIES.values():
        if family.recognises(artifact[:64]):
            return family
    raise wrong_format(artifact, where, " or ".join(family.formats for family in FAMILIES.values()))


def check_format(family: Family, artifact: bytes, where: str) -> None:
    """Refuse an artifact whose first bytes are not of its family's format, before any parser reads it."""
    if not family.recognises(artifact[:64]):
        raise wrong_format(artifact, where, family.formats)


def wrong_format(artifact: bytes, where: str, expected: str) -> errors.PackageError:
    """Say what a file is instead of a model in a safe format."""
    if artifact.startswith(PICKLE_STARTS):
        came = "a pickle, which runs code when it is opened and is never accepted"
    elif artifact.startswith(ARCHIVE_STARTS):
        came = "an archive"
    else:
        came = f"a file that begins with {artifact[:8]!r}" if artifact else "an empty file"
    return errors.PackageError(
        "WrongFormat",
        f"{where}: expected {expected}, got {came}; "
        "save the model with the library's own save_model() and package it again",
    )


def open_model(family: Family, artifact: bytes, where: str) -> OpenModel:
    """Open a model whose digest and format are already checked.

    Raises:
        errors.PackageError: the library is not installed, or it refuses the file.
    """
    try:
        library = importlib.import_module(family.library)
    except (ImportError, OSError) as error:
        raise errors.PackageError(
            "LibraryMissing",
            f"{where}: a model of family {family.name} needs {family.library}, which cannot be loaded: {error}; "
            f"install serin[{family.name}], or build the image again",
        ) from error
    try:
        return family.open(library, artifact)
    except errors.PackageError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise errors.PackageError(
            "ModelInvalid",
            f"{where}: {family.library} cannot open it: {said}; save the model again and package it again",
        ) from error


def describe_tensors(
    family: Family, found: Inspection, features: tuple[manifest.Feature, ...]
) -> tuple[tuple[manifest.Tensor, ...], tuple[manifest.Tensor, ...]]:
    """Describe what goes into and comes out of a model of rows."""
    rows = manifest.Tensor(name="rows", dtype=family.row_dtype, shape=(manifest.ANY, len(features)), features=features)
    if found.classes:
        shape: tuple[int, ...] = (manifest.ANY, found.classes)
        return (rows,), (manifest.Tensor(name="probabilities", dtype=family.row_dtype, shape=shape),)
    return (rows,), (manifest.Tensor(name="value", dtype=family.row_dtype, shape=(manifest.ANY,)),)


def check_schema(document: manifest.Manifest, found: Inspection) -> None:
    """Refuse a manifest that describes another model than the artifact holds."""
    problems = []
    if len(document.features) != found.width:
        problems.append(f"inputs has {len(document.features)} features, but the model takes {found.width}")
    elif found.feature_names and (
        wrong := [
            (index, told, held)
            for index, (told, held) in enumerate(zip(document.feature_names, found.feature_names, strict=True))
            if told != held
        ]
    ):
        index, told, held = wrong[0]
        problems.append(f"inputs[{index}] is {told!r}, but the model calls it {held!r} ({len(wrong)} names differ)")
    if document.task != found.task:
        problems.append(f"task is {document.task}, but the model is for {found.task}")
    elif len(document.classes) != found.classes:
        problems.append(f"classes has {len(document.classes)} labels, but the model has {found.classes} classes")
    if problems:
        raise errors.PackageError(
            "FeatureSchemaMismatch",
            f"{manifest.FILE_NAME}: {'; '.join(problems)}; package the model again with its own features",
        )


def check_predicts(model: OpenModel, family: Family) -> None:
    """Score one row of zeros, so that a model that cannot predict is found before a request finds it."""
    (scores,) = model.predictor.predict(np.zeros((1, model.inspection.width), dtype=family.row_dtype))
    expected = (1, model.inspection.classes) if model.inspection.classes else (1,)
    if scores.shape != expected or not math.isfinite(float(scores.sum())):
        raise errors.PackageError(
            "ModelInvalid",
            f"the model gives {scores.shape} numbers for a row of zeros, expected {expected}, all finite",
        )
