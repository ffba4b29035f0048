"""Trainings, retrainings and drift: asked for and reported by whoever learns, kept here."""

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from serin_services.registry.client.connection import Connection
from serin_services.registry.client.results import Result
from serin_services.registry.client.transport import quote

TRAINING, RETRAINING = "training-jobs", "retraining-jobs"


class Job(Result):
    """A training that was asked for, and how far it is; a retraining also says what asked for it."""

    id: uuid.UUID
    model_id: uuid.UUID
    state: str
    parameters: dict[str, Any]
    message: str
    version_id: uuid.UUID | None
    created_at: dt.datetime
    created_by: str
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    trigger: str = ""


class DriftEvent(Result):
    """A feature or target whose distribution moved, as a monitor found it."""

    id: uuid.UUID
    model_id: uuid.UUID
    version_id: uuid.UUID | None
    feature: str
    statistic: float
    p_value: float
    severity: str
    details: dict[str, Any]
    at: dt.datetime


class Learning(Connection):
    """The part of the client for trainings, retrainings and drift."""

    def submit_training(self, model: str, parameters: Mapping[str, Any]) -> Job:
        """Ask for a training; whoever trains takes it from the list of those that are PENDING."""
        return self.post(Job, quote("models", model, TRAINING), {"parameters": dict(parameters)})

    def trigger_retraining(self, model: str, parameters: Mapping[str, Any], trigger: str = "manual") -> Job:
        """Ask for a retraining, and say what asks for it: manual, performance, drift or schedule."""
        body = {"parameters": dict(parameters), "trigger": trigger}
        return self.post(Job, quote("models", model, RETRAINING), body)

    def jobs(self, kind: str = TRAINING, **filters: Any) -> Iterator[Job]:  # noqa: ANN401 - of the API's query
        """Give the trainings, or with RETRAINING the retrainings, the newest first: by `model`, `state`."""
        return self.pages(Job, quote(kind), filters)

    def job(self, job: str, kind: str = TRAINING) -> Job:
        """Give one."""
        return self.get(Job, quote(kind, job))

    def report_job(
        self, job: str, state: str, message: str = "", version: str | None = None, kind: str = TRAINING
    ) -> Job:
        """Say that a training runs, or how it ended; one that is COMPLETED names the version that it made."""
        return self.post(Job, quote(kind, job, "report"), {"state": state, "message": message, "version": version})

    def report_drift(self, model: str, finding: Mapping[str, Any]) -> DriftEvent:
        """Write down what a monitor found: `feature`, `statistic`, `p_value`, `severity`, and `version`, `at`, `details`."""
        return self.post(DriftEvent, quote("models", model, "drift-events"), finding)

    def drift_events(self, **filters: Any) -> Iterator[DriftEvent]:  # noqa: ANN401 - as above
        """Give what was found, the newest first: by `model`, `severity`, `since`, `until`."""
        return self.pages(DriftEvent, quote("drift-events"), filters)
