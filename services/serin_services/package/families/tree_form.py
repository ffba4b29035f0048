"""The ONNX form of a tree model: made when the model is packaged, and opened here without the model's own library."""

import json
from typing import Any

import numpy as np
import pydantic

from serin_services.package import errors, manifest
from serin_services.package.families import base, onnx

# What the form says of where it comes from, in the metadata of its file.
SOURCE, INSPECTION = "serin.source", "serin.inspection"

_TENSORS = pydantic.TypeAdapter(tuple[manifest.Tensor, ...])


def write_metadata(artifact_sha256: str, found: base.Inspection) -> dict[str, str]:
    """Write down what the artifact says of itself, so that the form can say it in its place."""
    said = {
        "inputs": _TENSORS.dump_python(found.inputs, mode="json"),
        "outputs": _TENSORS.dump_python(found.outputs, mode="json"),
        "task": found.task,
        "named": found.named,
    }
    return {SOURCE: artifact_sha256, INSPECTION: json.dumps(said)}


def open_form(library: Any, content: bytes, artifact_sha256: str) -> base.OpenModel:  # noqa: ANN401 - a module
    """Open the form of an artifact.

    Raises:
        errors.PackageError: it was made of another artifact.
    """
    session = onnx.open_session(library, content)
    metadata = session.get_modelmeta().custom_metadata_map
    if metadata.get(SOURCE) != artifact_sha256:
        raise errors.PackageError(
            "FeatureSchemaMismatch",
            f"the ONNX form was made of another artifact, sha256 {metadata.get(SOURCE)}; "
            f"the manifest has {artifact_sha256}: package the model again",
        )
    said = json.loads(metadata[INSPECTION])
    found = base.Inspection(
        _TENSORS.validate_python(said["inputs"]), _TENSORS.validate_python(said["outputs"]), said["task"], said["named"]
    )
    scores = found.outputs[0]
    flat = len(scores.shape) == 1
    return base.OpenModel(
        found,
        lambda _names: Trees(session, session.get_inputs()[0].name, scores.name, np.dtype(scores.dtype), flat=flat),
    )


class Trees:
    """Predicts a tree model with ONNX Runtime: asked for the scores alone, as the most likely class is not needed."""

    def __init__(self, session: Any, rows: str, scores: str, dtype: np.dtype[Any], *, flat: bool) -> None:  # noqa: ANN401
        self._run = onnx.find_run(session)
        self._rows = rows
        self._scores = [scores]
        # ONNX's tree operators answer in float32, in columns.
        self._finish = None if dtype == np.float32 and not flat else (dtype, flat)

    def predict(self, *inputs: base.Array) -> tuple[base.Array, ...]:
        """Score rows."""
        scores = self._run(self._scores, {self._rows: inputs[0]}, None)[0]
        if self._finish is None:
            return (scores,)
        dtype, flat = self._finish
        return ((scores[:, 0] if flat else scores).astype(dtype),)
