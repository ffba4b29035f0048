"""Makes the ONNX form of a tree model and holds it against the original."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from serin_services.package import comparing, errors, families, manifest
from serin_services.package.conversion import lightgbm, trees, xgboost
from serin_services.package.families import base, tree_form

READERS: dict[str, Callable[[bytes], trees.Ensemble]] = {"xgboost": xgboost.read, "lightgbm": lightgbm.read}

SAMPLE_ROWS = 2048
NAN_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Trial:
    """What came of trying to make a form: its file, or why there is none; and the rows that it was tried on."""

    rows: base.Array
    content: bytes | None = None
    predictor: base.Predictor | None = None
    difference: float | None = None
    refused: str | None = None


def make(family: base.Family, artifact: bytes, sha256: str, original: base.OpenModel, allow_nan: list[bool]) -> Trial:
    """Convert, open and compare; a model without a form is served by its own library, so nothing is raised."""
    found = original.inspection
    try:
        from serin_services.package.conversion import writer  # noqa: PLC0415 - imports onnx, of the extra `package`
    except ImportError as error:
        return Trial(spread(found.inputs[0], allow_nan), refused=f"{error}: install serin[package]")
    try:
        ensemble = READERS[family.name](artifact)
    except trees.NotConvertible as error:
        return Trial(spread(found.inputs[0], allow_nan), refused=f"the model {error}")
    except Exception as error:  # noqa: BLE001 - a model that the converter has not met must not stop the packaging
        said = f"{type(error).__name__}: {error}"
        return Trial(spread(found.inputs[0], allow_nan), refused=f"the converter cannot read the model: {said}")
    rows = draw(ensemble.thresholds(found.inputs[0].shape[1]), found.inputs[0], allow_nan)
    content = writer.to_onnx(ensemble, found, tree_form.write_metadata(sha256, found))
    try:
        predictor = families.open_form(family, content, sha256, "the ONNX form").select(())
    except errors.PackageError as error:
        return Trial(rows, refused=error.message)
    difference = comparing.largest_difference(original.select(()).predict(rows), predictor.predict(rows))
    if not difference <= comparing.MAX_DIFFERENCE:
        said = f"differs from the original by {difference:.3g}, more than {comparing.MAX_DIFFERENCE:g}"
        return Trial(rows, difference=difference if np.isfinite(difference) else None, refused=said)
    return Trial(rows, content, predictor, difference)


def draw(thresholds: Sequence[trees.Floats], tensor: manifest.Tensor, allow_nan: list[bool]) -> base.Array:
    """Draw rows from where trees can differ: each threshold, its neighbours, and what lies between and beyond."""
    chance = np.random.default_rng(0)
    columns = []
    for values, may_miss in zip(thresholds, allow_nan, strict=True):
        edges = values.astype(tensor.dtype)
        beyond = [edges.min() - 1, edges.max() + 1] if len(edges) else [-1, 1]
        pool = np.concatenate(
            [
                edges,
                np.nextafter(edges, np.array(-np.inf, edges.dtype)),
                np.nextafter(edges, np.array(np.inf, edges.dtype)),
                (edges[1:] + edges[:-1]) / 2,
                np.array([0, *beyond], edges.dtype),
            ]
        )
        column = chance.choice(pool, SAMPLE_ROWS)
        if may_miss:
            column[chance.random(SAMPLE_ROWS) < NAN_SHARE] = np.nan
        columns.append(column)
    return np.ascontiguousarray(np.stack(columns, axis=1))


def spread(tensor: manifest.Tensor, allow_nan: list[bool]) -> base.Array:
    """Draw rows for a model whose thresholds are not known; they serve to measure alone."""
    return draw([np.linspace(-3, 3, 31)] * len(allow_nan), tensor, allow_nan)
