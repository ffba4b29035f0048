"""The status of a ModelDeployment, field by field: what people read, and what the operator remembers."""

from typing import Any

from pydantic import Field

from serin.api.v1alpha1 import Model


class RevisionStatus(Model):
    """One version as it runs."""

    revision: str = Field(
        description="Hash of version, image and pod template; the label serin.dev/revision of its pods."
    )
    version: str = Field(description="The version.")
    image: str = Field(description="Its image.")
    slot: str = Field(description="Which of the two Services it has: a or b.")


class RetainedStatus(Model):
    """A failed version whose pods stay for inspection."""

    revision: RevisionStatus = Field(description="The version.")
    until: str = Field(description="When its pods go.")


class FailureStatus(Model):
    """Why a version lost its traffic."""

    revision: str = Field(description="The failed revision.")
    version: str = Field(description="Its version.")
    reason: str = Field(description="A word for programs.")
    message: str = Field(description="A sentence for people.")
    at: str = Field(description="When it was decided.")
    alert: str = Field("", description="The alert that was firing, if it was one.")
    numbers: dict[str, str] = Field(default_factory=dict, description="What was measured then, by criterion.")


class RequestStatus(Model):
    """The last request of a person, so that it is carried out once."""

    id: str = Field(description="The id from the annotation serin.dev/request: <verb>:<id>.")
    verb: str = Field(description="What was asked for.")
    accepted: bool = Field(description="Whether it was carried out.")
    message: str = Field(description="What was done, or why not.")
    at: str = Field(description="When.")


class AssessmentStatus(Model):
    """One criterion held against the measurements of the current step."""

    name: str = Field(description="The criterion.")
    verdict: str = Field(description="Pass, Fail, Insufficient or Unavailable.")
    message: str = Field(description="The numbers, in a sentence.")


class ConditionStatus(Model):
    """A condition as in the Kubernetes API conventions."""

    type: str = Field(description="What it is about.")
    status: str = Field(description="True, False or Unknown.", json_schema_extra={"enum": ["True", "False", "Unknown"]})
    reason: str = Field(description="A word for programs.")
    message: str = Field(description="A sentence for people.")
    last_transition_time: str = Field(
        description="When the status last changed.", json_schema_extra={"format": "date-time"}
    )
    observed_generation: int = Field(description="The generation of the spec that it is about.")


class Status(Model):
    """What the operator sees and remembers."""

    observed_generation: int = Field(0, description="The generation of the spec that this is about.")
    phase: str = Field(
        "Pending",
        description="Pending, Staging, Canary, Baking, Production, Paused, RollingBack, RolledBack, Superseded or Stopped.",
    )
    message: str = Field("", description="What is going on, in a sentence.")
    stable: RevisionStatus | None = Field(None, description="The version that traffic returns to.")
    candidate: RevisionStatus | None = Field(None, description="The version under test.")
    leaving: RevisionStatus | None = Field(None, description="A version at weight 0 whose drain is being verified.")
    retained: list[RetainedStatus] = Field(default_factory=list, description="Failed versions kept for inspection.")
    step: str = Field("", description="The step under way and how many there are, like 2/4.")
    weight: int = Field(0, description="The candidate's share of the traffic, in percent.")
    verdict: str = Field("", description="What the evidence says: Pass, Fail, Insufficient or Unavailable.")
    assessments: list[AssessmentStatus] = Field(
        default_factory=list, description="The verdict, criterion by criterion."
    )
    failure: FailureStatus | None = Field(None, description="Why the last failed version lost its traffic.")
    request: RequestStatus | None = Field(None, description="The last request of a person.")
    conditions: list[ConditionStatus] = Field(
        default_factory=list,
        description="Ready, Promoted, Progressing, Reconciling, Stalled, TrafficVerified, AnalysisAvailable, RolledBack, "
        "RouteConflict.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    started: str | None = Field(None, description="When this attempt began.")
    entered: str | None = Field(None, description="When the phase or step began.")
    since: str | None = Field(
        None, description="When the route was first seen to carry the step; its time counts from here."
    )
    resume: str | None = Field(None, description="The phase that a pause interrupted.")
    paused_at: str | None = Field(None, description="When the pause began.")
    attempt: int = Field(1, description="Which attempt at this version it is.")
    replicas: int = Field(0, description="Pods of the version that serves.")
    selector: str = Field("", description="The selector of its pods, for the scale subresource.")
    endpoint: str = Field("", description="Path under which the model is reached at the gateway.")


def load(status: dict[str, Any]) -> Status | None:
    """Read a stored status, or give None where it is not one that this version wrote.

    A status is memory, not input: what cannot be read is rebuilt from the children, so nothing is raised.
    """
    try:
        return Status.model_validate(status)
    except ValueError:
        return None
