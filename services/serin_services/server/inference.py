"""One model version at work: tensors in, an answer out, counted the same way for every protocol."""

import asyncio
import dataclasses
import logging

from serin_services.package import families, manifest
from serin_services.server import answers, cache, schema, signature, telemetry, watch

log = logging.getLogger("serin.server")

# Up to here a prediction takes less than handing it to a thread and back would; beyond, it would hold up the others.
INLINE_ROWS = 128


@dataclasses.dataclass(frozen=True)
class Answer:
    """The model's outputs and, for a classification, the number and probability of the class chosen for each row."""

    outputs: tuple[schema.Array, ...]
    chosen: list[int]
    confidences: list[float]

    @property
    def rows(self) -> int:
        """How many rows were predicted."""
        return len(self.outputs[0])


class Inference:
    """Predicts with one model version; both protocols share it."""

    def __init__(
        self,
        document: manifest.Manifest,
        accepted: signature.Signature,
        predictor: families.Predictor,
        counters: telemetry.Telemetry,
        watching: watch.Watch | None = None,
        known: cache.AnswerCache[Answer] | None = None,
    ) -> None:
        self.manifest = document
        self.signature = accepted
        self.outputs = answers.Outputs(document)
        self.telemetry = counters
        self.classes = document.classes
        # What looks at answers besides the metrics; protocols tell it what they have answered.
        self.watch = watching
        self._cache = known
        self._predictor = predictor

    def answers_now(self, inputs: tuple[schema.Array, ...]) -> bool:
        """Whether a batch is small enough to be predicted on the event loop."""
        return len(inputs[0]) <= INLINE_ROWS

    async def predict(self, inputs: tuple[schema.Array, ...], deadline: float | None = None) -> Answer:
        """Predict one batch, given as one array for each input of the manifest, and count what was answered.

        The deadline is on the event loop's clock.
        """
        if self.answers_now(inputs):
            return self.predict_now(inputs)
        return await asyncio.to_thread(self.predict_now, inputs)

    def predict_now(self, inputs: tuple[schema.Array, ...]) -> Answer:
        """Do the same on this thread."""
        answer = self._score(inputs) if self._cache is None else self._recall(self._cache, inputs)
        if self.classes:
            self.telemetry.count_predictions(answer.chosen, answer.confidences)
        else:
            self.telemetry.count_values(answer.rows)
        return answer

    def _recall(self, known: cache.AnswerCache[Answer], inputs: tuple[schema.Array, ...]) -> Answer:
        """Answer what was asked before without asking the model again."""
        wanted = cache.key(inputs)
        answer = known.get(wanted)
        if answer is None:
            answer = self._score(inputs)
            known.put(wanted, answer)
        return answer

    def _score(self, inputs: tuple[schema.Array, ...]) -> Answer:
        """Ask the model."""
        outputs = self._predictor.predict(*inputs)
        if not self.classes:
            return Answer(outputs, [], [])
        scores = outputs[0]
        return Answer(outputs, scores.argmax(axis=1).tolist(), scores.max(axis=1).tolist())

    def labels(self, answer: Answer) -> list[str]:
        """The label of each row."""
        return [self.classes[index] for index in answer.chosen]
