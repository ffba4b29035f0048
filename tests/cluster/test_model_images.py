"""The families' images, built as a user would: what is in them, how large they are, and that they need next to nothing."""

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from serin.render import children
from serin_services.image import builds, engines, layouts, verification
from serin_services.package import folder
from support import packages
from support import world as worlds

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
# Takes every shell out of an image, without one.
SHELL_LESS = """\
FROM {image}
USER 0:0
RUN ["/opt/venv/bin/python", "-c", "import os; [os.remove(f'/usr/bin/{{name}}') for name in ('sh', 'dash', 'bash', 'rbash')]"]
USER 65532:65532
"""
DATATYPES = {"float32": "FP32", "float64": "FP64"}
# In bytes: what the tree families' runtime adds to Python's, and a version to its model.
RUNTIME_LIMIT = 350_000_000
VERSION_LIMIT = 64 * 1024


def make_network() -> bytes:
    """Make a layer from four inputs to three outputs."""
    weights = numpy_helper.from_array(np.ones((4, 3), dtype=np.float32), "weights")
    taken = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", 4])
    given = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "weights"], ["scores"])], "network", [taken], [given], [weights]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


MAKERS: dict[str, Callable[[], bytes]] = {
    "xgboost": packages.xgboost_model,
    "lightgbm": packages.lightgbm_model,
    "onnx": make_network,
}


@dataclass(frozen=True)
class Built:
    """A package and its image."""

    package: folder.Package
    image: builds.Image

    def read_sizes(self) -> list[int]:
        """Give the bytes of each layer, unpacked, the lowest first."""
        with layouts.open_image(self.image.name, "buildah") as layout:
            return [layer.size for layer in layout.read_manifest(layout.digest).layers]


@pytest.fixture(scope="module", params=MAKERS)
def built(request: pytest.FixtureRequest, world: worlds.World, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build a version of each family."""
    assert world.images
    family, root = str(request.param), tmp_path_factory.mktemp("images")
    given = {} if family != "onnx" else {"features": None, "labels": None}
    packages.make_package(root / family, MAKERS[family](), model=f"test-{family}", **given)
    package = folder.read(root / family)
    return Built(package, builds.build(package, f"test-{family}:1.2.0", "buildah", print))


def test_a_version_opens_and_predicts_inside_its_image(built: Built) -> None:
    said = engines.Engine("buildah").run_python(built.image.name, CHECK)

    assert said.startswith("(2, ")
    assert said.endswith(") 65532 None None")


def test_the_same_package_gives_the_same_image(built: Built) -> None:
    again = builds.build(built.package, f"{built.image.name}-again", "buildah", print)

    assert (again.digest, again.bill) == (built.image.digest, built.image.bill)


def test_the_image_is_as_small_as_promised(built: Built) -> None:
    _base, *runtime, version = built.read_sizes()
    model = sum(file.size for file in built.package.manifest.files if file.role in {"artifact", "form"})

    assert sum(runtime) <= RUNTIME_LIMIT
    assert version <= model + VERSION_LIMIT


def test_the_image_is_verified_as_it_was_built(built: Built) -> None:
    with layouts.open_image(built.image.name, "buildah") as layout:
        report = verification.verify(layout, None, None)

    assert [finding for finding in report.findings if not finding.ok] == []
    assert report.digest == built.image.digest


def test_a_pod_under_the_restricted_profile_serves_without_a_shell(
    built: Built, world: worlds.World, tmp_path: Path
) -> None:
    (tmp_path / builds.DOCKERFILE).write_text(SHELL_LESS.format(image=f"localhost/{built.image.name}"))
    name = f"{built.image.name}-shell-less"
    engines.Engine("buildah").build(tmp_path, ["-t", name])
    published = world.where.publish(name)

    # Its namespace enforces the profile; the pod is the operator's own: read-only root, no capability, not root.
    with world.namespace() as namespace:
        metadata = {"name": "server", "namespace": namespace}
        spec = children.make_pod_spec(published)
        world.apply("Pod", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        pod = world.wait("the pod to be ready", lambda: world.get("Pod", namespace, "server"), is_ready, 60)
        status, answer = infer(pod["status"]["podIP"], built.package)

    assert status == 200, answer
    assert answer["model_version"] == "1.2.0"
    assert answer["outputs"]


def is_ready(pod: worlds.Object | None) -> bool:
    """Whether the pod's container is."""
    return any(
        c["type"] == "Ready" and c["status"] == "True" for c in ((pod or {}).get("status") or {}).get("conditions", [])
    )


def infer(address: str, package: folder.Package) -> tuple[int, worlds.Object]:
    """Ask for one row of ones by the Open Inference Protocol."""
    tensor = package.manifest.inputs[0]
    width = tensor.shape[-1]
    given = {"name": tensor.name, "shape": [1, width], "datatype": DATATYPES[tensor.dtype], "data": [1.0] * width}
    connection = http.client.HTTPConnection(address, 8080, timeout=10)
    try:
        path = f"/v2/models/{package.manifest.model}/infer"
        connection.request("POST", path, json.dumps({"inputs": [given]}), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, dict(json.loads(response.read()))
    finally:
        connection.close()
