"""Tree models as ONNX: the same in every leaf, or refused with the reason."""

import sys
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from serin_services.package import conversion, families, folder
from serin_services.package.conversion import form
from support import packages

ROWS = np.random.default_rng(3).normal(size=(150, 4)).round(1)
CLASSES = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0.5)
POSITIVE = np.exp(ROWS[:, 0]) + 0.1


def boost(labels: object = POSITIVE, *, rounds: int = 5, rows: object = ROWS, **given: object) -> bytes:
    data = xgboost.DMatrix(rows, labels, enable_categorical=True)
    return bytes(xgboost.train({"max_depth": 3, "nthread": 1, **given}, data, rounds).save_raw("ubj"))


def light(labels: object = POSITIVE, *, rows: object = ROWS, **given: object) -> bytes:
    settings = {"num_leaves": 6, "num_threads": 1, "verbosity": -1, "min_data_in_leaf": 5, **given}
    data = lightgbm.Dataset(
        rows, labels, params={"verbosity": -1}, categorical_feature=settings.pop("categories", "auto")
    )
    return lightgbm.train(settings, data, 5).model_to_string().encode()


def with_gaps(rows: np.ndarray) -> np.ndarray:
    made = rows.copy()
    made[np.random.default_rng(4).random(rows.shape) < 0.2] = np.nan
    return made


BINARY = (CLASSES > 0).astype(int)
XGBOOST = {
    "binary": lambda: boost(BINARY, objective="binary:logistic"),
    "binary, of margins": lambda: boost(BINARY, objective="binary:logitraw"),
    "binary, with a base score": lambda: boost(BINARY, objective="binary:logistic", base_score=0.9),
    "binary, without a negative leaf": lambda: boost(BINARY * 0 + 1, objective="binary:logistic", base_score=0.1),
    "binary, of one leaf a tree": lambda: boost(BINARY, objective="binary:logistic", min_child_weight=1e9),
    "multiclass": lambda: boost(CLASSES, objective="multi:softprob", num_class=3),
    "multiclass, of classes alone": lambda: boost(CLASSES, objective="multi:softmax", num_class=3),
    "multiclass, of forests": lambda: boost(CLASSES, objective="multi:softprob", num_class=3, num_parallel_tree=2),
    "regression": lambda: boost(objective="reg:squarederror"),
    "regression of two outputs": lambda: boost(np.stack([POSITIVE, -POSITIVE], axis=1), objective="reg:squarederror"),
    "regression of quantiles": lambda: boost(objective="reg:quantileerror", quantile_alpha=[0.1, 0.9]),
    "regression of shares": lambda: boost(BINARY, objective="reg:logistic"),
    "counts": lambda: boost(POSITIVE.round(), objective="count:poisson"),
    "gamma": lambda: boost(objective="reg:gamma"),
    "tweedie": lambda: boost(objective="reg:tweedie"),
    "pseudo-Huber": lambda: boost(objective="reg:pseudohubererror"),
    "trees dropped out": lambda: boost(BINARY, objective="binary:logistic", booster="dart", rate_drop=0.5),
    "missing values": lambda: boost(BINARY, rows=with_gaps(ROWS), objective="binary:logistic"),
}
LIGHTGBM = {
    "binary": lambda: light(BINARY, objective="binary"),
    "binary, with a steep sigmoid": lambda: light(BINARY, objective="binary", sigmoid=2.5),
    "multiclass": lambda: light(CLASSES, objective="multiclass", num_class=3),
    "multiclass, one against all": lambda: light(CLASSES, objective="multiclassova", num_class=3),
    "regression": lambda: light(objective="regression"),
    "regression of a quantile": lambda: light(objective="quantile", alpha=0.9),
    "counts": lambda: light(POSITIVE.round(), objective="poisson"),
    "gamma": lambda: light(objective="gamma"),
    "cross entropy": lambda: light(BINARY * 0.5, objective="cross_entropy"),
    "a random forest": lambda: light(
        BINARY, objective="binary", boosting="rf", bagging_freq=1, bagging_fraction=0.5, feature_fraction=0.5
    ),
    "trees dropped out": lambda: light(BINARY, objective="binary", boosting="dart", drop_rate=0.5),
    "missing values": lambda: light(BINARY, rows=with_gaps(ROWS), objective="binary"),
    "missing values taken for 0": lambda: light(BINARY, rows=with_gaps(ROWS), objective="binary", use_missing=False),
}
KINDS = {
    **{f"XGBoost: {name}": ("xgboost", make) for name, make in XGBOOST.items()},
    **{f"LightGBM: {name}": ("lightgbm", make) for name, make in LIGHTGBM.items()},
}


def convert(family: str, artifact: bytes, *, nan: bool = True) -> tuple[form.Trial, families.Predictor]:
    opened = families.open_model(families.FAMILIES[family], artifact, "model")
    trial = form.make(families.FAMILIES[family], artifact, "0" * 64, opened, [nan] * 4)
    return trial, opened.select(())


@pytest.mark.parametrize(("family", "make"), KINDS.values(), ids=KINDS)
def test_the_form_is_the_model(family: str, make: object) -> None:
    trial, original = convert(family, make())

    assert trial.refused is None
    assert trial.difference < 2e-6
    (expected,), (came,) = original.predict(trial.rows), trial.predictor.predict(trial.rows)
    assert (came.shape, came.dtype) == (expected.shape, expected.dtype)
    assert trial.predictor.predict(trial.rows[:1])[0] == pytest.approx(expected[:1], abs=1e-5)


def boost_categories() -> bytes:
    data = xgboost.DMatrix((ROWS * 3).astype(int) % 4, BINARY, feature_types=["c"] * 4, enable_categorical=True)
    given = {"max_depth": 3, "nthread": 1, "objective": "binary:logistic", "max_cat_to_onehot": 1}
    return bytes(xgboost.train(given, data, 3).save_raw("ubj"))


REFUSED = {
    "XGBoost: categories": (
        "xgboost",
        boost_categories,
        "splits by categories",
    ),
    "XGBoost: leaves of several values": (
        "xgboost",
        lambda: boost(
            np.stack([POSITIVE, -POSITIVE], axis=1), objective="reg:squarederror", multi_strategy="multi_output_tree"
        ),
        "has leaves of several values",
    ),
    "LightGBM: categories": (
        "lightgbm",
        lambda: light(
            BINARY,
            rows=(ROWS * 3).astype(int) % 4,
            objective="binary",
            categories=[0, 1, 2, 3],
            min_data_per_group=1,
            cat_smooth=1,
        ),
        "splits by categories",
    ),
    "LightGBM: linear leaves": (
        "lightgbm",
        lambda: light(objective="regression", linear_tree=True),
        "has linear functions in its leaves",
    ),
    "LightGBM: square roots": (
        "lightgbm",
        lambda: light(objective="regression", reg_sqrt=True),
        "is trained on square roots",
    ),
    "LightGBM: zeros that are missing": (
        "lightgbm",
        lambda: light(BINARY, rows=np.where(ROWS < 0.3, 0, ROWS), objective="binary", zero_as_missing=True),
        "takes 0 for a missing value",
    ),
}


@pytest.mark.parametrize(("family", "make", "said"), REFUSED.values(), ids=REFUSED)
def test_a_form_that_would_be_another_model_is_refused(family: str, make: object, said: str) -> None:
    trial, _ = convert(family, make())

    assert trial.content is None
    assert said in trial.refused


def test_a_form_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    read = form.READERS["xgboost"]

    def wrong(artifact: bytes) -> object:
        ensemble = read(artifact)
        ensemble.nodes.threshold[0] += 0.5
        return ensemble

    monkeypatch.setitem(form.READERS, "xgboost", wrong)

    trial, _ = convert("xgboost", XGBOOST["binary"]())

    assert "differs from the original by" in trial.refused


def test_a_model_that_the_converter_has_not_met_is_packaged_without_a_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(form.READERS, "xgboost", lambda _artifact: {}["trees"])

    trial, _ = convert("xgboost", XGBOOST["binary"]())

    assert trial.refused == "the converter cannot read the model: KeyError: 'trees'"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=npst.arrays(np.float64, (3, 4), elements=st.floats(allow_infinity=False, width=64)))
def test_any_row_of_float64_takes_the_same_way_through_lightgbm(light_pair: object, rows: np.ndarray) -> None:
    native, onnx = light_pair

    assert onnx.predict(rows)[0] == pytest.approx(native.predict(rows)[0], abs=1e-6)


@pytest.fixture(scope="module")
def light_pair() -> object:
    trial, original = convert("lightgbm", LIGHTGBM["missing values"]())
    return original, trial.predictor


def test_nan_is_tried_only_where_it_may_come() -> None:
    trial, _ = convert("xgboost", XGBOOST["binary"](), nan=False)

    assert np.isfinite(trial.rows).all()


def test_a_package_without_the_converter_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "serin_services.package.conversion.writer", raising=False)
    monkeypatch.delattr(conversion, "writer", raising=False)

    made = packages.make_package(tmp_path / "p").manifest

    assert [entry.path for entry in made.forms] == ["model.ubj", None]
    assert "install serin[package]" in made.forms[1].refused
    assert folder.open_package(folder.read(tmp_path / "p"))
