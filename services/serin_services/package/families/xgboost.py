"""XGBoost: UBJSON or JSON, computed in float32."""

import json
from types import ModuleType
from typing import Any

from serin_services.package import errors, manifest
from serin_services.package.families import base

TASKS: dict[str, manifest.Task] = {
    "binary:logistic": "binary",
    "binary:logitraw": "binary",
    "multi:softprob": "multiclass",
    "multi:softmax": "multiclass",
}
# Its classes come without a probability, so a confidence could only be made up.
REFUSED = ("binary:hinge", "rank:", "survival:aft", "survival:cox")
# XGBoost's own words for a feature's type; it computes in float32 whatever the type.
DTYPES: dict[str, manifest.DataType] = {"int": "int64", "i": "bool", "c": "int64"}


def recognise(head: bytes) -> bool:
    """Recognise UBJSON (an object whose first key has a sized length) and JSON."""
    return head[:2] in {b"{L", b"{l", b"{i", b"{U", b"{#", b"{$"} or is_json(head)


def is_json(head: bytes) -> bool:
    """Whether it is the JSON of the two: text behind the first brace."""
    return head[:1] == b"{" and head[1:].lstrip()[:1] == b'"'


def open_model(library: ModuleType, artifact: bytes) -> base.OpenModel:
    """Open a UBJSON or JSON model."""
    booster = library.Booster()
    booster.load_model(bytearray(artifact))
    # One row costs less on one thread than on several; a server grows by replicas.
    booster.set_param({"nthread": 1})
    learner = json.loads(booster.save_config())["learner"]
    objective = learner["objective"]["name"]
    if objective.startswith(REFUSED):
        raise errors.PackageError(
            "UnsupportedObjective",
            f"the model's objective is {objective}, which gives no probability or value of its own; "
            f"train it with one of {', '.join(TASKS)} or a reg: objective",
        )
    if learner["gradient_booster"]["name"] == "gblinear":
        raise errors.PackageError(
            "UnsupportedModel", "the model's booster is gblinear, which is linear; train trees, or package it as ONNX"
        )
    task = TASKS.get(objective, "regression")
    width = int(booster.num_features())
    shape = learner["learner_model_param"]
    outputs = max(int(shape["num_class"]), 2) if task != "regression" else max(int(shape.get("num_target", 1)), 1)
    names = tuple(booster.feature_names or ())
    kinds = tuple(DTYPES.get(kind, "float32") for kind in booster.feature_types or ["float"] * width)
    inspection = base.describe_rows(width, names, kinds, "float32", outputs, task)
    return base.OpenModel(inspection, lambda _names: Native(booster, objective))


class Native:
    """Predicts with XGBoost's own library, on the caller's thread."""

    def __init__(self, booster: Any, objective: str) -> None:  # noqa: ANN401 - the library has no types
        self._predict = booster.inplace_predict
        self._binary = objective.startswith("binary:")
        # These two give classes or margins by themselves; the margin holds what the probability is made of.
        self._kind = "margin" if objective in {"multi:softmax", "binary:logitraw"} else "value"

    def predict(self, *inputs: base.Array) -> tuple[base.Array, ...]:
        """Score rows of float32."""
        scores: base.Array = self._predict(inputs[0], predict_type=self._kind, validate_features=False)
        if self._kind == "margin":
            scores = base.sigmoid(scores) if self._binary else base.softmax(scores)
        return (base.with_complement(scores) if self._binary else scores,)


FAMILY = base.Family(
    "xgboost", "xgboost", (".ubj", ".json"), "XGBoost UBJSON or JSON", recognise, open_model, is_fragile=True
)
