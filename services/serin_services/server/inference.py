"""One model version at work: tensors in, an answer out, counted and limited the same way for every protocol."""

import asyncio
import dataclasses
from concurrent import futures
from typing import TypeVar

import numpy as np

from serin_services.package import families, manifest
from serin_services.server import admission, answers, batching, cache, mode, schema, signature, telemetry, watch

# Of threads for what does not run on the event loop: a server has one core, and each thread has memory of its own.
THREADS = 1

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The model's outputs and, for a classification, the number and probability of the class chosen for each row.

    For one row the latter are lists and for more arrays, whichever costs less.
    """

    outputs: tuple[schema.Array, ...]
    chosen: list[int] | schema.Array
    confidences: list[float] | schema.Array

    @property
    def rows(self) -> int:
        """How many rows were predicted."""
        return len(self.outputs[0])

    def listed(self) -> tuple[list[int], list[float]]:
        """Give the chosen classes and their probabilities as plain numbers."""
        return to_list(self.chosen), to_list(self.confidences)


def to_list(values: list[T] | schema.Array) -> list[T]:
    """Give plain numbers, which a list already has."""
    if isinstance(values, list):
        return values
    listed: list[T] = values.tolist()
    return listed


@dataclasses.dataclass(frozen=True)
class Parts:
    """What stands beside a model at work; each has a default under which it does nothing."""

    watching: watch.Watch | None = None
    known: cache.AnswerCache[Answer] | None = None
    door: admission.Admission = dataclasses.field(default_factory=admission.Admission)
    serving: mode.Mode = dataclasses.field(default_factory=mode.Mode)


class Inference:
    """Predicts with one model version; both protocols share it, and call it on the event loop."""

    def __init__(
        self,
        document: manifest.Manifest,
        accepted: signature.Signature,
        predictor: families.Predictor,
        counters: telemetry.Telemetry,
        parts: Parts | None = None,
    ) -> None:
        parts = parts or Parts()
        self.manifest = document
        self.signature = accepted
        self.outputs = answers.Outputs(document)
        self.telemetry = counters
        self.classes = document.classes
        # What looks at answers besides the metrics; protocols tell it what they have answered.
        self.watch = parts.watching
        self.door = parts.door
        self._cache = parts.known
        self._inline_rows = parts.serving.inline_rows
        self._predict = predictor.predict
        self._pool = futures.ThreadPoolExecutor(THREADS, "predict")
        self._batcher = self._make_batcher() if parts.serving.batched else None

    def _make_batcher(self) -> batching.Batcher:
        return batching.Batcher(self._predict, self._pool, inline_rows=self._inline_rows)

    def answers_now(self, inputs: tuple[schema.Array, ...]) -> bool:
        """Whether the answer to a batch takes so little that it is given on the event loop."""
        return self._batcher is None and len(inputs[0]) <= self._inline_rows

    def predict_now(self, inputs: tuple[schema.Array, ...]) -> Answer:
        """Predict one batch, given as one array for each input of the manifest, and count what was answered.

        Raises:
            schema.Limit: the server has too much to do.
        """
        self.door.check()
        if self._cache is None:
            return self._count(self._judge(self._predict(*inputs)))
        wanted = cache.key(inputs)
        answer = self._cache.get(wanted)
        if answer is None:
            answer = self._judge(self._predict(*inputs))
            self._cache.put(wanted, answer)
        return self._count(answer)

    async def predict(self, inputs: tuple[schema.Array, ...], deadline: float | None = None) -> Answer:
        """Do the same without holding up others, until a moment on the event loop's clock.

        Raises:
            schema.Limit: the server has too much to do, or the moment has come.
        """
        if self.answers_now(inputs):
            return self.predict_now(inputs)
        wanted = cache.key(inputs) if self._cache is not None else b""
        if self._cache is not None and (known := self._cache.get(wanted)) is not None:
            return self._count(known)
        try:
            async with asyncio.timeout_at(deadline):
                answer = self._judge(await self._start(inputs))
        except TimeoutError as error:
            raise admission.too_late() from error
        if self._cache is not None:
            self._cache.put(wanted, answer)
        return self._count(answer)

    def _start(self, inputs: tuple[schema.Array, ...]) -> "asyncio.Future[tuple[schema.Array, ...]]":
        """Have a thread predict, together with others where that helps; the request counts as waiting meanwhile."""
        begin = self.door.enter()
        if self._batcher is not None and len(inputs[0]) < self._batcher.most:
            return self._batcher.add(inputs, begin)
        loop = asyncio.get_running_loop()

        def work() -> tuple[schema.Array, ...]:
            # Here and not on the event loop, which would have to be woken for it while the model wants the processor.
            begin()
            return self._predict(*inputs)

        answer = loop.run_in_executor(self._pool, work)
        answer.add_done_callback(lambda _: begin())
        return answer

    def _judge(self, outputs: tuple[schema.Array, ...]) -> Answer:
        """Choose each row's class, where there are any."""
        if not self.classes:
            return Answer(outputs, [], [])
        scores = outputs[0]
        if len(scores) == 1:
            row = scores[0].tolist()
            most = max(row)
            return Answer(outputs, [row.index(most)], [most])
        chosen = scores.argmax(axis=1)
        # A maximum along so short an axis would take four times as long as looking up what was chosen.
        return Answer(outputs, chosen, scores[np.arange(len(chosen)), chosen])

    def _count(self, answer: Answer) -> Answer:
        if self.classes:
            self.telemetry.count_predictions(answer.chosen, answer.confidences)
        else:
            self.telemetry.count_values(answer.rows)
        return answer
