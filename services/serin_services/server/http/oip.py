"""The Open Inference Protocol v2 over REST, with its binary tensor extension.

The specification is github.com/kserve/open-inference-protocol: `specification/protocol/inference_rest.md`; the extension
is Triton's `extension_binary_data.md`.
"""

import dataclasses
import itertools
import struct
from typing import Any

import msgspec
import numpy as np

from serin_services.package import manifest
from serin_services.server import answers, datatypes, envelope, inference, signature, state
from serin_services.server.http import application, endpoints
from serin_services.server.http.endpoints import Call, encode
from serin_services.server.http.messages import Request, Response
from serin_services.server.schema import Array, Refusal

HEADER_LENGTH = b"inference-header-content-length"
BINARY = b"application/octet-stream"
BINARY_SIZE = "binary_data_size"
EXTENSIONS = ["binary_tensor_data"]
# How `struct` names what fits without a look at each value; booleans and the rest are looked at.
QUICK_CODES = {"FP32": "f", "FP64": "d", "INT64": "q", "INT32": "i", "UINT8": "B", "INT8": "b"}


class InputTensor(msgspec.Struct):
    """One tensor of a request whose values are numbers; `data` is flat, or lists in lists."""

    name: str
    shape: list[int]
    datatype: str
    data: list[int | float | list[Any]] | None = None
    parameters: dict[str, Any] | None = None


class AnyInputTensor(msgspec.Struct):
    """The same with values of any kind, for all that the quick form does not hold."""

    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] | None = None


class WantedOutput(msgspec.Struct):
    """An output that the client asks for."""

    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct):
    """A request for predictions."""

    inputs: list[InputTensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[WantedOutput] | None = None


class AnyInferRequest(msgspec.Struct):
    """The same with inputs of any kind."""

    inputs: list[AnyInputTensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[WantedOutput] | None = None


class OutputTensor(msgspec.Struct, omit_defaults=True):
    """One output of an answer."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class InferResponse(msgspec.Struct):
    """An answer."""

    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]


decode_quickly = msgspec.json.Decoder(InferRequest).decode
decode_any = msgspec.json.Decoder(AnyInferRequest).decode


class Infer:
    """Reads and answers `POST /v2/models/{model}[/versions/{version}]/infer`."""

    fail = staticmethod(endpoints.fail)

    def __init__(self, model: inference.Inference) -> None:
        self._model = model
        self._names = (model.manifest.model, model.manifest.version)

    def is_slow(self, request: Request) -> bool:
        """Whether it is much JSON; binary tensors are not read but looked at."""
        return len(request.body) > endpoints.LARGE_BYTES and HEADER_LENGTH not in request.headers

    def read(self, request: Request) -> Call:
        """Read JSON, or JSON and behind it the tensors' bytes."""
        body = request.body
        rest = None
        length = request.headers.get(HEADER_LENGTH)
        if length is not None:
            size = header_size(length, body)
            rest = memoryview(body)[size:]
            body = body[:size]
        document = decode(body)
        given = read_tensors(document.inputs, rest)
        chosen = self._model.outputs.select([output.name for output in document.outputs or ()])
        inputs = self._model.signature.accept(given)
        writer = Writer(self._names, document.id, chosen, binary_outputs(document, chosen))
        request_id = document.id.encode() if document.id and document.id.isascii() else None
        if request_id is not None and envelope.accept_id(request_id) is None:
            request_id = None
        return Call(inputs, writer.write, request_id)


@dataclasses.dataclass(slots=True)
class Writer:
    """Writes the answer to one request: which outputs, and which of them in binary."""

    names: tuple[str, str]
    id: str | None
    outputs: tuple[answers.Output, ...]
    binary: frozenset[str]

    def write(self, answer: inference.Answer, request_id: bytes) -> Response:
        """Write JSON, and behind it the bytes of the outputs that were asked for so."""
        written: list[OutputTensor] = []
        parts: list[bytes] = []
        for output in self.outputs:
            values = output.values(answer)
            tensor = OutputTensor(output.name, answers.shape_of(values), output.datatype)
            if output.name in self.binary:
                parts.append(answers.raw_content(values))
                tensor.parameters = {BINARY_SIZE: len(parts[-1])}
            else:
                tensor.data = flat_list(values)
            written.append(tensor)
        own_id = request_id.decode() if self.id is None else self.id
        body: bytes = encode(InferResponse(*self.names, own_id, written))
        if not parts:
            return Response(200, body)
        headers = {HEADER_LENGTH: b"%d" % len(body)}
        return Response(200, b"".join([body, *parts]), BINARY, headers)


def header_size(length: bytes, body: bytes) -> int:
    """Read how many bytes of a body are JSON."""
    if length.isdigit() and len(length) <= 12 and int(length) <= len(body):
        return int(length)
    raise invalid(
        HEADER_LENGTH.decode(), f"a length of at most the body's {len(body)}", repr(length[:40].decode("latin-1"))
    )


def decode(body: bytes) -> InferRequest | AnyInferRequest:
    """Read the JSON of a request."""
    try:
        return decode_quickly(body)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid("body", "JSON", str(error)) from error
    try:
        return decode_any(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid("body", "an inference request of the Open Inference Protocol v2", str(error)) from error


def read_tensors(inputs: list[Any], rest: memoryview | None) -> list[signature.Given]:
    """Read each tensor from its JSON or, in their order, from the bytes behind it."""
    given = []
    place = 0
    for tensor in inputs:
        size = (tensor.parameters or {}).get(BINARY_SIZE)
        if size is None:
            values = read_json(tensor)
        else:
            if rest is None or type(size) is not int or not 0 <= size <= len(rest) - place:
                left = 0 if rest is None else len(rest) - place
                raise invalid(f"{tensor.name}.parameters.{BINARY_SIZE}", f"at most the {left} bytes left", repr(size))
            values = signature.make_values(tensor.name, tensor.datatype, tensor.shape, rest[place : place + size])
            place += size
            if not values.flags.aligned:
                # XGBoost refuses numbers that lie across their places.
                values = values.copy()
        given.append(signature.Given(tensor.name, values, listed_features(tensor)))
    if rest is not None and place != len(rest):
        raise invalid("body", f"{place} bytes behind the JSON, as the inputs say", str(len(rest)))
    return given


def listed_features(tensor: Any) -> list[str] | None:  # noqa: ANN401 - one of two forms
    """Read the feature names that a tensor says it has, as a list or as the text of one."""
    listed = (tensor.parameters or {}).get(signature.FEATURES_PARAMETER)
    if isinstance(listed, str):
        try:
            listed = msgspec.json.decode(listed)
        except (msgspec.DecodeError, RecursionError):
            listed = [None]
    if listed is None or (isinstance(listed, list) and all(isinstance(name, str) for name in listed)):
        return listed
    raise Refusal("InvalidRequest", f"{tensor.name}.parameters.features", "a list of feature names", "another thing")


def read_json(tensor: Any) -> Array:  # noqa: ANN401 - one of two forms
    """Read the values of a tensor that stand in the JSON."""
    name, datatype, shape = tensor.name, tensor.datatype, tensor.shape
    dtype = datatypes.NUMPY.get(datatype)
    if dtype is None:
        raise signature.unknown_datatype(name, datatype)
    wanted = signature.count(name, shape)
    data = tensor.data
    if not isinstance(data, list):
        raise invalid(f"{name}.data", f"a list of {wanted} values", "no list")
    flat = data if data and type(data[0]) is not list else flatten(name, data, shape)
    if len(flat) != wanted:
        raise invalid(f"{name}.data", f"{wanted} values for shape {shape}", str(len(flat)))
    if datatype in QUICK_CODES and type(tensor) is InputTensor:
        try:
            return np.ndarray(shape, dtype, struct.pack(f"<{wanted}{QUICK_CODES[datatype]}", *flat))
        except (struct.error, OverflowError):
            pass
    return read_values(name, datatype, flat).reshape(shape)


def flatten(name: str, data: list[Any], shape: list[int]) -> list[Any]:
    """Give the values of lists in lists, each of which must be as long as its axis."""
    flat = data
    for axis, size in enumerate(shape):
        if axis:
            if not all(type(item) is list and len(item) == size for item in flat):
                raise invalid(f"{name}.data", f"lists in lists of shape {shape}", f"others on axis {axis}")
            flat = list(itertools.chain.from_iterable(flat))
        elif len(flat) != size:
            raise invalid(f"{name}.data", f"{size} items for shape {shape}", str(len(flat)))
    return flat


def read_values(name: str, datatype: str, flat: list[Any]) -> Array:
    """Read values one by one, and name the first that its datatype does not hold."""
    dtype = datatypes.NUMPY[datatype]
    allowed: tuple[type, ...] = {"b": (bool, int), "f": (int, float, type(None))}.get(dtype.kind, (int, float))
    for index, value in enumerate(flat):
        if not isinstance(value, allowed) or (type(value) is bool and dtype.kind != "b"):
            raise Refusal("MistypedFeature", f"{name}.data[{index}]", f"a value of {datatype}", repr(value)[:40])
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.array(flat, dtype=dtype)
    own = manifest.Tensor(name=f"{name}.data"[:253], dtype=dtype.newbyteorder("=").name, shape=(manifest.ANY,))
    return signature.convert(own, np.array(flat)) if flat else np.array([], dtype=dtype)


def binary_outputs(document: InferRequest | AnyInferRequest, chosen: tuple[answers.Output, ...]) -> frozenset[str]:
    """Find the outputs that the client wants in binary: all, or each that says so."""
    every = (document.parameters or {}).get("binary_data_output") is True
    if not document.outputs:
        return frozenset(output.name for output in chosen) if every else frozenset()
    return frozenset(
        output.name for output in document.outputs if (output.parameters or {}).get("binary_data", every) is True
    )


def flat_list(values: Array | answers.Texts) -> list[Any]:
    """Give the values of an output in their order."""
    if isinstance(values, answers.Texts):
        return [text.decode() for text in values.listed()]
    flat: list[Any] = values.reshape(-1).tolist()
    return flat


def invalid(field: str, expected: str, got: str) -> Refusal:
    """Refuse a request for what has nothing to do with the model's features."""
    return Refusal("InvalidRequest", field, expected, got, mismatch=False)


def make_pages(current: state.State, model: inference.Inference | None) -> dict[bytes, application.Page]:
    """Give the protocol's pages: health for every server, metadata for one that has a model."""

    def page(status: int, body: dict[str, Any]) -> application.Page:
        made: bytes = encode(body)
        return lambda: Response(status, made)

    def ready(name: dict[str, str]) -> application.Page:
        def answer() -> Response:
            status = 200 if current.ready else 503
            return Response(status, encode({**name, "ready": current.ready, "live": True}))

        return answer

    pages = {b"/v2/health/live": page(200, {"live": True}), b"/v2/health/ready": ready({})}
    if model is None:
        return pages
    document = model.manifest
    pages[b"/v2"] = page(200, {"name": "serin", "version": document.version, "extensions": EXTENSIONS})
    for path in model_paths(document):
        pages[path] = page(200, metadata(model))
        pages[path + b"/ready"] = ready({"name": document.model})
    return pages


def model_paths(document: manifest.Manifest) -> tuple[bytes, bytes]:
    """Give the paths of a model: with and without its version."""
    path = f"/v2/models/{document.model}"
    return path.encode(), f"{path}/versions/{document.version}".encode()


def metadata(model: inference.Inference) -> dict[str, Any]:
    """Describe the tensors that go in and come out."""
    document = model.manifest
    return {
        "name": document.model,
        "versions": [document.version],
        "platform": document.family,
        "inputs": [
            {"name": tensor.name, "datatype": datatypes.name_of(tensor.dtype), "shape": list(tensor.shape)}
            for tensor in document.inputs
        ],
        "outputs": [
            {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
            for output in model.outputs.all
        ],
    }
