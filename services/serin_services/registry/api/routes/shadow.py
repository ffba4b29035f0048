"""Shadow: versions that answer mirrored traffic beside the champion, how both do, and what is asked of the trial."""

import datetime as dt
import uuid
from typing import Annotated, Any

import pydantic

from serin_services.registry.api.context import Asked, Context
from serin_services.registry.api.figures import Figures
from serin_services.registry.api.filters import Moment, VersionFilter
from serin_services.registry.api.routes.deployments import DeployBody, PlacedAnswer, RequestAnswer
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import Answer, ModelPath, PageAnswer, Slice, VersionPath
from serin_services.registry.records.catalogue import versions
from serin_services.registry.records.outcomes import shadow
from serin_services.registry.records.outcomes.performance import Window
from serin_services.registry.records.rollouts import deployments, trials
from serin_services.registry.records.rollouts.requests import Verb

router = make_router("shadow")

# As Kubernetes' durations are written in a ModelDeployment.
Duration = Annotated[str, pydantic.StringConstraints(pattern=r"^([1-9][0-9]{0,4}(h|m|s)){1,3}$")]


class TrialAnswer(Answer):
    """A version in the shadow of one deployment, and the champion beside it."""

    tenant: str
    model: str
    model_id: uuid.UUID
    version: str
    champion: str | None
    since: dt.datetime
    deployment_id: uuid.UUID
    namespace: str
    deployment: str


class PairedAnswer(Answer):
    """Rows that both answered, of the newest 200,000 of the challenger, counted by what came of them."""

    rows: int
    agreed: int
    judged: int = pydantic.Field(description="Both gave a label, and the outcome has one.")
    both_right: int
    challenger_alone_right: int
    champion_alone_right: int
    mean_difference: float | None = pydantic.Field(description="Of their values, as a size.")


class ShadowComparison(Answer):
    """How champion and challenger did in the same hours."""

    version: str
    champion: str
    since: dt.datetime
    until: dt.datetime
    figures: dict[str, Figures] = pydantic.Field(
        description="Of `champion` and `challenger`, over all that each answered."
    )
    paired: PairedAnswer


class ShadowDeployBody(DeployBody):
    """Where a version is to be put into the shadow, and for how long at least."""

    duration: Duration = "24h"
    mirror_percent: int = pydantic.Field(default=100, ge=1, le=100)


@router.get("/shadow", summary="List versions in the shadow")
def list_trials(context: Context) -> list[TrialAnswer]:
    """Give every version that is shown mirrored traffic now, and the champion beside it."""
    return [_describe(trial) for trial in trials.find_trials(context.session, context.caller)]


@router.get("/models/{model}/versions/{version}/shadow", summary="Read where a version is in the shadow")
def read_trials(context: Context, model: ModelPath, version: VersionPath) -> list[TrialAnswer]:
    """Give the deployments in whose shadow a version is; none, if it is in none."""
    return [_describe(trial) for trial in trials.find_trials(context.session, context.caller, model, version)]


@router.get("/models/{model}/versions/{version}/shadow/comparison", summary="Compare a version with the champion")
def read_comparison(
    context: Context,
    model: ModelPath,
    version: VersionPath,
    champion: VersionFilter = None,
    since: Moment = None,
    until: Moment = None,
) -> ShadowComparison:
    """Compare what came of both versions' predictions; by default since the trial began, or over the last 24 hours."""
    pair = _find_pair(context, model, version, champion)
    window = Window.make(since or pair.since, until, context.now)
    figures = shadow.compare(context.session, pair.challenger, pair.champion, window)
    return _show(pair.challenger.version, pair.champion.version, window.since, window.until, figures)


@router.post(
    "/models/{model}/versions/{version}/shadow/comparison",
    status_code=201,
    summary="Keep a comparison with the champion",
)
def keep_comparison(
    context: Context, model: ModelPath, version: VersionPath, champion: VersionFilter = None, since: Moment = None
) -> ShadowComparison:
    """Compare both until now, and keep the result in the version's history."""
    pair = _find_pair(context, model, version, champion)
    begun = since or pair.since or context.now - dt.timedelta(days=1)
    row = shadow.record(context.session, context.caller, pair.challenger, pair.champion, begun, context.now)
    return _show(pair.challenger.version, pair.champion.version, row.since, row.at, row.figures)


@router.get("/models/{model}/versions/{version}/shadow/history", summary="List a version's comparisons")
def list_comparisons(
    context: Context, model: ModelPath, version: VersionPath, part: Slice
) -> PageAnswer[ShadowComparison]:
    """Give the comparisons that were kept, the newest first; one is kept by itself whenever a version leaves the shadow."""
    found = shadow.list_results(context.session, context.caller, model, version, part)
    return PageAnswer[ShadowComparison].model_validate(found.map(_show_result))


@router.post(
    "/models/{model}/versions/{version}/shadow/deploy", status_code=202, summary="Put a version into the shadow"
)
def deploy_shadow(context: Context, model: ModelPath, version: VersionPath, body: ShadowDeployBody) -> PlacedAnswer:
    """Roll a version out, beginning with mirrored traffic; from there it goes on by the deployment's strategy."""
    row = versions.find(context.session, context.caller, model, version)
    wish = deployments.Wish(body.namespace, body.name or "", body.spec)
    staging = trials.Staging(body.duration, body.mirror_percent)
    cluster = context.services.deployer
    placed = trials.deploy(context.session, context.caller, cluster, row, wish, staging, context.now)
    return PlacedAnswer.model_validate(placed)


@router.post("/models/{model}/versions/{version}/shadow/promote", status_code=202, summary="Promote from the shadow")
def promote_shadow(context: Context, model: ModelPath, version: VersionPath) -> RequestAnswer:
    """Ask the operator to give the version all traffic now."""
    return _ask(context, model, version, Verb.PROMOTE)


@router.post("/models/{model}/versions/{version}/shadow/rollback", status_code=202, summary="Roll back from the shadow")
def roll_back_shadow(context: Context, model: ModelPath, version: VersionPath) -> RequestAnswer:
    """Ask the operator to take the version out of the shadow."""
    return _ask(context, model, version, Verb.ROLLBACK)


def _ask(context: Asked, model: str, version: str, verb: Verb) -> RequestAnswer:
    trial = trials.find_trial(context.session, context.caller, model, version)
    asked = trials.ask(context.session, context.caller, context.services.deployer, trial, verb, context.now)
    return RequestAnswer(request=asked.id, verb=asked.verb)


def _find_pair(context: Asked, model: str, version: str, champion: str | None) -> trials.Pair:
    return trials.find_pair(context.session, context.caller, model, version, champion)


def _describe(trial: trials.Trial) -> TrialAnswer:
    challenger = trial.challenger
    return TrialAnswer(
        tenant=challenger.tenant_id,
        model=challenger.model.name,
        model_id=challenger.model_id,
        version=challenger.version,
        champion=trial.champion.version if trial.champion else None,
        since=trial.since,
        deployment_id=trial.deployment.id,
        namespace=trial.deployment.namespace,
        deployment=trial.deployment.name,
    )


def _show_result(found: shadow.Result) -> ShadowComparison:
    return _show(found.version, found.champion, found.row.since, found.row.at, found.row.figures)


def _show(
    version: str, champion: str, since: dt.datetime, until: dt.datetime, found: dict[str, Any]
) -> ShadowComparison:
    return ShadowComparison.model_validate(
        {
            "version": version,
            "champion": champion,
            "since": since,
            "until": until,
            "figures": {name: found[name] for name in ("champion", "challenger")},
            "paired": found["paired"],
        }
    )
