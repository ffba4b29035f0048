"""Images of a version of each family, built as a user would."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from serin_services.image import builds
from serin_services.package import folder
from support import packages


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


def build(family: str, root: Path, name: str = "") -> Built:
    """Build the image of a version of a family; without a name of its own it is the family's."""
    given = {} if family != "onnx" else {"features": None, "labels": None}
    packages.make_package(root / family, MAKERS[family](), model=f"test-{family}", **given)
    package = folder.read(root / family)
    return Built(package, builds.build(package, name or f"test-{family}:1.2.0", "buildah", print))
