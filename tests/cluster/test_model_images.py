"""Both families' images, built as a user would, open their package and predict inside the image itself."""

import subprocess
from pathlib import Path

import pytest

from serin_services.package import folder, images
from support import packages

# Inside the image: every check, the library, a prediction; and nothing that only a builder needs.
CHECK = """
import os, shutil
from serin_services.package import folder
from serin_services.server import settings
import numpy

package = folder.read(settings.read().package)
rows = numpy.ones((2, len(package.manifest.features)), dtype=package.manifest.inputs[0].dtype)
print(folder.open_package(package).predict(rows)[0].shape, os.getuid(), shutil.which("uv"), shutil.which("gcc"))
"""


@pytest.mark.parametrize(
    ("family", "artifact"),
    [("xgboost", packages.xgboost_model()), ("lightgbm", packages.lightgbm_model())],
    ids=["XGBoost", "LightGBM"],
)
@pytest.mark.usefixtures("world")
def test_a_version_opens_and_predicts_inside_its_image(family: str, artifact: bytes, tmp_path: Path) -> None:
    packages.make_package(tmp_path / family, artifact, model=f"test-{family}")
    image = images.build(folder.read(tmp_path / family), f"test-{family}:1.2.0", "buildah", print)

    container = run("from", "--pull-never", image.name)
    try:
        said = run("run", "--isolation", "chroot", container, "--", "/opt/venv/bin/python", "-c", CHECK)
    finally:
        run("rm", container)

    assert said == "(2, 2) 65532 None None"


def run(*words: str) -> str:
    ended = subprocess.run(["buildah", *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()
