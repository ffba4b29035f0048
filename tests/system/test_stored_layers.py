"""An image is taken out of buildah's store as `buildah push` would write it, without the layers that somebody has."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from serin_local import cluster, errors, layers, layout, plan
from serin_services.image import engines

NAME = "test-layers:1"


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an image of two layers on the base, and have buildah write all of it."""
    cluster.Cluster().prepare()
    context, target = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("pushed") / "image"
    (context / "first").write_text("first")
    (context / "second").write_bytes(bytes(range(256)) * 1000)
    (context / "Dockerfile").write_text(f"FROM {plan.BASE_IMAGE}\nCOPY first /first\nCOPY second /second\n")
    engines.Engine("buildah").build(context, ["-t", NAME, "--layers"])
    argv = ["buildah", "push", "-q", "--disable-compression", f"localhost/{NAME}", f"dir:{target}"]
    subprocess.run(argv, check=True)
    return target


def read_layers(folder: Path) -> list[str]:
    return [layer["digest"] for layer in json.loads((folder / "manifest.json").read_bytes())["layers"]]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_only_layers_that_are_wanted_are_written_and_each_is_what_its_digest_says(
    pushed: Path, tmp_path: Path, count: int
) -> None:
    there = read_layers(pushed)[:count]

    layers.export(layout.default(), f"localhost/{NAME}", tmp_path / "image", there)

    written = {file.name: file.read_bytes() for file in (tmp_path / "image").iterdir()}
    manifest = written.pop("manifest.json")
    config = json.loads(manifest)["config"]["digest"]
    assert manifest == (pushed / "manifest.json").read_bytes()
    assert {f"sha256:{name}" for name in written} == {config, *read_layers(pushed)} - set(there)
    assert all(hashlib.sha256(content).hexdigest() == name for name, content in written.items())


def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ClusterError, match="localhost/nobody:1"):
        layers.export(layout.default(), "localhost/nobody:1", tmp_path / "image", [])
