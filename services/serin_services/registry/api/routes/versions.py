"""Versions: registered, listed, found, changed, moved, compared and traced."""

from typing import Annotated

import fastapi

from serin_services.registry.api import etags
from serin_services.registry.api.answers import (
    ChangeAnswer,
    ComparisonAnswer,
    DecisionAnswer,
    LineageAnswer,
    TransitionAnswer,
    VersionAnswer,
    VersionSummary,
)
from serin_services.registry.api.context import Asked, Context
from serin_services.registry.api.etags import IfMatch
from serin_services.registry.api.forms import NewMove, NewVersion, VersionChanges
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import (
    LabelQuery,
    Line,
    ModelPath,
    Moment,
    PageAnswer,
    Search,
    Slice,
    VersionPath,
)
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.records.catalogue import comparing, lifecycle, listing, models, versions

router = make_router("versions")


def _read_filters(
    q: Search = None,
    stages: Annotated[
        list[Stage], fastapi.Query(alias="stage", max_length=len(Stage), description="Any of these.")
    ] = [],  # noqa: B006 - FastAPI copies it
    labels: LabelQuery = [],  # noqa: B006
    family: Annotated[Line | None, fastapi.Query()] = None,
    run_id: Annotated[Line | None, fastapi.Query()] = None,
    created_since: Moment = None,
    created_until: Moment = None,
) -> listing.Filters:
    return listing.Filters(
        stages=tuple(stages),
        labels=tuple(labels),
        family=family,
        run_id=run_id,
        created_since=created_since,
        created_until=created_until,
        text=q,
    )


Filters = Annotated[listing.Filters, fastapi.Depends(_read_filters)]


def _describe(context: Asked, version: tables.ModelVersion, response: fastapi.Response) -> VersionAnswer:
    etags.put(response, version)
    parents = versions.read_parents(context.session, [version])
    return VersionAnswer.of(version, parents)


def _list(context: Asked, filters: listing.Filters, part: Slice) -> PageAnswer[VersionSummary]:
    page = listing.list_versions(context.session, context.caller, filters, part)
    parents = versions.read_parents(context.session, page.items)
    return PageAnswer(items=[VersionSummary.of(version, parents) for version in page.items], next=page.next)


@router.get("/versions", summary="List versions across models")
def list_all_versions(context: Context, part: Slice, filters: Filters) -> PageAnswer[VersionSummary]:
    """Give the versions of all models that the caller may see, the newest first."""
    return _list(context, filters, part)


@router.get("/models/{model}/versions", summary="List a model's versions")
def list_versions(context: Context, model: ModelPath, part: Slice, filters: Filters) -> PageAnswer[VersionSummary]:
    """Give the versions of a model, the newest first."""
    return _list(context, filters.of(model), part)


@router.post("/models/{model}/versions", status_code=201, summary="Register a version")
def register_version(context: Context, model: ModelPath, body: NewVersion, response: fastapi.Response) -> VersionAnswer:
    """Register a version as a DRAFT; its number is decided from what changed against its parent.

    A given number must not be smaller than the change demands. Needs the role developer.
    """
    found = models.find(context.session, context.caller, model)
    version = versions.register(context.session, context.caller, found, body.to_draft(found.name), context.now)
    response.headers["Location"] = f"/api/v1/models/{found.id}/versions/{version.version}"
    return _describe(context, version, response)


@router.post("/models/{model}/decide", summary="Ask which number a version would get")
def decide_version(context: Context, model: ModelPath, body: NewVersion) -> DecisionAnswer:
    """Say which number a version would get against its parent, and by which rules, without registering it."""
    found = models.find(context.session, context.caller, model)
    decision = versions.decide(context.session, context.caller, found, body.to_draft(found.name))
    return DecisionAnswer(
        version=decision.version,
        parent=decision.parent.version if decision.parent else None,
        change=ChangeAnswer(part=decision.change.part.name, reasons=list(decision.change.reasons)),
    )


@router.get("/models/{model}/compare", summary="Compare two versions")
def compare_versions(
    context: Context,
    model: ModelPath,
    old: Annotated[Line, fastapi.Query(min_length=1, examples=["1.2.0"])],
    new: Annotated[Line, fastapi.Query(min_length=1, examples=["1.3.0"])],
) -> ComparisonAnswer:
    """Give what two versions of a model differ in: configuration, features, data, metrics, and what became of them."""
    found = models.find(context.session, context.caller, model)
    pair = [versions.find_in(context.session, found, version) for version in (old, new)]
    comparison = comparing.compare(context.session, context.caller, *pair)
    return ComparisonAnswer.model_validate(comparison.dump())


@router.get("/models/{model}/lineage", summary="Trace all versions of a model")
def get_model_lineage(context: Context, model: ModelPath) -> LineageAnswer:
    """Give the graph of a model's versions, parents before children."""
    found = models.find(context.session, context.caller, model)
    return LineageAnswer.of(comparing.trace(context.session, context.caller, found))


@router.get("/models/{model}/versions/{version}", summary="Find a version")
def get_version(context: Context, model: ModelPath, version: VersionPath, response: fastapi.Response) -> VersionAnswer:
    """Give all that is known of a version."""
    return _describe(context, versions.find(context.session, context.caller, model, version), response)


@router.patch("/models/{model}/versions/{version}", summary="Change a version", responses=etags.RESPONSES)
def change_version(
    context: Context,
    model: ModelPath,
    version: VersionPath,
    revision: IfMatch,
    body: Annotated[VersionChanges, fastapi.Body()],
    response: fastapi.Response,
) -> VersionAnswer:
    """Change what is said about a version; what it is made of never changes. Needs the role developer and `If-Match`."""
    found = versions.find(context.session, context.caller, model, version)
    etags.check(found, revision)
    changed = versions.change(context.session, context.caller, found, body.to_changes(), context.now)
    return _describe(context, changed, response)


@router.post("/models/{model}/versions/{version}/move", summary="Move a version through its lifecycle")
def move_version(
    context: Context, model: ModelPath, version: VersionPath, body: NewMove, response: fastapi.Response
) -> VersionAnswer:
    """Move a version to another stage, with the reason. Moves from STAGING to PRODUCTION are the cluster's alone.

    Needs the role developer.
    """
    found = versions.find(context.session, context.caller, model, version)
    lifecycle.move(context.session, context.caller, found, body.target, body.why, context.now)
    return _describe(context, found, response)


@router.get("/models/{model}/versions/{version}/transitions", summary="List a version's moves")
def list_transitions(
    context: Context, model: ModelPath, version: VersionPath, part: Slice
) -> PageAnswer[TransitionAnswer]:
    """Give the moves of a version with who, when and why, the last one first."""
    found = versions.find(context.session, context.caller, model, version)
    page = lifecycle.list_transitions(context.session, context.caller, found, part)
    return PageAnswer(items=[TransitionAnswer.model_validate(row) for row in page.items], next=page.next)


@router.get("/models/{model}/versions/{version}/lineage", summary="Trace a version")
def get_version_lineage(context: Context, model: ModelPath, version: VersionPath) -> LineageAnswer:
    """Give the versions that a version comes from, and those that come from it."""
    found = models.find(context.session, context.caller, model)
    return LineageAnswer.of(comparing.trace(context.session, context.caller, found, version))
