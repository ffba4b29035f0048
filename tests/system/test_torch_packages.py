"""PyTorch networks: packaged where PyTorch is, and served where it is not. It needs 5 GB of PyTorch."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serin_services.package import errors, folder
from support import torch_environment

EXPORTED = ("classifier", "recurrent", "patched", "several")
NATIVE = ("gru", "transformer", "mlp")


@pytest.fixture(scope="session")
def python() -> Path:
    return torch_environment.ensure()


@pytest.fixture(scope="session")
def made(python: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    target = tmp_path_factory.mktemp("torch")
    program = [str(python), "-m", "support.torch_networks", str(target)]
    done = subprocess.run(
        program, env=torch_environment.make_environment(), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return target, json.loads(done.stdout.splitlines()[-1])


def load(path: Path) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    arrays = dict(np.load(path))
    inputs = [array for name, array in arrays.items() if name.startswith("in.")]
    return inputs, {name: array for name, array in arrays.items() if not name.startswith("in.")}


@pytest.mark.parametrize("name", EXPORTED)
def test_an_exported_network_answers_as_the_original_without_pytorch(name: str, made: Any) -> None:
    target, said = made
    assert said[name] == ""
    package = folder.read(target / name)
    inputs, expected = load(target / f"{name}.npz")

    outputs = folder.open_package(package).predict(*inputs)

    document = package.manifest
    assert (document.family, document.lineage["exported from"]) == ("onnx", f"support.torch_networks:{name}")
    assert document.lineage["torch"].startswith("2.")
    assert 0 < document.forms[0].difference < 1e-4
    if name == "classifier":
        (logit,) = expected.values()
        expected = {"output": np.hstack([1 / (1 + np.exp(logit)), 1 / (1 + np.exp(-logit))])}
    for tensor, came in zip(document.outputs, outputs, strict=True):
        np.testing.assert_allclose(came, expected[tensor.name], atol=1e-6, rtol=1e-5)


DESCRIBED = {
    "classifier": ("binary", {"input": [-1, 5]}, {"output": [-1, 2]}),
    "recurrent": ("quantile", {"series": [-1, -1, 3]}, {"output": [-1, 4, 3]}),
    "patched": ("tensors", {"series": [-1, 32]}, {"output": [-1, 4]}),
    "several": ("tensors", {"numbers": [-1, 3], "category": [-1]}, {"value": [-1, 1], "logits": [-1, 2]}),
}


@pytest.mark.parametrize("name", EXPORTED)
def test_the_manifest_is_filled_from_the_network(name: str, made: Any) -> None:
    document = folder.read(made[0] / name).manifest

    came = (
        document.task,
        {tensor.name: list(tensor.shape) for tensor in document.inputs},
        {tensor.name: list(tensor.shape) for tensor in document.outputs},
    )
    assert came == DESCRIBED[name]


REFUSED = {
    "random": ("ExportDiffers", "more than 0.0001"),
    "branching": ("ExportFailed", "PyTorch cannot export it with a batch of any size"),
    "failing": ("SourceFailed", "ValueError: no weights here"),
    "a_number": ("SourceFailed", "expected a torch.nn.Module, or (module, example inputs), got int"),
    "without_examples": ("ExamplesMissing", "let the function give (module, examples)"),
    "missing": ("SourceFailed", "AttributeError"),
}


@pytest.mark.parametrize(("name", "expected"), REFUSED.items(), ids=REFUSED)
def test_a_network_that_cannot_be_exported_is_refused_with_the_reason(
    name: str, expected: tuple[str, str], made: Any
) -> None:
    reason, words = expected

    said = made[1][name]

    assert said.startswith(f"{reason}: support.torch_networks:{name}: ")
    assert words in said
    assert not (made[0] / name).exists()


@pytest.mark.parametrize("name", NATIVE)
def test_a_native_network_answers_as_it_was_saved(name: str, made: Any, python: Path) -> None:
    target, said = made
    assert said[name] == ""
    assert folder.read(target / name).manifest.family == "torch"
    program = (
        "import sys; from pathlib import Path; import numpy as np; from serin_services.package import folder; "
        f"predictor = folder.open_package(folder.read(Path({str(target / name)!r}))); "
        f"arrays = np.load({str(target / f'{name}.npz')!r}); "
        "given = [arrays[key] for key in arrays if key.startswith('in.')]; "
        "np.testing.assert_allclose(predictor.predict(*given)[0], arrays['output'], atol=1e-6)"
    )

    done = subprocess.run(
        [str(python), "-c", program],
        env=torch_environment.make_environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_a_native_network_without_pytorch_says_what_is_missing(made: Any) -> None:
    with pytest.raises(errors.PackageError, match=r"LibraryMissing: .*install serin\[torch\]"):
        folder.open_package(folder.read(made[0] / "gru"))


def test_weights_of_another_architecture_are_refused(made: Any, python: Path, tmp_path: Path) -> None:
    weights = (made[0] / "gru.safetensors").read_bytes()
    (tmp_path / "wrong.safetensors").write_bytes(weights.replace(b'\\"hidden\\":8', b'\\"hidden\\":9'))
    (tmp_path / "unknown.safetensors").write_bytes(weights.replace(b'\\"gru\\"', b'\\"xyz\\"'))
    program = (
        "from pathlib import Path; from support import torch_networks as t; "
        f"print([t.package(Path({str(tmp_path)!r}) / name, Path({str(tmp_path / 'p')!r})) "
        "for name in ('wrong.safetensors', 'unknown.safetensors')])"
    )

    done = subprocess.run(
        [str(python), "-c", program],
        env=torch_environment.make_environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.count("UnknownArchitecture") == 2, done.stdout
    assert "the weights are not of the architecture" in done.stdout
    assert "known are mlp, lstm, gru, transformer" in done.stdout
