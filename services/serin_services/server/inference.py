"""One model version at work: tensors in, an answer out, counted the same way for every protocol."""

import asyncio
import dataclasses
import logging

from serin_services.package import families, manifest
from serin_services.server import answers, schema, signature, telemetry

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
    ) -> None:
        self.manifest = document
        self.signature = accepted
        self.outputs = answers.Outputs(document)
        self.telemetry = counters
        self.classes = document.classes
        self._predictor = predictor

    async def predict(self, inputs: tuple[schema.Array, ...]) -> Answer:
        """Predict one batch, given as one array for each input of the manifest, and count what was answered."""
        if len(inputs[0]) <= INLINE_ROWS:
            return self.predict_now(inputs)
        return await asyncio.to_thread(self.predict_now, inputs)

    def predict_now(self, inputs: tuple[schema.Array, ...]) -> Answer:
        """Do the same on this thread."""
        outputs = self._predictor.predict(*inputs)
        scores = outputs[0]
        if not self.classes:
            self.telemetry.count_values(len(scores))
            return Answer(outputs, [], [])
        chosen = scores.argmax(axis=1).tolist()
        confidences = scores.max(axis=1).tolist()
        self.telemetry.count_predictions(chosen, confidences)
        return Answer(outputs, chosen, confidences)

    def labels(self, answer: Answer) -> list[str]:
        """The label of each row."""
        return [self.classes[index] for index in answer.chosen]
