"""`serin registry jobs` and `drift`: trainings that are asked for and reported on, and what monitors found."""

import itertools
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serin_services.registry.cli import options, screens, session
from serin_services.registry.cli.options import Format

if TYPE_CHECKING:
    from serin_services.registry.client.learning import Job

jobs = typer.Typer(
    help="Trainings and retrainings: asked for here, carried out by whoever trains.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
drift = typer.Typer(help="Features and targets whose distribution moved.", no_args_is_help=True, rich_markup_mode=None)

Retraining = Annotated[bool, typer.Option("--retraining", help="Of retrainings instead of trainings.")]
_TRIGGERS = ("manual", "performance", "drift", "schedule")


def _kind(retraining: bool) -> str:
    return "retraining-jobs" if retraining else "training-jobs"


@jobs.command("submit")
def submit(
    model: options.Model,
    parameters: Annotated[str, typer.Option("--parameters", help="What the trainer is told, in JSON.")] = "{}",
    retraining: Annotated[bool, typer.Option("--retraining", help="It is trained anew.")] = False,
    trigger: Annotated[str, typer.Option("--trigger", help=f"Of a retraining: {', '.join(_TRIGGERS)}.")] = "manual",
    output: options.Output = Format.TABLE,
) -> None:
    """Ask for a training, or for a retraining and say what asks for it.

    \b
    Examples:
      serin registry jobs submit momentum --parameters '{"days": 90}'
      serin registry jobs submit momentum --retraining --trigger drift
    """  # noqa: D301 - \b keeps the lines of the examples apart
    try:
        told = json.loads(parameters)
    except ValueError as error:
        raise typer.BadParameter(f"expected JSON: {error}", param_hint="--parameters") from error
    with session.connect() as registry:
        made = (
            registry.trigger_retraining(model, told, trigger) if retraining else registry.submit_training(model, told)
        )
    screens.show(made, output, lambda: screens.make_table(_COLUMNS, [_line(made)], ""))


@jobs.command("list")
def list_jobs(
    model: Annotated[str | None, typer.Argument(help="The model; default: all.", show_default=False)] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only those in this state, such as PENDING.")] = None,
    retraining: Retraining = False,
    limit: options.Limit = 50,
    output: options.Output = Format.TABLE,
) -> None:
    """List trainings, the newest first.

    \b
    Examples:
      serin registry jobs list momentum
      serin registry jobs list --retraining --state PENDING -o json
    """  # noqa: D301 - as above
    wanted = state.upper() if state else None
    with session.connect() as registry:
        found = list(itertools.islice(registry.jobs(_kind(retraining), model=model, state=wanted), limit))
    screens.show(found, output, lambda: screens.make_table(_COLUMNS, map(_line, found), "no jobs"))


@jobs.command("report")
def report(
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    state: Annotated[str, typer.Argument(help="RUNNING, COMPLETED or FAILED.", show_default=False)],
    message: Annotated[str, typer.Option("--message", help="What there is to say.")] = "",
    version: Annotated[str | None, typer.Option("--version", help="The version that a completed one made.")] = None,
    retraining: Retraining = False,
    output: options.Output = Format.TABLE,
) -> None:
    """Say that a training runs, or how it ended.

    \b
    Examples:
      serin registry jobs report 0c1f… RUNNING
      serin registry jobs report 0c1f… COMPLETED --version 1.3.0
    """  # noqa: D301 - as above
    with session.connect() as registry:
        told = registry.report_job(job, state.upper(), message, version, _kind(retraining))
    screens.show(told, output, lambda: screens.make_table(_COLUMNS, [_line(told)], ""))


_COLUMNS = ("ID", "STATE", "TRIGGER", "CREATED", "BY", "STARTED", "ENDED", "PARAMETERS", "MESSAGE")


def _line(job: "Job") -> tuple[Any, ...]:
    times = (job.created_at, job.created_by, job.started_at, job.ended_at)
    return (str(job.id), job.state, job.trigger, *times, job.parameters, job.message)


@drift.command("list")
def list_drift(
    model: Annotated[str | None, typer.Argument(help="The model; default: all.", show_default=False)] = None,
    severity: Annotated[str | None, typer.Option("--severity", help="low, medium or high.")] = None,
    since: options.Since = None,
    limit: options.Limit = 50,
    output: options.Output = Format.TABLE,
) -> None:
    """List what monitors found, the newest first.

    \b
    Examples:
      serin registry drift list momentum --severity high
    """  # noqa: D301 - as above
    moment = options.read_moment("--since", since)
    with session.connect() as registry:
        found = list(itertools.islice(registry.drift_events(model=model, severity=severity, since=moment), limit))
    columns = ("AT", "FEATURE", "SEVERITY", "STATISTIC", "P", "DETAILS")
    lines = ((d.at, d.feature, d.severity, d.statistic, d.p_value, d.details) for d in found)
    screens.show(found, output, lambda: screens.make_table(columns, lines, "no drift was found"))


@drift.command("report")
def report_drift(
    model: options.Model,
    feature: Annotated[str, typer.Option("--feature", help="The feature, or the target.", show_default=False)],
    statistic: Annotated[float, typer.Option("--statistic", help="What the test gave.", show_default=False)],
    p: Annotated[float, typer.Option("--p", help="Its p-value.", min=0, max=1, show_default=False)],
    severity: Annotated[str, typer.Option("--severity", help="low, medium or high.", show_default=False)],
    version: Annotated[str | None, typer.Option("--version", help="The version that was looked at.")] = None,
    output: options.Output = Format.TABLE,
) -> None:
    """Write down what a monitor found.

    \b
    Examples:
      serin registry drift report momentum --feature rsi_14 --statistic 0.31 --p 0.003 --severity high
    """  # noqa: D301 - as above
    finding = {"feature": feature, "statistic": statistic, "p_value": p, "severity": severity, "version": version}
    with session.connect() as registry:
        found = registry.report_drift(model, finding)
    text = f"{model}: {found.feature} has drifted ({found.severity})"
    screens.show(found, output, lambda: text)
