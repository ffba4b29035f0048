"""The command `serin package`."""

import json
from pathlib import Path

import pytest
import typer
import typer.testing
from rich import console

from serin_services.package import cli, errors, manifest, options, summary
from support import networks, packages

app = typer.Typer(callback=lambda: None)
app.command("package")(cli.package)


def run(*words: object) -> typer.testing.Result:
    return typer.testing.CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.ubj"
    path.write_bytes(packages.xgboost_model())
    return path


def test_package_says_what_it_made(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "momentum"
    result = run(
        "package", "--from", model, "--model", "momentum", "--version", "1.0.0", "--labels", "down, up",
        "--metric", "accuracy=0.97", "--lineage", "commit=1a2b", "--allow-nan", "-o", target,
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    assert "momentum 1.0.0, xgboost binary, 4 features, sha256:" in result.stdout
    document = json.loads((target / "manifest.json").read_text())
    assert document["classes"] == ["down", "up"]
    assert document["metrics"] == {"accuracy": 0.97}
    assert document["lineage"] == {"commit": "1a2b"}
    assert all(feature["allow_nan"] for feature in document["inputs"][0]["features"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--version", "1.0+x"], 1, "error: InvalidName"),
        (["--metric", "accuracy"], 2, "expected name=value"),
        (["--metric", "accuracy=much"], 1, "expected a finite number, got 'much'"),
        (["--features", "gone.json"], 1, "error: FileMissing"),
        (["--scaler", "gone.json"], 1, "error: FileMissing"),
        (["--quantiles", "0.1,much"], 1, "expected a finite number, got 'much'"),
        (["--task", "guess"], 2, "guess"),
        (["--task", "regression"], 1, "error: TaskMismatch"),
        (["--from", "nets:make"], 1, "error: LibraryMissing: nets:make"),
        (["--from", "gone.ubj"], 1, "error: FileMissing"),
        (["--from", "."], 1, "error: FileUnreadable"),
    ],
    ids=[
        "a bad version",
        "a metric without value",
        "a metric in words",
        "features that are not there",
        "a scaler that is not there",
        "a quantile in words",
        "a task that there is not",
        "another task than the model's",
        "a network where PyTorch is not",
        "a model that is not there",
        "a folder as a model",
    ],
)
def test_package_refuses(words: list[str], code: int, said: str, model: Path, tmp_path: Path) -> None:
    result = run("package", "--from", model, "--model", "m", "--version", "1", "-o", tmp_path / "p", *words)

    assert (result.exit_code, said in result.output) == (code, True), result.output


def test_a_network_is_packaged_with_its_quantiles_and_scaler(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(networks.forecaster())
    (tmp_path / "scaler.json").write_text('{"mean": [1, 2], "std": [3, 4]}')
    result = run(
        "package", "--from", tmp_path / "m.onnx", "--model", "m", "--version", "1", "-o", tmp_path / "p",
        "--quantiles", "0.1, 0.5, 0.9", "--scaler", tmp_path / "scaler.json",
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    assert "m 1, onnx quantile, series float32 [?, ?, 2], sha256:" in result.stdout
    document = json.loads((tmp_path / "p" / "manifest.json").read_text())
    assert document["quantiles"] == [0.1, 0.5, 0.9]
    assert document["scaler"] == {"input": "series", "offset": [1.0, 2.0], "scale": [3.0, 4.0]}


def test_an_activation_is_said(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(networks.linear())

    result = run(
        "package",
        "--from",
        tmp_path / "m.onnx",
        "--model",
        "m",
        "--version",
        "1",
        "-o",
        tmp_path / "p",
        "--labels",
        "a,b",
    )

    assert "note: output 'y' holds no probabilities: softmax makes them of it" in result.stderr


def test_the_summary_sets_the_forms_side_by_side(tmp_path: Path) -> None:
    document = packages.make_package(tmp_path / "p").manifest
    forms = (
        document.forms[0].model_copy(update={"microseconds": {1: 180.4, 1024: 2112.8}}),
        document.forms[1].model_copy(update={"microseconds": {1: 14.2, 1024: 6206.3}, "difference": 1.2e-7}),
    )
    plan = (manifest.Step(rows=128, form="onnx"), manifest.Step(form="native"))
    screen = console.Console(width=120)

    with screen.capture() as shown:
        screen.print(summary.make_table(document.model_copy(update={"forms": forms, "plan": plan})))

    assert [line.split() for line in shown.get().splitlines()] == [
        ["form", "file", "difference", "µs", "for", "1", "µs", "for", "1024", "computes"],
        ["native", "model.ubj", "none", "180", "2,113", "from", "129", "rows"],
        ["onnx", "form.onnx", "1.2e-07", "14", "6,206", "1", "to", "128", "rows"],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [("[1]", "expected an object with offset and scale, got list"), ("{", "not JSON")],
    ids=["a list", "broken JSON"],
)
def test_a_scaler_that_is_none_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "scaler.json").write_text(text)

    with pytest.raises(errors.PackageError, match="InvalidScaler") as caught:
        options.read_scaler(tmp_path / "scaler.json")

    assert said in caught.value.message
