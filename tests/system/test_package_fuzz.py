"""The loader on broken packages that their manifests vouch for: the answer is a PackageError, or a model.

SERIN_FUZZ=20000 tries as many of each kind; the default keeps the fast tests fast. What each input does is decided by
its number, so a failure can be run again.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serin_services.package import errors, folder, sandbox
from support import networks, packages

TRIES = int(os.environ.get("SERIN_FUZZ", "30"))
MODELS = {
    "XGBoost in UBJSON": (packages.xgboost_model(), "native"),
    "XGBoost in JSON": (packages.xgboost_model(raw="json"), "native"),
    "XGBoost as ONNX": (packages.xgboost_model(), "onnx"),
    "LightGBM": (packages.lightgbm_model(), "native"),
    "a network": (networks.forecaster(), "onnx"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    paths = {}
    for index, (name, (artifact, form)) in enumerate(MODELS.items()):
        paths[name] = tmp_path_factory.mktemp("fuzz") / f"p{index}"
        packages.make_package(paths[name], artifact, features=None, labels=None)
        document = json.loads((paths[name] / "manifest.json").read_text())
        (paths[name] / "manifest.json").write_text(json.dumps(document | {"plan": [{"form": form}]}))
    return paths


def mutate(content: bytes, chance: np.random.Generator) -> bytes:
    """Change, take out, double or put in some bytes."""
    made = bytearray(content)
    for _ in range(int(chance.integers(1, 6))):
        at = int(chance.integers(0, len(made)))
        span = int(chance.integers(1, 1 + min(64, len(made) - at)))
        match chance.integers(0, 5):
            case 0:
                made[at] = int(chance.integers(0, 256))
            case 1:
                del made[at : at + span]
            case 2:
                made[at:at] = made[at : at + span]
            case 3:
                made[at : at + span] = chance.bytes(span)
            case _:
                made[at:] = b""
        made = made or bytearray(b"\0")
    return bytes(made)


def vouch(path: Path, name: str, content: bytes) -> None:
    (path / name).write_bytes(content)
    document = json.loads((path / "manifest.json").read_text())
    (file,) = (file for file in document["files"] if file["path"] == name)
    file.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    (path / "manifest.json").write_text(json.dumps(document))


def open_it(path: Path) -> None:
    with contextlib.suppress(errors.PackageError):
        folder.open_package(folder.read(path))


@pytest.mark.parametrize("name", MODELS)
def test_a_broken_model_is_refused_or_opens(name: str, made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "LIMIT_SECONDS", 10)
    path = made[name]
    document = folder.read(path).manifest
    file = document.routes[0][1]
    original = (path / file).read_bytes()
    for number in range(TRIES):
        vouch(path, file, mutate(original, np.random.default_rng(number)))
        open_it(path)
    vouch(path, file, original)

    assert folder.open_package(folder.read(path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=TRIES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_manifest_of_anything_is_refused_or_opens(data: st.DataObject, made: dict[str, Path]) -> None:
    path = made["XGBoost as ONNX"]
    original = (path / "manifest.json").read_text()
    document = json.loads(original)
    change_somewhere(document, data)
    try:
        (path / "manifest.json").write_text(json.dumps(document))
        open_it(path)
    finally:
        (path / "manifest.json").write_text(original)


def change_somewhere(document: Any, data: st.DataObject) -> None:
    """Walk down to a value and put any JSON in its place."""
    while True:
        keys = list(document) if isinstance(document, dict) else range(len(document))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(document[key], dict | list) or not document[key] or data.draw(st.booleans()):
            document[key] = data.draw(JSON)
            return
        document = document[key]


@settings(max_examples=TRIES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_a_manifest_of_any_bytes_is_refused(content: bytes, made: dict[str, Path]) -> None:
    path = made["LightGBM"]
    original = (path / "manifest.json").read_bytes()
    try:
        (path / "manifest.json").write_bytes(content)
        with pytest.raises(errors.PackageError):
            folder.read(path)
    finally:
        (path / "manifest.json").write_bytes(original)
