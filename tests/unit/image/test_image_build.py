"""The command `serin build`, with engines that only write down what they are asked."""

import json
import shutil
import stat
from pathlib import Path

import pytest
import typer
import typer.testing

from serin_services.image import builds, cli, engines
from serin_services.package import folder

app = typer.Typer(callback=lambda: None)
app.command("build")(cli.build)

# Answers as buildah does, knows the images named in $IMAGES, appends its arguments to $CALLS, and runs nothing.
FAKE_ENGINE = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$1" in
inspect)
  if [ "$4" = "--format" ]; then echo sha256:abc; exit 0; fi
  for image in $IMAGES; do [ "$image" = "$4" ] && exit 0; done
  exit 1 ;;
from) echo working-container ;;
run) echo '{"python": "3.11.2", "distribution": "debian", "packages": [["numpy", "2.4.6", ""]], "system": []}' ;;
bud) [ -z "$BROKEN" ] || { echo "no space left"; exit 125; } ;;
esac
"""


def run(*words: object) -> typer.testing.Result:
    return typer.testing.CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def package(package: folder.Package, tmp_path: Path) -> Path:
    return Path(shutil.copytree(package.path, tmp_path / "package"))


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "buildah").write_text(FAKE_ENGINE)
    (binaries / "buildah").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{binaries}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("IMAGES", builds.BASE)
    return tmp_path / "calls"


def test_build_makes_the_runtime_once_and_a_thin_version(
    package: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("build", package, "-o", "json")
    assert first.exit_code == 0, first.output
    answer = json.loads(first.stdout)
    monkeypatch.setenv("IMAGES", f"{builds.BASE} {answer['runtime']}")
    calls.unlink()
    second = run("build", package, "-t", "registry.example/m:1", "--sbom", package.parent / "m.cdx.json")

    assert answer["image"] == "momentum:1.2.0"
    assert answer["digest"] == "sha256:abc"
    assert answer["runtime"].startswith("localhost/serin-runtime-xgboost:")
    assert "once for the family xgboost" in first.stderr
    assert second.stdout == "registry.example/m:1 sha256:abc\n"
    built = [line for line in calls.read_text().splitlines() if line.startswith("bud ")]
    assert len(built) == 1
    assert "--label dev.serin.version=1.2.0" in built[0]
    assert "--pull-never" in built[0]
    assert '"purl":"pkg:pypi/numpy@2.4.6"' in (package.parent / "m.cdx.json").read_text()


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
        monkeypatch.setattr(engines.shutil, "which", lambda _program: None)

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


def test_a_wheel_builds_from_what_it_carries_and_has_installed(tmp_path: Path) -> None:
    carried = tmp_path / "image_source"
    tree = [path for path in builds.RUNTIME_SOURCES if path.partition("/")[0] not in builds.PACKAGES]
    for path in tree:
        (carried / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(builds.source_root() / path, carried / path)
    for root, context in ((carried, tmp_path / "wheel"), (builds.source_root(), tmp_path / "tree")):
        builds.stage(root, builds.RUNTIME_SOURCES, context)

    assert builds.content_key(tmp_path / "wheel") == builds.content_key(tmp_path / "tree")


def test_the_runtime_is_keyed_by_what_goes_into_it(tmp_path: Path) -> None:
    keys = []
    for name, change in {"one": "", "same": "", "other": "# changed"}.items():
        builds.stage(builds.source_root(), builds.RUNTIME_SOURCES, tmp_path / name)
        with (tmp_path / name / "services/serin_services/server/main.py").open("a") as file:
            file.write(change)
        keys.append(builds.content_key(tmp_path / name))

    assert keys[0] == keys[1] != keys[2]
