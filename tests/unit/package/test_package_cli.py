"""The command `serin package`."""

import json
from pathlib import Path

import pytest
import typer
import typer.testing

from serin_services.package import cli
from support import packages

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
    ],
    ids=["a bad version", "a metric without value", "a metric in words", "features that are not there"],
)
def test_package_refuses(words: list[str], code: int, said: str, model: Path, tmp_path: Path) -> None:
    result = run("package", "--from", model, "--model", "m", "--version", "1", "-o", tmp_path / "p", *words)

    assert (result.exit_code, said in result.output) == (code, True), result.output
