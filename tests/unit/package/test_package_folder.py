"""Packages that were changed after they were made, in every way that comes to mind."""

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serin_services.package import errors, families, folder
from support import packages


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "original"
    packages.make_package(path)
    return path


@pytest.fixture
def package(original: Path, tmp_path: Path) -> Path:
    path = tmp_path / "package"
    path.mkdir()
    for file in original.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    return path


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        document = json.loads((path / "manifest.json").read_text())
        change(document)
        (path / "manifest.json").write_text(json.dumps(document))

    return apply


def replace_artifact(content: bytes) -> Callable[[Path], None]:
    """Put another artifact there, with a manifest that vouches for it."""

    def apply(path: Path) -> None:
        (path / "model.ubj").write_bytes(content)
        digest = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        edit(lambda document: document["files"][0].update(digest))(path)

    return apply


def native_first(apply: Callable[[Path], None]) -> Callable[[Path], None]:
    """Have the model opened by its own library, whatever its measurement says."""

    def both(path: Path) -> None:
        apply(path)
        edit(lambda document: document.update(plan=[{"form": "native"}]))(path)

    return both


def replace_form(content: bytes) -> Callable[[Path], None]:
    """Put another form there, with a manifest that vouches for it and begins with it."""

    def apply(path: Path) -> None:
        (path / "form.onnx").write_bytes(content)
        digest = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        edit(lambda d: (d["files"][1].update(digest), d.update(plan=[{"form": "onnx"}])))(path)

    return apply


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("exploded",))


CORRUPTIONS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "one byte more": (
        lambda p: (p / "model.ubj").write_bytes((p / "model.ubj").read_bytes() + b"x"),
        "WrongDigest",
        "model.ubj: expected",
    ),
    "one byte less": (
        lambda p: (p / "model.ubj").write_bytes((p / "model.ubj").read_bytes()[:-1]),
        "WrongDigest",
        "make the package or the image again",
    ),
    "another byte": (
        lambda p: (p / "model.ubj").write_bytes(b"\0" + (p / "model.ubj").read_bytes()[1:]),
        "WrongDigest",
        "with sha256",
    ),
    "a changed project file": (
        lambda p: (p / "bentofile.yaml").write_text("service: evil"),
        "WrongDigest",
        "bentofile.yaml",
    ),
    "no artifact": (lambda p: (p / "model.ubj").unlink(), "FileMissing", "model.ubj"),
    "no manifest": (lambda p: (p / "manifest.json").unlink(), "FileMissing", "manifest.json"),
    "no folder": (lambda p: p.rename(p.with_name("gone")), "PackageMissing", "serin package"),
    "a file that is not listed": (lambda p: (p / "extra.pkl").write_bytes(b"x"), "UnexpectedFile", "'extra.pkl'"),
    "a file in a subfolder": (
        lambda p: ((p / "deep").mkdir(), (p / "deep" / "extra").touch()),
        "UnexpectedFile",
        "'deep/extra'",
    ),
    "very many files": (lambda p: [(p / f"f{n}").touch() for n in range(80)], "UnexpectedFile", "more than 64 files"),
    "a symbolic link": (lambda p: (p / "link").symlink_to("/etc/passwd"), "UnsafeFile", "'link' is a symbolic link"),
    "the artifact as a symbolic link": (
        lambda p: ((p / "model.ubj").rename(p.with_name("away")), (p / "model.ubj").symlink_to(p.with_name("away"))),
        "UnsafeFile",
        "symbolic link",
    ),
    "a pipe": (lambda p: os.mkfifo(p / "pipe"), "UnsafeFile", "a special file"),
    "a manifest that is not JSON": (lambda p: (p / "manifest.json").write_text("{"), "ManifestInvalid", "not JSON"),
    "a manifest nested without end": (
        lambda p: (p / "manifest.json").write_text("[" * 100_000),
        "ManifestInvalid",
        "not JSON",
    ),
    "a manifest that is not UTF-8": (
        lambda p: (p / "manifest.json").write_bytes(b"\xff\xfe"),
        "ManifestInvalid",
        "manifest",
    ),
    "a manifest too large": (
        lambda p: (p / "manifest.json").write_bytes(b" " * (8 * 1024 * 1024 + 1)),
        "TooLarge",
        "expected at most",
    ),
    "a project file too large": (
        lambda p: (p / "bentofile.yaml").write_bytes(b" " * 70_000),
        "TooLarge",
        "bentofile.yaml",
    ),
    "a manifest of another schema": (edit(lambda d: d.update(schema="v0")), "ManifestInvalid", "schema"),
    "a path out of the folder": (
        edit(lambda d: d["files"][0].update(path="../x")),
        "ManifestInvalid",
        "inside the package",
    ),
    "a pickle as artifact": (replace_artifact(pickle.dumps(Bomb())), "WrongFormat", "a pickle"),
    "an old pickle as artifact": (replace_artifact(pickle.dumps([1], protocol=0)), "WrongFormat", "a pickle"),
    "an archive as artifact": (replace_artifact(b"PK\x03\x04zip"), "WrongFormat", "an archive"),
    "an empty artifact": (replace_artifact(b""), "WrongFormat", "an empty file"),
    "another family's artifact": (replace_artifact(packages.lightgbm_model()), "WrongFormat", "expected XGBoost"),
    "a broken model": (
        native_first(replace_artifact(packages.xgboost_model()[:200])),
        "ModelInvalid",
        "xgboost cannot open it",
    ),
    "another model": (
        native_first(replace_artifact(packages.xgboost_model(names=("age", "income", "visits", "rate")))),
        "FeatureSchemaMismatch",
        "inputs[2] is 'rate', but the model calls it 'visits' (2 names differ)",
    ),
    "another model than the form was made of": (
        lambda p: (
            replace_artifact(packages.xgboost_model("multi:softprob"))(p),
            edit(lambda d: d.update(plan=[{"form": "onnx"}]))(p),
        ),
        "FeatureSchemaMismatch",
        "the ONNX form was made of another artifact",
    ),
    "a changed form": (lambda p: (p / "form.onnx").write_bytes(b"\x08\x08\x12"), "WrongDigest", "form.onnx"),
    "no form": (lambda p: (p / "form.onnx").unlink(), "FileMissing", "the form file is missing"),
    "a pickle as form": (replace_form(pickle.dumps(Bomb())), "WrongFormat", "a pickle"),
    "a broken form": (replace_form(b"\x08\x08\x12\x05serin\x3a\x00"), "ModelInvalid", "onnxruntime cannot open it"),
    "a plan with a form that there is not": (
        edit(lambda d: d.update(forms=d["forms"][:1], files=[d["files"][0], d["files"][2]], plan=[{"form": "onnx"}])),
        "ManifestInvalid",
        "expected forms of ['native'], got 'onnx'",
    ),
    "a feature less": (
        edit(lambda d: d["inputs"][0].update(shape=[-1, 3], features=d["inputs"][0]["features"][:3])),
        "FeatureSchemaMismatch",
        "has 3 features, but the model takes 4",
    ),
    "another task": (
        edit(lambda d: d.update(task="regression", classes=[])),
        "FeatureSchemaMismatch",
        "task is regression, but the model is for binary",
    ),
    "labels for other classes": (
        edit(lambda d: d.update(task="multiclass")),
        "FeatureSchemaMismatch",
        "task is multiclass, but the model is for binary",
    ),
    "a model of three classes": (
        native_first(replace_artifact(packages.xgboost_model("multi:softprob"))),
        "FeatureSchemaMismatch",
        "the model is for multiclass",
    ),
}


@pytest.mark.parametrize(("corrupt", "reason", "said"), CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_it_refuses(corrupt: Callable[[Path], object], reason: str, said: str, package: Path) -> None:
    corrupt(package)

    with pytest.raises(errors.PackageError) as caught:
        folder.open_package(folder.read(package))

    assert (caught.value.reason, said in caught.value.message) == (reason, True), str(caught.value)
    assert not Path("exploded").exists()


def test_no_parser_reads_an_artifact_with_a_wrong_digest(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(families, "open_model", lambda *arguments: opened.append(arguments))
    (package / "model.ubj").write_bytes(b"{L" + b"\0" * 100)

    with pytest.raises(errors.PackageError, match="WrongDigest"):
        folder.open_package(folder.read(package))

    assert opened == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_found(package: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(["model.ubj", "bentofile.yaml"]))
    content = bytearray((package / file).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    changed = bytes([content[place] ^ data.draw(st.integers(1, 255))])
    (package / file).write_bytes(content[:place] + changed + content[place + 1 :])

    try:
        with pytest.raises(errors.PackageError, match="WrongDigest"):
            folder.read(package)
    finally:
        (package / file).write_bytes(content)


def test_a_good_package_predicts(package: Path) -> None:
    read = folder.read(package)

    (scores,) = folder.open_package(read).predict(packages.ROWS[:3].astype("float32"))

    assert scores.shape == (3, 2)
    assert scores.sum(axis=1) == pytest.approx([1, 1, 1])
    assert read.digest == hashlib.sha256((package / "manifest.json").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "problem",
    [ModuleNotFoundError("No module named 'xgboost'"), OSError("libgomp.so.1: cannot open shared object file")],
    ids=["not installed", "installed without what it needs"],
)
def test_a_missing_library_is_named(problem: Exception, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise problem

    monkeypatch.setattr(families.importlib, "import_module", missing)

    with pytest.raises(errors.PackageError, match=rf"LibraryMissing: .*{problem}.*install serin\[xgboost\]"):
        folder.open_package(folder.read(package))
