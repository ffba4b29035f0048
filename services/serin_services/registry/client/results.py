"""What the API answers, as the client reads it: by names and types, and without importing the server.

Whatever else an answer has is kept and handed on, so that a client goes on working with a registry that is newer than it.
"""

import datetime as dt
import uuid
from typing import Any

import pydantic


class Result(pydantic.BaseModel):
    """An answer, or a part of one."""

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")


class Model(Result):
    """A model; `owner` is the user whose private model it is, or empty."""

    id: uuid.UUID
    name: str
    tenant: str
    owner: str
    visibility: str
    description: str
    labels: dict[str, str]
    created_at: dt.datetime
    created_by: str
    revision: int


class VersionSummary(Result):
    """A version in a list."""

    id: uuid.UUID
    model: str
    model_id: uuid.UUID
    tenant: str
    version: str
    stage: str
    stage_since: dt.datetime
    change: str
    family: str
    hyperparameters: dict[str, Any]
    feature_version: str
    target: str
    metrics: dict[str, float]
    labels: dict[str, str]
    parent: str | None
    artifact_sha256: str
    image: str
    run_id: str
    trained_at: dt.datetime | None
    deployed_at: dt.datetime | None
    archived_at: dt.datetime | None
    created_at: dt.datetime
    created_by: str
    revision: int


class Version(VersionSummary):
    """All that is known of a version."""

    change_reasons: list[str]
    architecture: dict[str, Any]
    features: list[dict[str, Any]]
    data: dict[str, Any]


class Transition(Result):
    """A move of a version."""

    source: str
    target: str
    at: dt.datetime
    by: str
    why: str
    deployment_id: uuid.UUID | None


class Approval(Result):
    """What an office said to a version."""

    office: str
    approved: bool
    at: dt.datetime
    by: str
    why: str


class ApprovalList(Result):
    """All that offices said to a version, and in sentences what is missing for it to go into production."""

    items: list[Approval]
    missing: list[str]


class Change(Result):
    """Which part of the number a difference asks for, and by which rules."""

    part: str
    reasons: list[str]


class Decision(Result):
    """Which number a version would get."""

    version: str
    parent: str | None
    change: Change


class Artifact(Result):
    """A file of a version; the size is in bytes."""

    name: str
    sha256: str
    size: int
    media_type: str
    encrypted: bool
    created_at: dt.datetime
    created_by: str


class ArtifactList(Result):
    """All files of a version."""

    items: list[Artifact]


class Node(Result):
    """A version in a lineage."""

    id: uuid.UUID
    version: str
    parent_id: uuid.UUID | None
    stage: str
    change: str


class Lineage(Result):
    """Versions, parents before children."""

    nodes: list[Node]
    ancestors: list[str]
    descendants: list[str]


class Deployment(Result):
    """A ModelDeployment as it was last seen."""

    id: uuid.UUID
    cluster: str
    namespace: str
    name: str
    model: str
    model_id: uuid.UUID
    version: str
    phase: str
    step: str
    weight: int
    verdict: str
    message: str
    observed_at: dt.datetime
    deleted_at: dt.datetime | None


class RolloutEvent(Result):
    """Something that happened to a deployment."""

    at: dt.datetime
    kind: str
    version: str
    message: str


class Placed(Result):
    """The ModelDeployment that a version was deployed with."""

    namespace: str
    name: str
    created: bool


class Asked(Result):
    """A request that the operator will answer."""

    request: str
    verb: str


class Stopped(Result):
    """One object that was asked to stop; `request` is None where it could not be asked, and `problem` says why."""

    namespace: str
    name: str
    request: str | None
    problem: str


class AllStopped(Result):
    """All objects that were asked."""

    items: list[Stopped]


class Answer(Result):
    """The operator's answer to a request; `accepted` is None where it has not been looked at."""

    settled: bool
    accepted: bool | None
    message: str


class Dependency(Result):
    """One thing that the registry needs: up, down, or off."""

    state: str
    latency_ms: float
    message: str


class Health(Result):
    """The state of everything that the registry needs; up only where nothing is down."""

    state: str
    dependencies: dict[str, Dependency]


class Caller(Result):
    """Who is calling, as the token says."""

    subject: str
    tenant: str
    role: str
    offices: list[str]


class Status(Result):
    """What the registry holds, as far as the caller may see it."""

    models: int
    versions: int
    stages: dict[str, int]


class Tenant(Result):
    """What a tenant asks for."""

    id: str
    sign_off: list[str]


class TenantList(Result):
    """The tenants that the caller is of."""

    items: list[Tenant]


class AuditEntry(Result):
    """One change, linked to the one before by its hash."""

    seq: int
    at: dt.datetime
    actor: str
    action: str
    object_type: str
    object_id: str
    details: dict[str, Any]
    previous_hash: str
    hash: str


class Head(Result):
    """Where an audit log ends."""

    seq: int
    digest: str


class Verdict(Result):
    """Whether an audit log is as it was written; else the first entry that is not, and why."""

    ok: bool
    count: int
    broken: int | None
    reason: str
    head: Head
