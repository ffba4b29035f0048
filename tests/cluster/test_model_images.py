"""The families' images in the cluster: a pod needs next to nothing."""

import http.client
import json
from pathlib import Path

import pytest

from serin.render import children
from serin_services.image import builds, engines
from serin_services.package import folder
from support import family_images
from support import world as worlds

# Takes every shell out of an image, without one.
SHELL_LESS = """\
FROM {image}
USER 0:0
RUN ["/opt/venv/bin/python", "-c", "import os; [os.remove(f'/usr/bin/{{name}}') for name in ('sh', 'dash', 'bash', 'rbash')]"]
USER 65532:65532
"""
DATATYPES = {"float32": "FP32", "float64": "FP64"}


@pytest.mark.parametrize("family", family_images.MAKERS)
def test_a_pod_under_the_restricted_profile_serves_without_a_shell(
    family: str, world: worlds.World, tmp_path: Path
) -> None:
    built = family_images.build(family, tmp_path, f"test-{family}-pod:1.2.0")
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
