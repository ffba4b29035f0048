"""What the API answers about predictions and what came of them, as the client reads it."""

import datetime as dt
import uuid
from typing import Self

from serin_services.registry.client.results import Result


class Receipt(Result):
    """What became of rows: taken or there already; joined to their other half or waiting for it."""

    taken: int = 0
    doubled: int = 0
    joined: int = 0
    waiting: int = 0

    def __add__(self, other: Self) -> Self:
        """Add up two batches."""
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields})


class Outcome(Result):
    """What came of a prediction."""

    at: dt.datetime
    label: str | None
    value: float | None
    returned: float | None


class Prediction(Result):
    """What a version answered to one row, and what came of it if that is known."""

    id: str
    version: str
    at: dt.datetime
    label: str | None
    value: float | None
    confidence: float | None
    seconds: float | None
    shadow: bool
    outcome: Outcome | None


class Share(Result):
    """A share of `count` cases, with its 95 % interval."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        """Write it with its interval: 62.0% (58.1% to 65.7%)."""
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})"


class Figures(Result):
    """What came of predictions; None where there is too little to say it."""

    predictions: int
    outcomes: int
    accuracy: Share | None
    win_rate: Share | None
    mean_return: float | None
    sharpe: float | None
    profit_factor: float | None
    latency_seconds: float | None


class Performance(Result):
    """How a version does in a window."""

    tenant: str
    model: str
    version: str
    stage: str
    figures: Figures
    labels: dict[str, int]
    last_hour: int
    last_day: int


class Window(Result):
    """How the versions of a model do in a window."""

    since: dt.datetime
    until: dt.datetime
    versions: list[Performance]


class Trial(Result):
    """A version in the shadow of one deployment, and the champion beside it."""

    model: str
    version: str
    champion: str | None
    since: dt.datetime
    deployment_id: uuid.UUID
    namespace: str
    deployment: str


class Paired(Result):
    """Rows that both answered, counted by what came of them."""

    rows: int
    agreed: int
    judged: int
    both_right: int
    challenger_alone_right: int
    champion_alone_right: int
    mean_difference: float | None


class ShadowComparison(Result):
    """How champion and challenger did in the same hours."""

    version: str
    champion: str
    since: dt.datetime
    until: dt.datetime
    figures: dict[str, Figures]
    paired: Paired
