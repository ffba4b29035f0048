"""The form in which figures go out, wherever they are of."""

import uuid
from typing import Self

import pydantic

from serin_services.registry.api.schemas import Answer
from serin_services.registry.core import performance
from serin_services.registry.core.stages import Stage
from serin_services.registry.records.outcomes.performance import Performance


class ShareAnswer(Answer):
    """A share of `count` cases, with Wilson's 95 % interval."""

    value: float
    low: float
    high: float
    count: int


class Figures(Answer):
    """What sums say; null where there was too little to say it."""

    predictions: int
    outcomes: int = pydantic.Field(description="Predictions whose outcome has come.")
    accuracy: ShareAnswer | None
    win_rate: ShareAnswer | None
    mean_return: float | None
    sharpe: float | None = pydantic.Field(description="Mean return over its standard deviation, per outcome.")
    sharpe_annualised: float | None = pydantic.Field(description="With `periods` outcomes a year.")
    profit_factor: float | None = pydantic.Field(description="Gross gain over gross loss.")
    latency_seconds: float | None
    mean_confidence: float | None
    mean_error: float | None
    mean_squared_error: float | None

    @classmethod
    def of(cls, sums: performance.Sums, periods: float | None = None) -> Self:
        """Make them of sums."""
        return cls(**performance.figures(sums, periods))


class VersionPerformance(Answer):
    """How a version does in a window."""

    tenant: str
    model: str
    model_id: uuid.UUID
    version: str
    stage: Stage
    figures: Figures
    labels: dict[str, int] = pydantic.Field(description="How often it gave each label, the most frequent first.")
    last_hour: int = pydantic.Field(description="Predictions in the last hour, to the second.")
    last_day: int = pydantic.Field(description="Predictions in the last 24 hours, to the second.")

    @classmethod
    def of(cls, row: Performance, periods: float | None = None) -> Self:
        """Put a version's performance into the form of an answer."""
        version = row.version
        return cls(
            tenant=version.tenant_id,
            model=version.model.name,
            model_id=version.model_id,
            version=version.version,
            stage=version.stage,
            figures=Figures.of(row.sums, periods),
            labels=dict(row.labels),
            last_hour=row.last_hour,
            last_day=row.last_day,
        )
