"""Which form computes a call, and when it is loaded."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from serin_services.package import errors, families, folder, forms, manifest, measuring
from support import packages


class Named:
    """A predictor that answers with its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def predict(self, *_inputs: object) -> tuple[str, ...]:
        return (self.name,)


def test_a_plan_is_followed_by_the_number_of_rows() -> None:
    planned = forms.Planned([(4, Named("a")), (64, Named("b")), (None, Named("c"))])

    chosen = [planned.predict(np.zeros((rows, 2)))[0] for rows in (1, 4, 5, 64, 65, 10_000)]

    assert chosen == ["a", "a", "b", "b", "c", "c"]


def test_a_late_form_is_loaded_once_beside_the_calls() -> None:
    opened: list[Named] = []

    def opener() -> Named:
        opened.append(Named("late"))
        return opened[0]

    late = forms.Late(Named("first"), opener)
    first = late.predict()
    late.loading.join()

    assert first in {("first",), ("late",)}
    assert [late.predict() for _ in range(3)] == [("late",)] * 3
    assert len(opened) == 1


def test_a_late_form_that_cannot_be_loaded_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    def opener() -> families.Predictor:
        raise errors.PackageError("LibraryMissing", "no libgomp.so.1")

    late = forms.Late(Named("first"), opener)
    with caplog.at_level(logging.WARNING):
        late.predict()
        late.loading.join()

    assert late.predict() == ("first",)
    assert "no libgomp.so.1" in caplog.text


def plan(path: Path, *steps: dict[str, object]) -> folder.Package:
    document = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(document | {"plan": steps}))
    return folder.read(path)


@pytest.mark.parametrize("artifact", [packages.xgboost_model(), packages.lightgbm_model()], ids=["XGBoost", "LightGBM"])
def test_both_forms_of_a_package_say_the_same(artifact: bytes, tmp_path: Path) -> None:
    packages.make_package(tmp_path / "p", artifact)
    scores = []
    for steps in ([{"form": "onnx"}], [{"form": "native"}], [{"rows": 2, "form": "onnx"}, {"form": "native"}]):
        read = plan(tmp_path / "p", *steps)
        predictor = folder.open_package(read)
        scores.append(predictor.predict(packages.ROWS.astype(read.manifest.inputs[0].dtype))[0])
        assert scores[-1].dtype == read.manifest.outputs[0].dtype

    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert scores[0] == pytest.approx(scores[2], abs=1e-6)


def test_the_native_library_is_not_imported_before_a_call_needs_it(tmp_path: Path) -> None:
    packages.make_package(tmp_path / "p")
    plan(tmp_path / "p", {"rows": 8, "form": "onnx"}, {"form": "native"})
    program = (
        "import sys; from pathlib import Path; from serin_services.package import folder; "
        f"folder.open_package(folder.read(Path({str(tmp_path / 'p')!r}))); "
        "print([name for name in ('onnxruntime', 'xgboost', 'onnx') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "['onnxruntime']"


def test_a_file_that_changed_since_the_start_is_not_loaded_late(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    packages.make_package(tmp_path / "p")
    predictor = folder.open_package(plan(tmp_path / "p", {"rows": 1, "form": "onnx"}, {"form": "native"}))
    (tmp_path / "p" / "model.ubj").write_bytes(b"{L changed")
    rows = packages.ROWS[:5].astype("float32")

    with caplog.at_level(logging.WARNING):
        before = predictor.predict(rows)[0]
        predictor._others[0][1].loading.join()

    assert predictor.predict(rows)[0] == pytest.approx(before)
    assert "WrongDigest" in caplog.text


MEASURED = {
    "the faster where the other is hardly better": ({1: 10, 2: 12, 4: 20}, {1: 30, 2: 30, 4: 19}, [(None, "onnx")]),
    "the other where it is better": ({1: 10, 2: 20, 4: 40}, {1: 30, 2: 18, 4: 31}, [(2, "onnx"), (None, "native")]),
    "the library alone": ({1: 30, 2: 30, 4: 30}, {1: 10, 2: 10, 4: 10}, [(None, "native")]),
    "and back": ({1: 10, 2: 90, 4: 90}, {1: 90, 2: 10, 4: 200}, [(1, "onnx"), (2, "native"), (None, "onnx")]),
}  # fmt: skip


@pytest.mark.parametrize(("onnx", "native", "expected"), MEASURED.values(), ids=MEASURED)
def test_the_plan_takes(onnx: dict[int, float], native: dict[int, float], expected: list[tuple[object, str]]) -> None:
    steps = measuring.plan({"native": native, "onnx": onnx})

    assert [(step.rows, step.form) for step in steps] == expected


def test_measuring_gives_other_rows_to_each_call_and_ends_with_the_rows_there_are() -> None:
    seen: list[float] = []

    class Busy:
        def predict(self, rows: np.ndarray) -> tuple[np.ndarray]:
            seen.append(float(rows[0, 0]))
            return (rows,)

    pool = np.arange(64.0).reshape(64, 1)
    effort = measuring.Effort(sizes=(1, 8, 256), seconds=0, least=4)
    measured = measuring.measure({"native": Busy()}, (pool,), effort)

    assert list(measured["native"]) == [1, 8]
    assert len(set(seen)) == len(seen)


def test_a_manifest_without_a_plan_is_its_artifact(tmp_path: Path) -> None:
    packages.make_package(tmp_path / "p")
    document = json.loads((tmp_path / "p" / "manifest.json").read_text())
    document["files"] = [file for file in document["files"] if file["role"] != "form"]
    (tmp_path / "p" / "form.onnx").unlink()
    (tmp_path / "p" / "manifest.json").write_text(json.dumps(document | {"plan": [], "forms": []}))

    predictor = folder.open_package(folder.read(tmp_path / "p"))

    assert type(predictor).__module__ == "serin_services.package.families.xgboost"
    assert manifest.Manifest.model_validate(document | {"plan": [], "forms": []}).routes == ((None, "model.ubj"),)
