"""What a manifest accepts."""

import re

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin_services.package import manifest

FILE = {"path": "model.ubj", "role": "artifact", "size": 3, "sha256": "0" * 64}


def rows(*names: str) -> dict[str, object]:
    features = [{"name": name} for name in names]
    return {"name": "rows", "dtype": "float32", "shape": [-1, len(names)], "features": features}


DOCUMENT = {
    "schema": "serin.dev/package/v1",
    "model": "momentum",
    "version": "1.2.0",
    "family": "xgboost",
    "task": "binary",
    "inputs": [rows("a", "b")],
    "outputs": [{"name": "probabilities", "dtype": "float32", "shape": [-1, 2]}],
    "classes": ["down", "up"],
    "files": [FILE],
}

FORECAST = {"name": "values", "dtype": "float32", "shape": [-1, 24, 2]}
QUANTILES = {"task": "quantile", "classes": [], "quantiles": [0.1, 0.9], "outputs": [FORECAST]}

FORM_FILE = {**FILE, "path": "form.onnx", "role": "form"}
FORMS = {
    "files": [FILE, FORM_FILE],
    "forms": [{"name": "native", "path": "model.ubj"}, {"name": "onnx", "path": "form.onnx"}],
}
SCALER = {"input": "rows", "offset": [1, 2], "scale": [3, 4]}

REFUSED = {
    "a form with neither file nor reason": ({"forms": [{"name": "onnx"}]}, "either a path or the reason"),
    "a form of no file": ({"forms": [{"name": "onnx", "path": "form.onnx"}]}, "forms.onnx.path"),
    "a form twice": ({**FORMS, "forms": [FORMS["forms"][0]] * 2}, "stand more often: native"),
    "a file of no form": ({**FORMS, "forms": FORMS["forms"][:1]}, "no form is made of it"),
    "a plan of a form that there is not": ({"plan": [{"form": "onnx"}]}, "plan: expected forms of []"),
    "a plan that ends": ({**FORMS, "plan": [{"rows": 5, "form": "onnx"}]}, "a last step without them"),
    "a plan that falls": (
        {**FORMS, "plan": [{"rows": 5, "form": "onnx"}, {"rows": 4, "form": "native"}, {"form": "onnx"}]},
        "rows that ascend",
    ),
    "a time below zero": (
        {**FORMS, "forms": [{**FORMS["forms"][0], "microseconds": {"1": -1}}, FORMS["forms"][1]]},
        "forms.0.microseconds",
    ),
    "a scaler of another width": ({"scaler": {**SCALER, "offset": [1], "scale": [1]}}, "do not fit the shape"),
    "a scaler of two lengths": ({"scaler": {**SCALER, "offset": [1]}}, "1 offsets do not fit 2 scales"),
    "a scale of nothing": ({"scaler": {**SCALER, "scale": [1, 0]}}, "scaler.scale.1"),
    "a scaler of an input that there is not": ({"scaler": {**SCALER, "input": "x"}}, "scaler.input"),
    "an offset that is no number": ({"scaler": {**SCALER, "offset": [1, float("nan")]}}, "scaler.offset.1"),
    "an activation of a regression": (
        {"task": "regression", "classes": [], "activation": "softmax"},
        "a regression model has none",
    ),
    "an unknown schema": ({"schema": "serin.dev/package/v9"}, "schema"),
    "an unknown field": ({"pickle": "x"}, "pickle"),
    "a model name with capitals": ({"model": "Momentum"}, "model"),
    "a model name of 53 characters": ({"model": "m" * 53}, "model"),
    "a model name that ends in a dash": ({"model": "m-"}, "model"),
    "a version with a plus": ({"version": "1.0.0+cpu"}, "version"),
    "a version of 64 characters": ({"version": "1" * 64}, "version"),
    "an unknown family": ({"family": "sklearn"}, "family"),
    "no inputs": ({"inputs": []}, "inputs"),
    "no outputs": ({"outputs": []}, "outputs"),
    "a feature twice": ({"inputs": [rows("a", "a")]}, "stand more often: a"),
    "an unknown dtype of a feature": (
        {"inputs": [{**rows("a"), "features": [{"name": "a", "dtype": "text"}]}]},
        "dtype",
    ),
    "more features than the axis is long": ({"inputs": [{**rows("a"), "shape": [-1, 2]}]}, "do not fit the shape"),
    "a shape without a batch": ({"inputs": [{**rows("a"), "shape": [3, 1]}]}, "for the batch"),
    "an axis of no length": ({"inputs": [{"name": "a", "dtype": "int64", "shape": [-1, 0]}]}, "for the batch"),
    "quantiles of a classification": ({"quantiles": [0.5]}, "has 0 quantiles, got 1"),
    "quantiles that fall": ({**QUANTILES, "quantiles": [0.9, 0.1]}, "ascending"),
    "a quantile of one": ({**QUANTILES, "quantiles": [0.5, 1.0]}, "quantiles.1"),
    "quantiles that are not the last axis": ({**QUANTILES, "quantiles": [0.5]}, "do not fit the first output"),
    "an input twice": ({"inputs": [rows("a"), rows("a")]}, "stand more often: rows"),
    "an unknown dtype": ({"inputs": [{**rows("a"), "dtype": "text"}]}, "inputs.0.dtype"),
    "a binary model with three classes": ({"classes": ["a", "b", "c"]}, "has 2 classes, got 3"),
    "a regression with classes": ({"task": "regression"}, "has 0 classes, got 2"),
    "a class twice": ({"classes": ["a", "a"]}, "stand more often: a"),
    "no artifact": ({"files": [{**FILE, "role": "project"}]}, "exactly one file"),
    "two artifacts": ({"files": [FILE, {**FILE, "path": "b"}]}, "exactly one file"),
    "a file of the parent folder": ({"files": [{**FILE, "path": "../model.ubj"}]}, "plain relative path"),
    "a file by absolute path": ({"files": [{**FILE, "path": "/etc/passwd"}]}, "plain relative path"),
    "a digest that is none": ({"files": [{**FILE, "sha256": "0" * 63}]}, "sha256"),
    "a negative size": ({"files": [{**FILE, "size": -1}]}, "size"),
}


def test_it_reads_what_it_writes() -> None:
    document = manifest.Manifest.model_validate(DOCUMENT)

    again = manifest.Manifest.model_validate_json(document.to_json())

    assert again == document
    assert again.to_json() == document.to_json()
    assert again.feature_names == ["a", "b"]


def test_a_plan_names_files_by_rows() -> None:
    plan = [{"rows": 16, "form": "onnx"}, {"form": "native"}]
    document = manifest.Manifest.model_validate(DOCUMENT | FORMS | {"plan": plan})

    assert document.routes == ((16, "form.onnx"), (None, "model.ubj"))
    assert manifest.Manifest.model_validate(DOCUMENT).routes == ((None, "model.ubj"),)


def test_what_was_measured_is_no_part_of_the_identity() -> None:
    measured = [{**FORMS["forms"][0], "microseconds": {"1": 5.5}}, FORMS["forms"][1]]
    one, same, other = (
        manifest.Manifest.model_validate(DOCUMENT | FORMS | change)
        for change in ({}, {"forms": measured, "plan": [{"form": "onnx"}]}, {"classes": ["up", "down"]})
    )

    assert one.identity() == same.identity() != other.identity()


@pytest.mark.parametrize(("change", "where"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(change: dict[str, object], where: str) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        manifest.Manifest.model_validate(DOCUMENT | change)

    assert where in manifest.describe(caught.value)


@given(st.text(alphabet="ab/.\\\0 ", min_size=1, max_size=12))
def test_no_accepted_path_leaves_the_folder(path: str) -> None:
    try:
        manifest.File(path=path, role="artifact", size=0, sha256="0" * 64)
    except pydantic.ValidationError:
        return

    assert not path.startswith("/")
    assert ".." not in path.split("/")
    assert "\\" not in path
    assert "\0" not in path


@given(st.text(max_size=70) | st.from_regex(manifest.VERSION_PATTERN))
def test_every_accepted_version_is_a_label_value(version: str) -> None:
    problem = manifest.version_problem(version)

    is_label = re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", version) and len(version) <= 63
    assert (problem is None) == bool(is_label)


def test_a_version_with_a_plus_is_told_what_to_write_instead() -> None:
    assert "write '1.0.0-cpu' instead" in (manifest.version_problem("1.0.0+cpu") or "")
