"""Packages made of real models of every kind."""

import json
from pathlib import Path

import numpy as np
import pytest

from serin_services.package import errors, families, folder, make, options
from support import packages

KINDS = {
    "XGBoost with probabilities of two classes": (packages.xgboost_model(), "binary", 2),
    "XGBoost in JSON": (packages.xgboost_model(raw="json"), "binary", 2),
    "XGBoost with margins of two classes": (packages.xgboost_model("binary:logitraw"), "binary", 2),
    "XGBoost with probabilities of three classes": (packages.xgboost_model("multi:softprob"), "multiclass", 3),
    "XGBoost with the class of three alone": (packages.xgboost_model("multi:softmax"), "multiclass", 3),
    "XGBoost regression": (packages.xgboost_model("reg:squarederror"), "regression", 0),
    "LightGBM of two classes": (packages.lightgbm_model(), "binary", 2),
    "LightGBM of three classes": (packages.lightgbm_model("multiclass"), "multiclass", 3),
    "LightGBM regression": (packages.lightgbm_model("regression"), "regression", 0),
}


@pytest.mark.parametrize(("artifact", "task", "classes"), KINDS.values(), ids=KINDS)
def test_it_takes_what_the_model_knows(artifact: bytes, task: str, classes: int, tmp_path: Path) -> None:
    made = packages.make_package(tmp_path / "p", artifact, features=None, labels=None)

    assert made.manifest.task == task
    assert made.manifest.classes == tuple(str(index) for index in range(classes))
    assert made.manifest.feature_names == list(packages.NAMES)
    rows = packages.ROWS[:5].astype(made.manifest.inputs[0].dtype)
    (scores,) = folder.open_package(made).predict(rows)
    assert scores.shape == ((5, classes) if classes else (5,))
    if classes:
        assert scores.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)


@pytest.mark.parametrize(
    ("one", "other"),
    [("binary:logistic", "binary:logitraw"), ("multi:softprob", "multi:softmax")],
    ids=["binary", "multi"],
)
def test_objectives_that_train_the_same_model_give_the_same_probabilities(one: str, other: str) -> None:
    rows = packages.ROWS[:20].astype("float32")
    scores = [
        families.open_model(families.FAMILIES["xgboost"], packages.xgboost_model(kind), "model")
        .select(())
        .predict(rows)[0]
        for kind in (one, other)
    ]

    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_features_without_names_are_numbered(tmp_path: Path) -> None:
    made = packages.make_package(tmp_path / "p", packages.xgboost_model(names=None), features=None)

    assert made.manifest.feature_names == ["f0", "f1", "f2", "f3"]


def test_the_same_model_has_the_same_identity_whatever_was_measured(tmp_path: Path) -> None:
    one, same, other = (
        packages.make_package(tmp_path / name, labels=labels).manifest
        for name, labels in {"one": ("a", "b"), "same": ("a", "b"), "other": ("a", "c")}.items()
    )

    assert one.identity() == same.identity() != other.identity()
    assert [file.sha256 for file in one.files] == [file.sha256 for file in same.files]


RECIPES = {
    "a version with a plus": ({"version": "1.0+x"}, "InvalidName", "write '1.0-x'"),
    "a name with capitals": ({"model": "Big"}, "InvalidName", "a-z"),
    "three labels for two classes": ({"labels": ("a", "b", "c")}, "ManifestInvalid", "2 classes, got 3"),
    "a hinge model": ({"artifact": packages.xgboost_model("binary:hinge")}, "UnsupportedObjective", "binary:hinge"),
    "a linear model": ({"artifact": packages.xgboost_model(booster="gblinear")}, "UnsupportedModel", "gblinear"),
    "a pickle": ({"artifact": b"\x80\x04x"}, "WrongFormat", "save_model()"),
    "a feature too few": ({"features": packages.FEATURES[:3]}, "FeatureSchemaMismatch", "the model takes 4"),
}


@pytest.mark.parametrize(("change", "reason", "said"), RECIPES.values(), ids=RECIPES)
def test_it_refuses_to_make(change: dict[str, object], reason: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(errors.PackageError) as caught:
        packages.make_package(tmp_path / "p", **change)

    assert caught.value.reason == reason
    assert said in caught.value.message
    assert not (tmp_path / "p").exists()


def test_it_replaces_a_package_only_when_told_and_nothing_else_ever(tmp_path: Path) -> None:
    packages.make_package(tmp_path / "p")
    with pytest.raises(errors.PackageError, match="TargetExists"):
        packages.make_package(tmp_path / "p")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "precious").touch()

    with pytest.raises(errors.PackageError, match="TargetExists"):
        make.check_target(tmp_path / "home", replace=True)
    make.check_target(tmp_path / "p", replace=True)


FEATURE_FILES = {
    "names in JSON": ("f.json", '["a", "b"]', [("a", "float64"), ("b", "float64")]),
    "objects in JSON": (
        "f.json",
        '[{"name": "a", "dtype": "int64", "unit": "m"}, "b"]',
        [("a", "int64"), ("b", "float64")],
    ),
    "a CSV of features": ("f.csv", "name,dtype,allow_nan\na,int64,\nb,,true\n", [("a", "int64"), ("b", "float64")]),
    "a CSV of data": ("f.csv", "a,b\n1,2\n", [("a", "float64"), ("b", "float64")]),
}


@pytest.mark.parametrize(("name", "text", "expected"), FEATURE_FILES.values(), ids=FEATURE_FILES)
def test_it_reads_features(name: str, text: str, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)

    features = options.read_features(tmp_path / name)

    assert [(feature.name, feature.dtype) for feature in features] == expected


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("f.json", "{", "Expecting"),
        ("f.json", '{"a": 1}', "expected a list of features, got dict"),
        ("f.json", '[{"name": "a", "dtype": "text"}]', "dtype"),
        ("f.csv", "name,color\na,red\n", "color"),
    ],
    ids=["broken JSON", "an object", "an unknown dtype", "an unknown column"],
)
def test_it_refuses_features(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(errors.PackageError, match="InvalidFeatures") as caught:
        options.read_features(tmp_path / name)

    assert said in caught.value.message


def test_the_folder_is_a_bento_project(tmp_path: Path) -> None:
    made = packages.make_package(tmp_path / "p")
    bentofile = (tmp_path / "p" / "bentofile.yaml").read_text()

    assert "service: serin_services.server.bento:ModelServer" in bentofile
    assert all(f"- {file.path}" in bentofile for file in made.manifest.files)
    assert json.loads((tmp_path / "p" / "manifest.json").read_text())["model"] == "momentum"
