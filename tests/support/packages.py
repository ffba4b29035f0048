"""Small real models and packages of them, trained in a moment."""

from pathlib import Path

import lightgbm
import numpy as np
import xgboost

from serin_services.package import folder, make, manifest, measuring, sandbox

# Measures hardly anything: which form computes what is then a matter of chance, and both are right.
QUICK = measuring.Effort(sizes=(1, 64), seconds=0, least=1)
# One process tries all models of a test run, instead of one for each.
sandbox.IDLE_SECONDS = 60.0
NAMES = ("age", "income", "rate", "visits")
FEATURES = (
    manifest.Feature(name="age", dtype="int64", unit="years"),
    manifest.Feature(name="income", unit="EUR"),
    manifest.Feature(name="rate", allow_nan=True),
    manifest.Feature(name="visits"),
)
ROWS = np.random.default_rng(7).integers(0, 40, size=(120, len(NAMES))).astype(float)
LABELS = {
    "binary:logistic": (ROWS[:, 0] + ROWS[:, 1] > 40).astype(int),
    "multi:softprob": (ROWS[:, 0] // 14).astype(int),
    "reg:squarederror": ROWS[:, 0] * 2.0,
}
LABELS["binary:logitraw"] = LABELS["binary:hinge"] = LABELS["binary:logistic"]
LABELS["multi:softmax"] = LABELS["multi:softprob"]


def xgboost_model(
    objective: str = "binary:logistic",
    *,
    names: tuple[str, ...] | None = NAMES,
    raw: str = "ubj",
    booster: str = "gbtree",
) -> bytes:
    data = xgboost.DMatrix(ROWS, LABELS[objective], feature_names=list(names) if names else None)
    settings = {"objective": objective, "booster": booster, "nthread": 1, "verbosity": 0}
    if booster == "gbtree":
        settings["max_depth"] = 2
    # It is a probability for all but the raw margin, and 0 there is a probability of 0.5.
    settings["base_score"] = 0.0 if objective == "binary:logitraw" else 0.5
    if objective.startswith("multi:"):
        settings["num_class"] = 3
    return bytes(xgboost.train(settings, data, 4).save_raw(raw))


def lightgbm_model(objective: str = "binary") -> bytes:
    labels = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}[objective]
    settings = {"objective": objective, "num_leaves": 4, "num_threads": 1, "verbosity": -1, "min_data_in_leaf": 5}
    if objective == "multiclass":
        settings["num_class"] = 3
    data = lightgbm.Dataset(ROWS, LABELS[labels], feature_name=list(NAMES))
    return lightgbm.train(settings, data, 4).model_to_string().encode()


def make_package(
    target: Path,
    artifact: bytes | None = None,
    *,
    features: tuple[manifest.Feature, ...] | None = FEATURES,
    **recipe: object,
) -> folder.Package:
    source = target.parent / f"{target.name}.model"
    source.write_bytes(xgboost_model() if artifact is None else artifact)
    given = {"model": "momentum", "version": "1.2.0", "labels": ("down", "up"), **recipe}
    return make.make(make.Recipe(source=source, features=features, **given), target, effort=QUICK)
