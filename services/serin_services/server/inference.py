"""One model version at work: rows in, an answer out, counted the same way for every protocol."""

import asyncio
import dataclasses
import logging

from serin_services.package import families, manifest
from serin_services.server import schema, telemetry

log = logging.getLogger("serin.server")

# Up to here a prediction takes less than handing it to a thread and back would; beyond, it would hold up the others.
INLINE_ROWS = 128


@dataclasses.dataclass(frozen=True)
class Answer:
    """The scores of each row and, for a classification, the number and probability of the class chosen."""

    scores: schema.Array
    chosen: list[int]
    confidences: list[float]


class Inference:
    """Predicts with one model version; both protocols share it."""

    def __init__(
        self,
        document: manifest.Manifest,
        row_schema: schema.Schema,
        predictor: families.Predictor,
        counters: telemetry.Telemetry,
    ) -> None:
        self.manifest = document
        self.schema = row_schema
        self.telemetry = counters
        self.classes = document.classes
        self._predictor = predictor

    async def predict(self, rows: schema.Array) -> Answer:
        """Score the rows and count what was answered."""
        if len(rows) <= INLINE_ROWS:
            (scores,) = self._predictor.predict(rows)
        else:
            (scores,) = await asyncio.to_thread(self._predictor.predict, rows)
        if not self.classes:
            self.telemetry.count_values(len(rows))
            return Answer(scores, [], [])
        chosen = scores.argmax(axis=1).tolist()
        confidences = scores.max(axis=1).tolist()
        self.telemetry.count_predictions(chosen, confidences)
        return Answer(scores, chosen, confidences)

    def labels(self, answer: Answer) -> list[str]:
        """The label of each row."""
        return [self.classes[index] for index in answer.chosen]
