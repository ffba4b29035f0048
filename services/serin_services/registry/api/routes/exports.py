"""Exports: a month's performance of all active models, for reports."""

import datetime as dt
from typing import Annotated, Any, Literal

import fastapi
import pydantic
from starlette.responses import Response

from serin_services.registry.api.context import Context
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import Answer
from serin_services.registry.records.outcomes import exports

router = make_router("performance")

MonthQuery = Annotated[
    str | None,
    fastapi.Query(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="Of UTC; by default the current one."),
]


class ExportAnswer(Answer):
    """A month's performance, a row for each version that answered in it or should have."""

    month: str
    complete: bool = pydantic.Field(description="False while the month lasts.")
    rows: list[dict[str, Any]] = pydantic.Field(description="The columns of the CSV; what is undefined is null.")


@router.get(
    "/exports/performance",
    summary="Export a month's performance",
    response_model=ExportAnswer,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def export_performance(
    context: Context,
    month: MonthQuery = None,
    form: Annotated[Literal["json", "csv"], fastapi.Query(alias="format")] = "json",
) -> ExportAnswer | Response:
    """Give the month's performance of all active models that the caller sees, as JSON or CSV."""
    first = dt.date.fromisoformat(f"{month}-01") if month else context.now.date()
    found = exports.read_month(context.session, context.caller, first, context.now)
    name = f"{found.window.since:%Y-%m}"
    if form == "csv":
        headers = {"Content-Disposition": f'attachment; filename="performance-{name}.csv"'}
        return Response(exports.write_csv(found), media_type="text/csv; charset=utf-8", headers=headers)
    return ExportAnswer(month=name, complete=found.complete, rows=[exports.describe(row) for row in found.rows])
