"""Predictions: what versions answered, reported by model servers or in batches, and read back with what came of it."""

import datetime as dt

import pydantic

from serin_services.registry.api import feeds
from serin_services.registry.api.context import Context
from serin_services.registry.api.feeds import Sent
from serin_services.registry.api.filters import Moment, VersionFilter
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import Answer, ModelPath, PageAnswer, Slice
from serin_services.registry.database import tables
from serin_services.registry.records.outcomes import intake, predictions

router = make_router("outcomes")


class ReceiptAnswer(Answer):
    """What became of a batch: each row was taken or doubled; of those taken some found their other half."""

    taken: int
    doubled: int = pydantic.Field(description="There already, or twice in the batch: the first counts.")
    joined: int = pydantic.Field(description="Taken, and the other half was there: these count in the figures now.")
    waiting: int = pydantic.Field(description="Taken, and waiting for the other half.")


class OutcomeAnswer(Answer):
    """What came of it."""

    at: dt.datetime
    label: str | None
    value: float | None
    returned: float | None
    returns: dict[str, float]


class PredictionAnswer(Answer):
    """What a version answered to one row."""

    id: str
    version: str
    at: dt.datetime
    label: str | None
    value: float | None
    confidence: float | None
    seconds: float | None
    shadow: bool
    outcome: OutcomeAnswer | None


@router.post("/predictions", summary="Report predictions", openapi_extra=feeds.describe(feeds.PREDICTIONS))
def report_predictions(context: Context, sent: Sent) -> ReceiptAnswer:
    """Take a batch, whole or not at all.

    A model server sends its prediction log here by itself: its sink posts CloudEvents. Lines are those that it writes to a
    file.
    """
    rows = feeds.read(feeds.PREDICTIONS, sent)
    keep = dt.timedelta(days=context.services.settings.prediction_days)
    receipt = intake.take_predictions(context.session, context.caller, rows, context.now, keep)
    return ReceiptAnswer.model_validate(receipt)


@router.get("/models/{model}/predictions", summary="List predictions")
def list_predictions(
    context: Context,
    model: ModelPath,
    part: Slice,
    version: VersionFilter = None,
    since: Moment = None,
    until: Moment = None,
) -> PageAnswer[PredictionAnswer]:
    """Give a model's predictions, or one version's, the newest first, each with its outcome where it has come."""
    window = (since, until)
    found = predictions.find_all(context.session, context.caller, model, version, window, part)
    return PageAnswer[PredictionAnswer].model_validate(found.page.map(lambda row: _describe(row, found)))


def _describe(row: tables.Prediction, found: predictions.Found) -> PredictionAnswer:
    named = {"version": found.versions[row.version_id], "outcome": found.outcomes.get(row.id)}
    fields = {name: getattr(row, name) for name in PredictionAnswer.model_fields if name not in named}
    return PredictionAnswer.model_validate({**fields, **named})
