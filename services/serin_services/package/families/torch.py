"""PyTorch without ONNX: weights as safetensors, put into an architecture that this package knows by name.

For networks that cannot be exported. A checkpoint of PyTorch's own is a pickle and is never opened.
"""

import json
import struct
from types import ModuleType
from typing import Any

from serin_services.package import errors, manifest
from serin_services.package.families import base

# The safetensors format begins with the length of its header, in 8 bytes, and the header, in JSON.
PREFIX = struct.Struct("<Q")
MAX_HEADER_BYTES = 1024 * 1024
# The key of the header's metadata under which the architecture stands.
ARCHITECTURE = "serin.architecture"


def recognise(head: bytes) -> bool:
    """Recognise safetensors by its header."""
    if len(head) < PREFIX.size + 1:
        return False
    (length,) = PREFIX.unpack_from(head)
    return 2 <= length <= MAX_HEADER_BYTES and head[PREFIX.size :].lstrip()[:1] == b"{"


def read_architecture(artifact: bytes) -> dict[str, Any]:
    """Read the architecture's name and sizes from the header.

    Raises:
        errors.PackageError: the header has none.
    """
    (length,) = PREFIX.unpack_from(artifact)
    try:
        header = json.loads(artifact[PREFIX.size : PREFIX.size + length])
        described = json.loads(header["__metadata__"][ARCHITECTURE])
    except (ValueError, KeyError, TypeError, RecursionError):
        described = None
    if not isinstance(described, dict):
        raise errors.PackageError(
            "UnknownArchitecture",
            f"the weights do not say which architecture they are for: expected {ARCHITECTURE!r} in the header's "
            "metadata, found none; save them with serin_services.package.architectures.save()",
        )
    return described


def open_model(library: ModuleType, artifact: bytes) -> base.OpenModel:
    """Put the weights into their architecture."""
    from serin_services.package import architectures  # noqa: PLC0415 - imports torch

    network = architectures.load(read_architecture(artifact), artifact)
    library.set_num_threads(1)
    sizes = network.sizes
    axes = (manifest.ANY, sizes.features) if sizes.kind == "mlp" else (manifest.ANY, manifest.ANY, sizes.features)
    found = base.Inspection(
        (manifest.Tensor(name="values", dtype="float32", shape=axes),),
        (manifest.Tensor(name="output", dtype="float32", shape=(manifest.ANY, *sizes.outputs)),),
    )
    return base.OpenModel(found, lambda _names: Native(library, network))


class Native:
    """Predicts with PyTorch, on the caller's thread."""

    def __init__(self, library: ModuleType, network: Any) -> None:  # noqa: ANN401 - the library is not followed
        self._torch = library
        self._network = network

    def predict(self, *inputs: base.Array) -> tuple[base.Array, ...]:
        """Compute the output."""
        with self._torch.inference_mode():
            # A copy, because a request's array may be read-only, which PyTorch warns of.
            return (self._network(self._torch.tensor(inputs[0])).numpy(),)


FAMILY = base.Family("torch", "torch", (".safetensors",), "safetensors", recognise, open_model)
