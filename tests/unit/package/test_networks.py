"""Packages of ONNX models: what is taken from the model, what is found by trying it, and what is refused."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from serin_services.package import errors, folder, manifest
from support import networks, packages


def make(target: Path, artifact: bytes, **recipe: object) -> folder.Package:
    return packages.make_package(target, artifact, features=recipe.pop("features", None), labels=None, **recipe)


def converted_classifier() -> bytes:
    """As skl2onnx writes them: the label beside the probabilities."""
    weights = {"w": np.ones((3, 2), "float32"), "b": np.zeros(2, "float32")}
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["z"]),
        helper.make_node("Softmax", ["z"], ["probabilities"]),
        helper.make_node("ArgMax", ["z"], ["label"], axis=1, keepdims=0),
    ]
    outputs = [networks.tensor("label", None, dtype=networks.INT64), networks.tensor("probabilities", None, 2)]
    return networks.build(nodes, [networks.tensor("x", None, 3)], outputs, weights)


GUESSES: dict[str, tuple[bytes, dict[str, object], dict[str, object]]] = {
    "one value is a regression": (
        networks.linear(3, 1),
        {},
        {"task": "regression", "shape": [-1, 1], "classes": [], "features": ["f0", "f1", "f2"]},
    ),
    "several numbers are tensors": (networks.linear(), {}, {"task": "tensors", "shape": [-1, 2]}),
    "several numbers are a regression when told": (
        networks.linear(),
        {"task": "regression"},
        {"task": "regression", "shape": [-1, 2]},
    ),
    "features are named": (
        networks.linear(3, 1),
        {"features": packages.FEATURES[:3]},
        {"task": "regression", "features": ["age", "income", "rate"]},
    ),
    "labels make a classification, of logits": (
        networks.linear(),
        {"labels": ("no", "yes")},
        {"task": "binary", "classes": ["no", "yes"], "activation": "softmax", "shape": [-1, 2]},
    ),
    "probabilities stay as they are": (
        networks.linear(3, 3, after="Softmax"),
        {"task": "multiclass"},
        {"task": "multiclass", "classes": ["0", "1", "2"], "activation": None, "shape": [-1, 3]},
    ),
    "one logit is that of the second class": (
        networks.linear(3, 1),
        {"task": "binary"},
        {"task": "binary", "classes": ["0", "1"], "activation": "sigmoid", "shape": [-1, 2]},
    ),
    "one probability is that of the second class": (
        networks.linear(3, 1, after="Sigmoid"),
        {"labels": ("no", "yes")},
        {"task": "binary", "classes": ["no", "yes"], "activation": "complement", "shape": [-1, 2]},
    ),
    "a converted classifier's label is made anew": (
        converted_classifier(),
        {},
        {"task": "binary", "outputs": ["probabilities"], "activation": None},
    ),
    "a series of any length": (
        networks.forecaster(),
        {"quantiles": (0.1, 0.5, 0.9)},
        {"task": "quantile", "shape": [-1, 1, 3], "input": [-1, -1, 2], "features": []},
    ),
    "several inputs and outputs": (
        networks.two_inputs(),
        {},
        {"task": "tensors", "inputs": ["numbers", "category"], "outputs": ["value", "logits"], "features": []},
    ),
    "one of several outputs as classes": (
        networks.two_inputs(),
        {"task": "regression"},
        {"task": "regression", "outputs": ["value", "logits"]},
    ),
}


@pytest.mark.parametrize(("artifact", "recipe", "expected"), GUESSES.values(), ids=GUESSES)
def test_it_finds(artifact: bytes, recipe: dict[str, object], expected: dict[str, object], tmp_path: Path) -> None:
    given = {"labels": None, **recipe}
    made = packages.make_package(tmp_path / "p", artifact, features=given.pop("features", None), **given)

    document = made.manifest.model_dump(mode="json")
    came = {
        "task": document["task"],
        "shape": document["outputs"][0]["shape"],
        "input": document["inputs"][0]["shape"],
        "inputs": [tensor["name"] for tensor in document["inputs"]],
        "outputs": [tensor["name"] for tensor in document["outputs"]],
        "classes": document["classes"],
        "activation": document["activation"],
        "features": [feature["name"] for feature in document["inputs"][0]["features"]],
    }
    assert {name: came[name] for name in expected} == expected
    assert (document["family"], document["plan"]) == ("onnx", [{"rows": None, "form": "onnx"}])


def run(artifact: bytes, **inputs: np.ndarray) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(artifact).run(None, inputs)


def test_several_tensors_are_what_the_library_gives(tmp_path: Path) -> None:
    predictor = folder.open_package(make(tmp_path / "p", networks.two_inputs()))
    given = {"numbers": np.ones((5, 3), "float32"), "category": np.array([0, 1, 2, 3, 0])}

    came = predictor.predict(*given.values())

    for one, other in zip(came, run(networks.two_inputs(), **given), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_series_of_any_length_is_what_the_library_gives(tmp_path: Path) -> None:
    predictor = folder.open_package(make(tmp_path / "p", networks.forecaster(), quantiles=(0.1, 0.5, 0.9)))

    for steps in (1, 24, 100):
        series = np.random.default_rng(1).normal(size=(2, steps, 2)).astype("float32")
        np.testing.assert_allclose(
            predictor.predict(series)[0], run(networks.forecaster(), series=series)[0], atol=1e-6
        )


@pytest.mark.parametrize(
    ("artifact", "classes"),
    [(networks.linear(3, 1), 2), (networks.linear(3, 1, after="Sigmoid"), 2), (networks.linear(3, 4), 4)],
    ids=["a logit", "a probability", "logits"],
)
def test_classes_have_probabilities(artifact: bytes, classes: int, tmp_path: Path) -> None:
    labels = tuple("abcd"[:classes])
    predictor = folder.open_package(packages.make_package(tmp_path / "p", artifact, features=None, labels=labels))
    rows = np.random.default_rng(2).normal(size=(50, 3)).astype("float32") * 50

    (scores,) = predictor.predict(rows)

    raw = run(artifact, x=rows)[0]
    assert scores.shape == (50, classes)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    expected = raw[:, 0] > (0 if raw.min() < 0 else 0.5) if classes == 2 else raw.argmax(axis=1)
    np.testing.assert_array_equal(scores.argmax(axis=1), expected)


def test_a_scaler_is_applied_to_the_last_axis(tmp_path: Path) -> None:
    scaler = {"offset": [1, 2, 3], "scale": [0.5, 2, 1]}
    predictor = folder.open_package(make(tmp_path / "p", networks.linear(3, 1), scaler=scaler))
    rows = np.array([[1, 2, 3], [1.5, 4, 4]], "float32")

    scaled = np.array([[0, 0, 0], [1, 1, 1]], "float32")
    np.testing.assert_allclose(predictor.predict(rows)[0], run(networks.linear(3, 1), x=scaled)[0], atol=1e-6)


def test_a_scaler_belongs_to_a_tree_model_too(tmp_path: Path) -> None:
    scaler = {"offset": [10, 0, 0, 0], "scale": [2, 1, 1, 1]}
    plain = folder.open_package(packages.make_package(tmp_path / "plain"))
    scaled = folder.open_package(packages.make_package(tmp_path / "scaled", scaler=scaler))
    rows = packages.ROWS.astype("float32")
    given = rows.copy()
    given[:, 0] = rows[:, 0] * 2 + 10

    np.testing.assert_allclose(scaled.predict(given)[0], plain.predict(rows)[0], atol=1e-6)


def external(path: str) -> bytes:
    model = onnx.load_from_string(networks.linear())
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=path)
    return model.SerializeToString()


def renamed(artifact: bytes, domain: str, version: int) -> bytes:
    model = onnx.load_from_string(artifact)
    if domain:
        model.graph.node[0].domain = domain
        model.opset_import.add(domain=domain, version=version)
    else:
        model.opset_import[0].version = version
    return model.SerializeToString()


def constant_log() -> bytes:
    return networks.build(
        [helper.make_node("Log", ["x"], ["y"])], [networks.tensor("x", None, 2)], [networks.tensor("y", None, 2)]
    )


REFUSED: dict[str, tuple[bytes, dict[str, object], str, str]] = {
    "values in another file": (external("weights.bin"), {}, "ExternalData", "'weights.bin'; save it in one file"),
    "values in a file outside": (external("/etc/passwd"), {}, "ExternalData", "/etc/passwd"),
    "operators of someone's own": (renamed(networks.linear(), "acme", 1), {}, "UnknownOperators", "acme"),
    "operators of a later version": (renamed(networks.linear(), "", 99), {}, "UnknownOperators", "99"),
    "a batch of one": (
        networks.build(
            [helper.make_node("Relu", ["x"], ["y"])], [networks.tensor("x", 1, 2)], [networks.tensor("y", 1, 2)]
        ),
        {},
        "UnsupportedModel",
        "input 'x' has the shape [1, 2]; expected a first axis of any size",
    ),
    "text": (
        networks.build(
            [helper.make_node("Identity", ["x"], ["y"])],
            [networks.tensor("x", None, dtype=networks.STRING)],
            [networks.tensor("y", None, dtype=networks.STRING)],
        ),
        {},
        "UnsupportedModel",
        "input 'x' is a tensor(string)",
    ),
    "infinity on zeros": (constant_log(), {}, "ModelInvalid", "numbers that are not finite"),
    "a graph of nothing": (networks.build([], [], []), {}, "ModelInvalid", "onnxruntime cannot open it"),
    "labels of other classes": (networks.linear(), {"labels": ("a", "b", "c")}, "TaskMismatch", "2 classes, got 3"),
    "labels of a regression": (
        networks.linear(3, 1),
        {"task": "regression", "labels": ("a", "b")},
        "TaskMismatch",
        "a regression model has no labels",
    ),
    "too few quantiles": (networks.forecaster(), {"quantiles": (0.1, 0.9)}, "ManifestInvalid", "do not fit"),
    "quantiles that fall": (networks.forecaster(), {"quantiles": (0.9, 0.5, 0.1)}, "ManifestInvalid", "ascending"),
    "a feature too few": (
        networks.linear(3, 1),
        {"features": packages.FEATURES[:2]},
        "FeatureSchemaMismatch",
        "has 2 features, but the model takes 3",
    ),
    "a scaler of another width": (
        networks.linear(3, 1),
        {"scaler": {"offset": [0], "scale": [1]}},
        "ManifestInvalid",
        "do not fit the shape",
    ),
    "a scaler without a scale": (networks.linear(3, 1), {"scaler": {"offset": [0]}}, "ManifestInvalid", "scale"),
}


@pytest.mark.parametrize(("artifact", "recipe", "reason", "said"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(artifact: bytes, recipe: dict[str, object], reason: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(errors.PackageError) as caught:
        packages.make_package(tmp_path / "p", artifact, **{"features": None, "labels": None, **recipe})

    assert (caught.value.reason, said in caught.value.message) == (reason, True), str(caught.value)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_task_that_a_tree_model_is_not_for_is_refused(task: manifest.Task, tmp_path: Path) -> None:
    with pytest.raises(errors.PackageError, match=f"TaskMismatch: --task: the model is for binary, got {task}"):
        packages.make_package(tmp_path / "p", task=task, labels=None)


def test_a_manifest_of_other_tensors_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "p", networks.two_inputs())
    path = tmp_path / "p" / "manifest.json"
    original = json.loads(path.read_text())
    for change, said in {
        ("inputs", 0, "name", "others"): "the model takes ['numbers', 'category']",
        ("inputs", 1, "dtype", "int32"): "inputs.category is int32, but the model has int64",
        ("outputs", 1, "shape", (-1, 3)): "outputs.logits has the shape [-1, 3], but the model has [-1, 2]",
        ("outputs", 0, "name", "price"): "outputs has 'price', but the model gives ['value', 'logits']",
    }.items():
        what, index, field, value = change
        document = json.loads(json.dumps(original))
        document[what][index][field] = value
        path.write_text(json.dumps(document))
        with pytest.raises(errors.PackageError) as caught:
            folder.open_package(folder.read(tmp_path / "p"))
        assert (caught.value.reason, said in caught.value.message) == ("FeatureSchemaMismatch", True), caught.value
