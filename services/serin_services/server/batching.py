"""Predicts requests together that come while the model is at work: a batch forms only where something waits anyway.

One batch runs at a time, on a thread; what arrives meanwhile is the next one. So there is no timer, and a request that
comes alone is predicted alone and at once: on the event loop where that takes little, since a thread's hand-over would take
longer than the prediction, and what arrives meanwhile waits in its sockets and is read together.
"""

import asyncio
import collections
import dataclasses
import logging
from collections.abc import Callable
from concurrent import futures

import numpy as np

from serin_services.server import schema

log = logging.getLogger("serin.server")

MOST_ROWS = 64

Arrays = tuple[schema.Array, ...]
Predict = Callable[..., Arrays]
Result = Arrays | Exception


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """One request on its way into a batch."""

    inputs: Arrays
    answer: "asyncio.Future[Arrays]"
    # Called when it waits no more.
    begin: Callable[[], object]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.inputs[0])

    def fits(self, other: "Waiting") -> bool:
        """Whether both can stand in one array: all axes but the first are as long."""
        return all(own.shape[1:] == its.shape[1:] for own, its in zip(self.inputs, other.inputs, strict=True))


class Batcher:
    """Collects requests on the event loop and predicts them on a pool's thread, at most `most` rows together.

    One that is alone and has at most `inline_rows` is predicted on the event loop.
    """

    def __init__(self, predict: Predict, pool: futures.Executor, most: int = MOST_ROWS, inline_rows: int = 0) -> None:
        self.most = most
        self._inline_rows = inline_rows
        self._predict = predict
        self._pool = pool
        self._waiting: collections.deque[Waiting] = collections.deque()
        self._running = False

    def add(self, inputs: Arrays, begin: Callable[[], object] = bool) -> "asyncio.Future[Arrays]":
        """Give the outputs of one request, later; if they are cancelled before, it is left out of its batch.

        `begin` is called on the event loop when the request is taken into a batch, or left out.
        """
        loop = asyncio.get_running_loop()
        request = Waiting(inputs, loop.create_future(), begin)
        self._waiting.append(request)
        if not self._running:
            self._running = True
            # Not before this turn of the loop is over: it may bring more requests.
            loop.call_soon(self._start)
        return request.answer

    def _start(self) -> None:
        """Begin the next batch, if anybody waits."""
        batch = self._take()
        self._running = bool(batch)
        if not batch:
            return
        if len(batch) == 1 and batch[0].rows <= self._inline_rows:
            self._give(batch, [self._run_alone(batch[0].inputs)])
            # Not at once: the loop has been kept from reading what came meanwhile.
            asyncio.get_running_loop().call_soon(self._start)
            return
        run = asyncio.get_running_loop().run_in_executor(self._pool, self._run, [each.inputs for each in batch])
        run.add_done_callback(lambda done: self._deliver(batch, done))

    def _take(self) -> list[Waiting]:
        """Take the oldest request and those behind it that fit to it, in their order."""
        batch: list[Waiting] = []
        rest: list[Waiting] = []
        rows = 0
        for request in self._waiting:
            if request.answer.done():
                request.begin()
            elif not batch or (rows + request.rows <= self.most and request.fits(batch[0])):
                request.begin()
                batch.append(request)
                rows += request.rows
            else:
                rest.append(request)
        self._waiting = collections.deque(rest)
        return batch

    def _deliver(self, batch: list[Waiting], done: "asyncio.Future[list[Result]]") -> None:
        """Take a thread's results, and begin the next batch."""
        error = done.exception()
        self._give(batch, [RuntimeError(str(error))] * len(batch) if error else done.result())
        self._start()

    @staticmethod
    def _give(batch: list[Waiting], results: list[Result]) -> None:
        """Give each request its own result."""
        for request, result in zip(batch, results, strict=True):
            if request.answer.done():
                continue
            if isinstance(result, Exception):
                request.answer.set_exception(result)
            else:
                request.answer.set_result(result)

    def _run(self, requests: list[Arrays]) -> list[Result]:
        """Predict requests together; if that fails, each alone, so that one cannot spoil the others."""
        if len(requests) > 1:
            try:
                return list(predict_together(self._predict, requests))
            except Exception:
                log.warning("a batch of %d requests failed; each is predicted alone", len(requests), exc_info=True)
        return [self._run_alone(inputs) for inputs in requests]

    def _run_alone(self, inputs: Arrays) -> Result:
        try:
            return self._predict(*inputs)
        except Exception as error:
            log.debug("a request failed", exc_info=True)
            return error


def predict_together(predict: Predict, requests: list[Arrays]) -> list[Arrays]:
    """Stack the requests along the first axis, predict once, and cut the outputs as the inputs were.

    Raises:
        ValueError: an output does not have one entry for each row.
    """
    sizes = [len(inputs[0]) for inputs in requests]
    total = sum(sizes)
    outputs = predict(*(np.concatenate(column) for column in zip(*requests, strict=True)))
    if any(output.ndim < 1 or len(output) != total for output in outputs):
        raise ValueError(f"expected {total} rows in each output, got {[output.shape for output in outputs]}")
    ends = np.cumsum(sizes).tolist()
    return [tuple(output[end - size : end] for output in outputs) for size, end in zip(sizes, ends, strict=True)]
