"""ONNX: computed by ONNX Runtime; a family of its own, and the form that tree models carry."""

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

from serin_services.package import errors, manifest
from serin_services.package.families import base

# A ModelProto begins with the version of its format, followed by any other of its fields.
IR_VERSION = b"\x08"
OTHER_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42\x72\xa2\xca"
# An entry of a tensor's external_data: the file that its values are in.
EXTERNAL = re.compile(rb"\x6a(?s:.){1,2}\x0a\x08location\x12(?P<path>[\x00-\x7f](?s:.){0,127})")
# What ONNX Runtime says of operators that it does not have.
LATER_OPSET = re.compile(r"Opset (\d+) is under development.*? for domain (\S+) is till opset (\d+)", re.DOTALL)
UNKNOWN_OPERATOR = re.compile(r"(\S+)\(-?\d+\) is not a registered function/op")
# Each of ONNX Runtime's words for a tensor's type, with numpy's.
TYPES: dict[str, manifest.TensorType] = {
    "tensor(bool)": "bool",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
}
ERRORS_ONLY = 3


def recognise(head: bytes) -> bool:
    """Recognise ONNX, which has no magic number, by the first two fields of its protocol buffer."""
    return len(head) > 2 and head[:1] == IR_VERSION and 1 <= head[1] < 64 and head[2] in OTHER_FIELDS


def open_session(library: ModuleType, artifact: bytes) -> Any:  # noqa: ANN401 - the library has no types
    """Open a model on one thread that does not spin, since a server grows by replicas and shares its core.

    Raises:
        errors.PackageError: the model's values are in other files, which no digest would cover, or it is made of
            operators that this version does not have.
    """
    if found := EXTERNAL.search(artifact):
        length, *path = found["path"]
        name = bytes(path[:length]).decode(errors="replace")
        raise errors.PackageError(
            "ExternalData",
            f"the model keeps values in another file, {name!r}; save it in one file, "
            "onnx.save_model(model, path, save_as_external_data=False), and package it again",
        )
    options = library.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = library.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps what the largest batch has ever needed.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = ERRORS_ONLY
    try:
        return library.InferenceSession(artifact, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:
        if unknown := find_unknown_operators(str(error), library.__version__):
            raise unknown from error
        raise


def find_run(session: Any) -> Callable[[list[str], dict[str, base.Array], None], list[base.Array]]:  # noqa: ANN401 - no types
    """Take the session's compiled `run`, without the Python around it that compares names: 1 µs of 14 for a row."""
    run: Callable[[list[str], dict[str, base.Array], None], list[base.Array]] = getattr(session, "_sess", session).run
    return run


def find_unknown_operators(said: str, version: str) -> errors.PackageError | None:
    """Put ONNX Runtime's words on operators that it does not have into what to do about them."""
    if later := LATER_OPSET.search(said):
        asked, domain, known = later.groups()
        return errors.PackageError(
            "UnknownOperators",
            f"the model is of opset {asked} of {domain}, and ONNX Runtime {version} knows them up to {known}: "
            f"export it again with opset_version={known}",
        )
    if unknown := UNKNOWN_OPERATOR.search(said):
        return errors.PackageError(
            "UnknownOperators",
            f"ONNX Runtime {version} has no operator {unknown.group(1)}; export the model with ONNX's own operators alone",
        )
    return None


def open_model(library: ModuleType, artifact: bytes) -> base.OpenModel:
    """Open a model and read names, types and shapes of its tensors."""
    session = open_session(library, artifact)
    inputs = tuple(describe_tensor(tensor, "input") for tensor in session.get_inputs())
    outputs = tuple(describe_tensor(tensor, "output") for tensor in session.get_outputs() if tensor.type in TYPES)
    if not inputs or not outputs:
        raise errors.PackageError(
            "UnsupportedModel", "the model has no inputs or no outputs that are tensors of numbers"
        )
    names = tuple(tensor.name for tensor in inputs)
    return base.OpenModel(
        base.Inspection(inputs, outputs), lambda wanted: Network(session, names, wanted or (outputs[0].name,))
    )


def describe_tensor(tensor: Any, what: str) -> manifest.Tensor:  # noqa: ANN401 - the library has no types
    """Put ONNX Runtime's description into the manifest's; axes with a name, or without anything, are free.

    Raises:
        errors.PackageError: a type that is not of numbers, or a batch of fixed size.
    """
    where = f"{what} {tensor.name!r}"
    if tensor.type not in TYPES:
        raise errors.PackageError(
            "UnsupportedModel", f"{where} is a {tensor.type}; expected a tensor of numbers: {', '.join(TYPES.values())}"
        )
    shape = tuple(size if isinstance(size, int) and size >= 0 else manifest.ANY for size in tensor.shape)
    if what == "output":
        # The runtime infers an output's shape, and can miss that its first axis is the batch.
        shape = (manifest.ANY, *shape[1:])
    if not shape or shape[0] != manifest.ANY or 0 in shape or len(shape) > manifest.MAX_RANK:
        raise errors.PackageError(
            "UnsupportedModel",
            f"{where} has the shape {list(tensor.shape)}; expected a first axis of any size, the batch: "
            "export the model with a dynamic first axis",
        )
    return manifest.Tensor(name=tensor.name, dtype=TYPES[tensor.type], shape=shape)


class Network:
    """Predicts with ONNX Runtime, on the caller's thread."""

    def __init__(self, session: Any, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:  # noqa: ANN401 - no types
        self._run = find_run(session)
        self._inputs = inputs
        self._outputs = list(outputs)

    def predict(self, *inputs: base.Array) -> tuple[base.Array, ...]:
        """Compute the outputs."""
        return tuple(self._run(self._outputs, dict(zip(self._inputs, inputs, strict=True)), None))


FAMILY = base.Family("onnx", "onnxruntime", (".onnx",), "ONNX", recognise, open_model, form="onnx")
