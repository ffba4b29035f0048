"""Outcomes: what came of predictions, reported in batches by the predictions' ids."""

import datetime as dt

from serin_services.registry.api import feeds
from serin_services.registry.api.context import Context
from serin_services.registry.api.feeds import Sent
from serin_services.registry.api.routes.predictions import ReceiptAnswer
from serin_services.registry.api.routing import make_router
from serin_services.registry.records.outcomes import intake

router = make_router("outcomes")


@router.post("/outcomes", summary="Report outcomes", openapi_extra=feeds.describe(feeds.OUTCOMES))
def report_outcomes(context: Context, sent: Sent) -> ReceiptAnswer:
    """Take a batch, whole or not at all; an outcome may come before its prediction, late, or twice."""
    rows = feeds.read(feeds.OUTCOMES, sent)
    keep = dt.timedelta(days=context.services.settings.prediction_days)
    receipt = intake.take_outcomes(context.session, context.caller, rows, context.now, keep)
    return ReceiptAnswer.model_validate(receipt)
