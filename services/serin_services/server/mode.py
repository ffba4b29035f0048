"""Finds out at the start what a prediction costs, and so how the model is served best."""

import dataclasses
import logging
import time

import numpy as np

from serin_services.package import families, manifest
from serin_services.server import batching, schema

log = logging.getLogger("serin.server")

# Of these a batch of rows costs as much as its rows, and one row less than a thread's hand-over.
TREES = frozenset({"xgboost", "lightgbm"})
ROWS = 8
# A model is run a few times and its best time counts, for so long at most.
REPEATS = 3
BUDGET_SECONDS = 0.05
# A batch is worth its hand-over from here on: the share of time and the seconds that a row saves in one.
LEAST_SHARE = 0.25
LEAST_SECONDS = 50e-6
TOLERANCE = 1e-4
# So long the event loop may stand still for one prediction; up to so many rows, since their time is an estimate.
INLINE_SECONDS = 1e-3
INLINE_ROWS = 128


@dataclasses.dataclass(frozen=True)
class Mode:
    """How to serve a model: up to how many rows on the event loop, and whether requests are predicted together."""

    inline_rows: int = INLINE_ROWS
    batched: bool = False


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

    @property
    def inline_rows(self) -> int:
        """How many rows may be predicted on the event loop."""
        return 0 if self.alone > INLINE_SECONDS else min(INLINE_ROWS, int(INLINE_SECONDS / self.together))


def choose(document: manifest.Manifest, predictor: families.Predictor) -> Mode:
    """Decide by a measurement; a model that fails for made-up rows is served without taking any chance.

    Requests are predicted together where that is faster and gives the same numbers, and never those of trees.
    """
    rows = [make_row(document.inputs, seed) for seed in range(ROWS)]
    try:
        costs = measure(predictor, rows)
        batched = document.family not in TREES and costs.worth_batching and same_together(predictor, rows)
    except Exception as error:  # noqa: BLE001 - whatever a model does with made-up rows, it can be served
        log.info("made-up rows fail (%s), so each request is predicted alone and on a thread", error)
        return Mode(inline_rows=0)
    log.info(
        "a row takes %.0f us alone and %.0f us among %d: up to %d rows on the event loop, requests %s",
        costs.alone * 1e6,
        costs.together * 1e6,
        ROWS,
        costs.inline_rows,
        "together" if batched else "each alone",
    )
    return Mode(costs.inline_rows, batched)


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
    """Take the best of a few runs of one row and of all."""
    stacked = tuple(np.concatenate(column) for column in zip(*rows, strict=True))
    return Costs(best(predictor, rows[0]), best(predictor, stacked) / len(rows))


def best(predictor: families.Predictor, inputs: tuple[schema.Array, ...]) -> float:
    """Give the seconds of processor time that the fastest run takes: others on the machine make no model slow."""
    began = time.perf_counter()
    shortest = float("inf")
    for _ in range(REPEATS):
        started = time.thread_time()
        predictor.predict(*inputs)
        shortest = min(shortest, time.thread_time() - started)
        if time.perf_counter() - began > BUDGET_SECONDS:
            break
    return shortest
