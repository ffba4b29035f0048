"""The commands `serin package` and `serin build`, with engines that only write down what they are asked."""

import json
import stat
from pathlib import Path

import pytest
import typer
import typer.testing

from serin_services.package import cli, images
from support import packages

app = typer.Typer()
app.command("package")(cli.package)
app.command("build")(cli.build)

# Answers as buildah does, knows the images named in $IMAGES, and appends its arguments to $CALLS.
FAKE_ENGINE = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$1" in
inspect)
  if [ "$4" = "--format" ]; then echo sha256:abc; exit 0; fi
  for image in $IMAGES; do [ "$image" = "$4" ] && exit 0; done
  exit 1 ;;
bud) [ -z "$BROKEN" ] || { echo "no space left"; exit 125; } ;;
esac
"""


def run(*words: object) -> typer.testing.Result:
    return typer.testing.CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.ubj"
    path.write_bytes(packages.xgboost_model())
    return path


@pytest.fixture
def package(tmp_path: Path) -> Path:
    packages.make_package(tmp_path / "package")
    return tmp_path / "package"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "buildah").write_text(FAKE_ENGINE)
    (binaries / "buildah").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{binaries}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("IMAGES", images.BASE)
    return tmp_path / "calls"


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


def test_build_makes_the_runtime_once_and_a_thin_version(
    package: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("build", package, "-o", "json")
    answer = json.loads(first.stdout)
    monkeypatch.setenv("IMAGES", f"{images.BASE} {answer['runtime']}")
    calls.unlink()
    second = run("build", package, "-t", "registry.example/m:1")

    assert answer["image"] == "momentum:1.2.0"
    assert answer["digest"] == "sha256:abc"
    assert answer["runtime"].startswith("localhost/serin-runtime-xgboost:")
    assert "once for the family xgboost" in first.stderr
    assert second.stdout == "registry.example/m:1 sha256:abc\n"
    builds = [line for line in calls.read_text().splitlines() if line.startswith("bud ")]
    assert len(builds) == 1
    assert "--label dev.serin.version=1.2.0" in builds[0]
    assert "--pull-never" in builds[0]


FAILURES = {
    "no base image": ({"IMAGES": "", "BROKEN": ""}, [], "error: NoBaseImage", "serin local up"),
    "a broken build": ({"BROKEN": "1"}, [], "error: BuildFailed", "no space left"),
    "no docker": ({}, ["--engine", "docker"], "error: NoEngine", "--engine auto"),
    "an unknown engine": ({}, ["--engine", "kaniko"], "error: UnknownEngine", "buildah or docker"),
}


@pytest.mark.parametrize(("environment", "words", "reason", "said"), FAILURES.values(), ids=FAILURES)
@pytest.mark.usefixtures("calls")
def test_build_fails_with_a_sentence(
    environment: dict[str, str],
    words: list[str],
    reason: str,
    said: str,
    package: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if "docker" in words:
        monkeypatch.setattr(images.shutil, "which", lambda _program: None)

    result = run("build", package, *words)

    assert result.exit_code == 1
    assert reason in result.stderr
    assert said in result.stderr


def test_build_refuses_a_corrupt_package(package: Path, calls: Path) -> None:
    (package / "model.ubj").write_bytes(b"{L")

    result = run("build", package)

    assert result.exit_code == 1
    assert "error: WrongDigest" in result.stderr
    assert not calls.exists()


def test_the_runtime_is_keyed_by_what_goes_into_it(tmp_path: Path) -> None:
    keys = []
    for name, change in {"one": "", "same": "", "other": "# changed"}.items():
        images.stage(images.source_root(), images.RUNTIME_SOURCES, tmp_path / name)
        with (tmp_path / name / "services/serin_services/server/main.py").open("a") as file:
            file.write(change)
        keys.append(images.content_key(tmp_path / name))

    assert keys[0] == keys[1] != keys[2]
