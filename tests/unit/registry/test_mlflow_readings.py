"""What MLflow's runs and versions become here, and which of its files are pickles."""

import datetime as dt
import io
import json
import pickle
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serin_services.registry import errors
from serin_services.registry.mlflow import pickles, readings, writings
from serin_services.registry.mlflow.readings import Published, Run
from serin_services.registry.records import labelling
from serin_services.registry.records.catalogue import artifacts

SIGNATURE = {
    "inputs": json.dumps(
        [
            {"type": "double", "name": "close", "required": True},
            {"type": "string", "name": "symbol", "required": True},
            {"type": "long", "name": "volume", "required": True},
        ]
    )
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("3", 3, id="an integer is one"),
        pytest.param("0.05", 0.05, id="a fraction is one"),
        pytest.param("True", True, id="a truth as Python shows it"),
        pytest.param("None", None, id="nothing as Python shows it"),
        pytest.param("hinge", "hinge", id="a word stays a word"),
        pytest.param("nan", "nan", id="what is no number stays a word"),
        pytest.param("NaN", "NaN", id="what is no number in JSON either stays a word"),
        pytest.param("1e999", "1e999", id="what no float can hold stays a word"),
        pytest.param("9007199254740993", "9007199254740993", id="what a float cannot hold exactly stays a word"),
        pytest.param('{"a": 1}', '{"a": 1}', id="an object stays a text"),
        pytest.param("__import__('os')", "__import__('os')", id="an expression is not evaluated"),
    ],
)
def test_a_parameter_is_read(text, value):
    assert readings.read_value(text) == value
    assert type(readings.read_value(text)) is type(value)


@pytest.mark.parametrize(
    ("flavours", "family", "path"),
    [
        pytest.param({"xgboost": {"data": "model.ubj"}}, "xgboost", "model.ubj", id="XGBoost's own file"),
        pytest.param(
            {"python_function": {"loader_module": "mlflow.lightgbm"}, "lightgbm": {"data": "model.lgb"}},
            "lightgbm",
            "model.lgb",
            id="the wrapper is not the family",
        ),
        pytest.param({"pytorch": {"model_data": "data"}}, "torch", "data", id="PyTorch has another name here"),
        pytest.param({"python_function": {"python_model": "m.pkl"}}, "unknown", "", id="a wrapper alone says nothing"),
        pytest.param(["xgboost"], "unknown", "", id="what is no MLmodel says nothing"),
    ],
)
def test_the_family_and_the_model_file_are_found(flavours, family, path):
    assert readings.find_family({"flavors": flavours}) == family
    assert readings.find_model_path({"flavors": flavours}) == path


def test_a_version_is_described():
    run = Run(
        "r1", {"depth": "6", "loss": "hinge"}, {"accuracy": 0.9, "loss": float("nan")}, {"team": "a"}, {"training": 150}
    )
    published = Published("Iris Forest", "3", "r1", {"reviewed": "yes"}, ("staging", "champion"))
    body = readings.describe(published, run, {"flavors": {"xgboost": {}}, "signature": SIGNATURE})
    assert body == {
        "family": "xgboost",
        "hyperparameters": {"depth": 6, "loss": "hinge"},
        "features": [{"name": "close", "dtype": "float64"}, {"name": "volume", "dtype": "int64"}],
        "data": {"samples": {"training": 150}},
        "metrics": {"accuracy": 0.9},
        "labels": {
            "mlflow.version": "3",
            "mlflow.aliases": "champion,staging",
            "mlflow.run.team": "a",
            "mlflow.tag.reviewed": "yes",
        },
        "run_id": "r1",
        "trained_at": None,
    }


def test_metrics_that_cannot_be_kept_are_named():
    metrics = {f"m{number:03}": 1.0 for number in range(readings.MAX_METRICS + 1)} | {"loss": float("inf")}
    assert len(readings.read_metrics(metrics)) == readings.MAX_METRICS
    assert readings.explain_left_out(metrics) == [
        "the metric loss is no number",
        "the metric m256 is one more than the 256 there is room for",
    ]


@pytest.mark.parametrize("signature", [{"inputs": "not json"}, {"inputs": '{"type": "double"}'}, "text", None])
def test_an_odd_signature_has_no_features(signature):
    assert readings.read_features({"signature": signature}) == []


@pytest.mark.parametrize(
    ("name", "here"),
    [
        pytest.param("iris", "iris", id="a plain name is kept"),
        pytest.param("Iris Forest_v2", "iris-forest-v2", id="capitals, spaces and underscores go"),
        pytest.param("-a-", "a", id="hyphens at the ends go"),
    ],
)
def test_a_model_is_named(name, here):
    assert readings.name_model(name) == here


@settings(max_examples=25)
@given(st.text())
def test_a_models_name_is_a_dns_label_or_refused(name):
    try:
        here = readings.name_model(name)
    except errors.InvalidError:
        return
    assert 1 <= len(here) <= 52
    assert here.isascii()
    assert here == here.lower().strip("-")


def test_labels_of_others_stay_and_old_imports_go():
    labels = {"team": "a", "mlflow.aliases": "champion", "mlflow.tag.gone": "1"}
    assert readings.replace_labels(labels, {"mlflow.aliases": ""}) == {"team": "a", "mlflow.aliases": ""}


def test_what_a_mirror_wrote_is_no_news():
    assert readings.label("tag", {"serin.stage": "CANARY", "own": "1"}) == {"mlflow.tag.own": "1"}


@settings(max_examples=25)
@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
@example(".hidden")
@example("a" * 300)
@example("é.png")
def test_every_file_gets_a_name_that_the_registry_takes(path):
    artifacts.check_name(readings.name_file("opaque/run", path.replace("/", "")[:400] or "a"))


def test_names_that_are_fine_are_kept_and_others_stay_apart():
    assert readings.name_file("opaque/run", "plots/a b.png") == "opaque/run/plots/a b.png"
    assert readings.name_file("opaque/run", "é") != readings.name_file("opaque/run", "è")


@settings(max_examples=25)
@given(st.dictionaries(st.text(max_size=300), st.text(max_size=20), max_size=200))
def test_every_tag_becomes_a_label_that_the_registry_takes(tags):
    labelling.check(readings.replace_labels({}, readings.label("tag", tags)))


def pickled(_: Path) -> bytes:
    return pickle.dumps({"weights": [1, 2]})


def old_pickle(_: Path) -> bytes:
    return pickle.dumps([1, 2], protocol=0)


def checkpoint(_: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "make", "is_pickle"),
    [
        pytest.param("model.bin", pickled, True, id="a pickle by another name"),
        pytest.param("model.txt", old_pickle, True, id="an old pickle by another name"),
        pytest.param("model", checkpoint, True, id="a checkpoint of PyTorch"),
        pytest.param("model.pkl", lambda _: b"text", True, id="a name that says so"),
        pytest.param("model.ubj", lambda _: b"{L\x00\x00\x00", False, id="XGBoost's own format"),
        pytest.param("MLmodel", lambda _: b"flavors:\n  xgboost: {}\n", False, id="a text"),
        pytest.param("empty", lambda _: b"", False, id="an empty file"),
    ],
)
def test_pickles_are_found_by_content(tmp_path, name, make, is_pickle):
    file = tmp_path / name
    file.write_bytes(make(tmp_path))
    assert bool(pickles.find_reason(file)) is is_pickle


def test_parameters_are_flat_texts():
    version = SimpleNamespace(
        hyperparameters={"depth": 6, "loss": "hinge", "tree": {"method": "hist"}}, architecture={"layers": [8, 4]}
    )
    assert writings.make_params(version) == {
        "depth": "6",
        "loss": "hinge",
        "tree.method": "hist",
        "architecture.layers": "[8, 4]",
    }


def test_labels_that_came_from_mlflow_are_not_told_back():
    version = SimpleNamespace(
        id=7, version="1.0.0", stage="DRAFT", family="onnx", labels={"team": "a", "mlflow.version": "3"}
    )
    assert writings.make_tags(version) == {
        "serin.version_id": "7",
        "serin.version": "1.0.0",
        "serin.stage": "DRAFT",
        "serin.family": "onnx",
        "serin.label.team": "a",
    }


def placed(version: str, stage: str, day: int) -> SimpleNamespace:
    return SimpleNamespace(version=version, stage=stage, stage_since=dt.datetime(2026, 1, day, tzinfo=dt.UTC))


@pytest.mark.parametrize(
    ("versions", "aliases"),
    [
        pytest.param([], {}, id="no version has no alias"),
        pytest.param([placed("1.0.0", "TESTING", 1)], {}, id="what is not deployed has none"),
        pytest.param(
            [placed("1.0.0", "PRODUCTION", 1), placed("1.1.0", "CANARY", 2), placed("2.0.0", "STAGING", 3)],
            {"production": "1.0.0", "canary": "1.1.0", "staging": "2.0.0"},
            id="each stage of the cluster has one",
        ),
        pytest.param(
            [placed("1.0.0", "PRODUCTION", 2), placed("1.1.0", "PRODUCTION", 1)],
            {"production": "1.0.0"},
            id="of two in a stage it names the later arrival",
        ),
    ],
)
def test_stages_are_aliases(versions, aliases):
    assert writings.choose_aliases(versions) == aliases
