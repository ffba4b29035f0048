"""The families' images, built as a user would: what is in them, how large they are, and that they are verified."""

from collections.abc import Iterator

import pytest

from serin_local import cluster
from serin_services.image import builds, engines, layouts, verification
from support import family_images
from support.family_images import Built

# Inside the image: every check, the library, a prediction; and nothing that only a builder needs.
CHECK = """
import os, shutil
from serin_services.package import folder
from serin_services.server import settings
import numpy

package = folder.read(settings.read().package)
rows = numpy.ones((2, package.manifest.inputs[0].shape[-1]), dtype=package.manifest.inputs[0].dtype)
print(folder.open_package(package).predict(rows)[0].shape, os.getuid(), shutil.which("uv"), shutil.which("gcc"))
"""
# In bytes: what the tree families' runtime adds to Python's, and a version to its model.
RUNTIME_LIMIT = 350_000_000
VERSION_LIMIT = 64 * 1024


@pytest.fixture(scope="module", params=family_images.MAKERS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build a version of each family on the base image, which is there once the local cluster is prepared."""
    cluster.Cluster().prepare()
    return family_images.build(str(request.param), tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def layout(built: Built) -> Iterator[layouts.Layout]:
    """Read the image out of the builder's store once, which writes hundreds of megabytes."""
    with layouts.open_image(built.image.name, "buildah") as layout:
        yield layout


def test_a_version_opens_and_predicts_inside_its_image(built: Built) -> None:
    said = engines.Engine("buildah").run_python(built.image.name, CHECK)

    assert said.startswith("(2, ")
    assert said.endswith(") 65532 None None")


def test_the_same_package_gives_the_same_image(built: Built) -> None:
    again = builds.build(built.package, f"{built.image.name}-again", "buildah", print)

    assert (again.digest, again.bill) == (built.image.digest, built.image.bill)


def test_the_image_is_as_small_as_promised(built: Built, layout: layouts.Layout) -> None:
    _base, *runtime, version = [layer.size for layer in layout.read_manifest(layout.digest).layers]
    model = sum(file.size for file in built.package.manifest.files if file.role in {"artifact", "form"})

    assert sum(runtime) <= RUNTIME_LIMIT
    assert version <= model + VERSION_LIMIT


def test_the_image_is_verified_as_it_was_built(built: Built, layout: layouts.Layout) -> None:
    report = verification.verify(layout, None, None)

    assert [finding for finding in report.findings if not finding.ok] == []
    assert report.digest == built.image.digest
