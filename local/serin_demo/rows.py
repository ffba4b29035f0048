"""Held-out rows as requests of both protocols, and the check that an answer is what its version says of that row."""

import functools
import json
from collections.abc import Mapping, Sequence

import numpy as np
from google.protobuf.message import DecodeError

from serin_demo import models, story, traffic
from serin_services.server.oip import open_inference_pb2 as oip


def make_samples(data: models.Data, trained: Sequence[models.Model]) -> list[traffic.Sample]:
    """Make one sample of each held-out row."""
    return [_make_sample(data, trained, row) for row in range(len(data.held_out_rows))]


def _make_sample(data: models.Data, trained: Sequence[models.Model], row: int) -> traffic.Sample:
    values = data.held_out_rows[row]
    expected = {model.version: data.classes[model.class_of(row)] for model in trained}
    return traffic.Sample(
        http=json.dumps({"rows": [dict(zip(data.features, values.tolist(), strict=True))]}).encode(),
        grpc=make_infer_request(values),
        check=functools.partial(is_expected, expected),
    )


def make_infer_request(values: models.Row) -> bytes:
    """Encode one row as a `ModelInferRequest` that asks for the label alone."""
    request = oip.ModelInferRequest(model_name=story.NAME)
    request.inputs.add(name="rows", datatype="FP64", shape=[1, len(values)])
    request.raw_input_contents.append(np.asarray(values, dtype="<f8").tobytes())
    request.outputs.add(name="label")
    return bytes(request.SerializeToString())


def is_expected(expected: Mapping[str, str], protocol: str, version: str | None, body: bytes) -> bool:
    """Tell whether a successful answer is what its version's model says; an answer without a version never is."""
    read = read_http_label if protocol == traffic.HTTP else read_grpc_label
    try:
        return version is not None and read(body) == expected.get(version)
    except (ValueError, LookupError, TypeError, DecodeError):  # not an answer to this request at all
        return False


def read_http_label(body: bytes) -> str:
    """Read the label of an answer's only row."""
    return str(json.loads(body)["predictions"][0]["label"])


def read_grpc_label(body: bytes) -> str:
    """Read the label of an answer's only row: raw texts stand behind their length in four bytes."""
    response = oip.ModelInferResponse.FromString(body)
    return bytes(response.raw_output_contents[0][4:]).decode()
