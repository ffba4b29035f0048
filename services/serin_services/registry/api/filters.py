"""Query parameters that choose a version and a time."""

import datetime as dt
from typing import Annotated

import fastapi
import pydantic

# Times far from these cannot even be turned into UTC.
FIRST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
LAST = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)

Moment = Annotated[
    pydantic.AwareDatetime | None,
    fastapi.Query(ge=FIRST, lt=LAST, description="With its zone, as in RFC 3339."),
]
VersionFilter = Annotated[
    str | None,
    fastapi.Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="A version's number, or its id."),
]
Periods = Annotated[
    float | None,
    fastapi.Query(
        gt=0, le=1e9, description="Outcomes a year, for the annualised Sharpe ratio; 252 for one a trading day."
    ),
]
