"""Trainings and retrainings: asked for here, carried out by whoever trains, who reports how far they are."""

import datetime as dt
import uuid
from typing import Annotated, Any

import fastapi
import pydantic

from serin_services.registry.api.context import Context
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import Answer, JsonObject, Line, ModelPath, PageAnswer, Request, Slice, Text
from serin_services.registry.core.jobs import State, Trigger
from serin_services.registry.database.tables import RetrainingJob, TrainingJob
from serin_services.registry.records.catalogue import models
from serin_services.registry.records.learning import jobs

router = make_router("jobs")

JobPath = Annotated[uuid.UUID, fastapi.Path(description="The job's id.")]
ModelQuery = Annotated[Line | None, fastapi.Query(description="A model's name or id.")]
StateQuery = Annotated[State | None, fastapi.Query()]


class NewTraining(Request):
    """A training to be carried out."""

    parameters: JsonObject = pydantic.Field(
        default_factory=dict, description="What the trainer is told.", examples=[{"family": "xgboost", "days": 90}]
    )


class NewRetraining(NewTraining):
    """A training that something asked for."""

    trigger: Trigger = Trigger.MANUAL


class JobReport(Request):
    """How far a job is."""

    state: State
    message: Text = ""
    version: Line | None = pydantic.Field(default=None, description="The version that it made, when it is COMPLETED.")


class JobAnswer(Answer):
    """A job."""

    id: uuid.UUID
    model_id: uuid.UUID
    state: State
    parameters: dict[str, Any]
    message: str
    version_id: uuid.UUID | None
    created_at: dt.datetime
    created_by: str
    started_at: dt.datetime | None
    ended_at: dt.datetime | None


class RetrainingAnswer(JobAnswer):
    """A retraining, and what asked for it."""

    trigger: Trigger


@router.post("/models/{model}/training-jobs", status_code=201, summary="Submit a training")
def submit_training(context: Context, model: ModelPath, body: NewTraining) -> JobAnswer:
    """Ask for a training, which whoever trains takes from the list of those that are PENDING. Needs the role developer."""
    found = models.find(context.session, context.caller, model)
    row = jobs.submit(context.session, context.caller, TrainingJob, found, body.parameters, context.now)
    return JobAnswer.model_validate(row)


@router.get("/training-jobs", summary="List trainings")
def list_trainings(
    context: Context, part: Slice, model: ModelQuery = None, state: StateQuery = None
) -> PageAnswer[JobAnswer]:
    """Give the trainings of the models that the caller may see, the newest first."""
    page = jobs.list_jobs(context.session, context.caller, TrainingJob, model, state, part)
    return PageAnswer(items=[JobAnswer.model_validate(row) for row in page.items], next=page.next)


@router.get("/training-jobs/{job}", summary="Find a training")
def get_training(context: Context, job: JobPath) -> JobAnswer:
    """Give a training and how far it is."""
    return JobAnswer.model_validate(jobs.find(context.session, context.caller, TrainingJob, job))


@router.post("/training-jobs/{job}/report", summary="Report how far a training is")
def report_training(context: Context, job: JobPath, body: JobReport) -> JobAnswer:
    """Say that a training runs, or how it ended. Needs the role developer."""
    row = jobs.find(context.session, context.caller, TrainingJob, job)
    told = jobs.Report(body.state, body.message, body.version)
    return JobAnswer.model_validate(jobs.report(context.session, context.caller, row, told, context.now))


@router.post("/models/{model}/retraining-jobs", status_code=201, summary="Trigger a retraining")
def trigger_retraining(context: Context, model: ModelPath, body: NewRetraining) -> RetrainingAnswer:
    """Ask for a retraining, and say what asks for it. Needs the role developer."""
    found = models.find(context.session, context.caller, model)
    row = jobs.submit(context.session, context.caller, RetrainingJob, found, body.parameters, context.now, body.trigger)
    return RetrainingAnswer.model_validate(row)


@router.get("/retraining-jobs", summary="List retrainings")
def list_retrainings(
    context: Context, part: Slice, model: ModelQuery = None, state: StateQuery = None
) -> PageAnswer[RetrainingAnswer]:
    """Give the retrainings of the models that the caller may see, the newest first."""
    page = jobs.list_jobs(context.session, context.caller, RetrainingJob, model, state, part)
    return PageAnswer(items=[RetrainingAnswer.model_validate(row) for row in page.items], next=page.next)


@router.get("/retraining-jobs/{job}", summary="Find a retraining")
def get_retraining(context: Context, job: JobPath) -> RetrainingAnswer:
    """Give a retraining and how far it is."""
    return RetrainingAnswer.model_validate(jobs.find(context.session, context.caller, RetrainingJob, job))


@router.post("/retraining-jobs/{job}/report", summary="Report how far a retraining is")
def report_retraining(context: Context, job: JobPath, body: JobReport) -> RetrainingAnswer:
    """Say that a retraining runs, or how it ended. Needs the role developer."""
    row = jobs.find(context.session, context.caller, RetrainingJob, job)
    told = jobs.Report(body.state, body.message, body.version)
    return RetrainingAnswer.model_validate(jobs.report(context.session, context.caller, row, told, context.now))
