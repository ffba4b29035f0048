"""Finds out at the start whether requests of a model are worth predicting together."""

import dataclasses
import logging
import time

import numpy as np

from serin_services.package import families, manifest
from serin_services.server import batching, schema

log = logging.getLogger("serin.server")

# Of these a batch of rows costs as much as its rows, and one row less than a thread's hand-over.
TREES = frozenset({"xgboost", "lightgbm"})
ROWS = 16
REPEATS = 3
# A batch is worth its hand-over from here on: the share of time and the seconds that a row saves in one.
LEAST_SHARE = 0.25
LEAST_SECONDS = 50e-6
TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Costs:
    """Seconds for one row alone, and for one among many."""

    alone: float
    together: float

    @property
    def worth_batching(self) -> bool:
        """Whether a row saves enough among others."""
        saved = self.alone - self.together
        return saved >= LEAST_SECONDS and saved >= LEAST_SHARE * self.alone


def helps(document: manifest.Manifest, predictor: families.Predictor) -> bool:
    """Whether to batch: never for trees, else where it is faster and gives the same numbers."""
    if document.family in TREES:
        return False
    rows = [make_row(document.inputs, seed) for seed in range(ROWS)]
    try:
        if not same_together(predictor, rows):
            log.info("requests are not batched: rows of this model depend on each other")
            return False
        costs = measure(predictor, rows)
    except Exception as error:  # noqa: BLE001 - whatever a model does with made-up rows, it can be served without batches
        log.info("requests are not batched: made-up rows fail (%s)", error)
        return False
    log.info(
        "requests are %sbatched: a row takes %.0f us alone and %.0f us among %d",
        "" if costs.worth_batching else "not ",
        costs.alone * 1e6,
        costs.together * 1e6,
        ROWS,
    )
    return costs.worth_batching


def make_row(inputs: tuple[manifest.Tensor, ...], seed: int) -> tuple[schema.Array, ...]:
    """Make up one row: chance for numbers, zeros for what may be a position in a table."""
    chance = np.random.default_rng(seed)
    row = []
    for tensor in inputs:
        shape = [1 if size == manifest.ANY else size for size in tensor.shape]
        values = chance.normal(size=shape) if tensor.dtype.startswith("float") else np.zeros(shape)
        row.append(values.astype(tensor.dtype))
    return tuple(row)


def same_together(predictor: families.Predictor, rows: list[tuple[schema.Array, ...]]) -> bool:
    """Whether rows among others give what they give alone."""
    together = batching.predict_together(predictor.predict, rows)
    return all(
        np.allclose(own, among, rtol=TOLERANCE, atol=TOLERANCE)
        for row, outputs in zip(rows, together, strict=True)
        for own, among in zip(predictor.predict(*row), outputs, strict=True)
    )


def measure(predictor: families.Predictor, rows: list[tuple[schema.Array, ...]]) -> Costs:
    """Take the best of a few runs of each kind."""
    stacked = tuple(np.concatenate(column) for column in zip(*rows, strict=True))
    return Costs(best(predictor, rows[0]), best(predictor, stacked) / len(rows))


def best(predictor: families.Predictor, inputs: tuple[schema.Array, ...]) -> float:
    """Give the seconds of the fastest run."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        predictor.predict(*inputs)
        seconds.append(time.perf_counter() - started)
    return min(seconds)
