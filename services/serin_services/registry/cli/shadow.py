"""`serin registry shadow`: versions that answer beside the champion without anyone getting their answers."""

import itertools
from typing import TYPE_CHECKING, Annotated

import typer

from serin_services.registry.cli import options, rollouts, screens, session
from serin_services.registry.cli.options import Format

if TYPE_CHECKING:
    from rich.console import RenderableType

    from serin_services.registry.client import figures

shadow = typer.Typer(
    help="Versions on mirrored traffic: where they are, and how they do beside the champion.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_FIGURES = {
    "predictions": "predictions",
    "outcomes": "outcomes",
    "accuracy": "accuracy",
    "win rate": "win_rate",
    "Sharpe": "sharpe",
    "profit factor": "profit_factor",
}
_PAIRS = {
    "rows of both": "rows",
    "agreed": "agreed",
    "both right": "both_right",
    "challenger alone": "challenger_alone_right",
    "champion alone": "champion_alone_right",
}

Champion = Annotated[
    str | None, typer.Option("--champion", help="The version it is compared with; default: the one beside it.")
]


@shadow.command("list")
def list_trials(output: options.Output = Format.TABLE) -> None:
    """List the versions that are in the shadow now, with the champion beside each.

    \b
    Examples:
      serin registry shadow list
    """  # noqa: D301 - \b keeps the lines of the examples apart
    with session.connect() as registry:
        found = registry.shadows()
    screens.show(found, output, lambda: _draw(found))


@shadow.command("status")
def status(model: options.Model, version: options.Version, output: options.Output = Format.TABLE) -> None:
    """Show in which deployments a version is in the shadow, and since when.

    \b
    Examples:
      serin registry shadow status momentum 1.3.0
    """  # noqa: D301 - as above
    with session.connect() as registry:
        found = registry.shadows(model, version)
    screens.show(found, output, lambda: _draw(found))


def _draw(found: list["figures.Trial"]) -> "RenderableType":
    columns = ("MODEL", "VERSION", "CHAMPION", "DEPLOYMENT", "SINCE")
    lines = ((t.model, t.version, t.champion, f"{t.namespace}/{t.deployment}", t.since) for t in found)
    return screens.make_table(columns, lines, "not in the shadow of any deployment")


@shadow.command("compare")
def compare(
    model: options.Model,
    version: options.Version,
    champion: Champion = None,
    since: options.Since = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the result in the version's history.")] = False,
    output: options.Output = Format.TABLE,
) -> None:
    """Compare what came of a version's predictions with what came of its champion's, over the same time and rows.

    \b
    Examples:
      serin registry shadow compare momentum 1.3.0
      serin registry shadow compare momentum 1.3.0 --champion 1.2.0 --keep
    """  # noqa: D301 - as above
    moment = options.read_moment("--since", since)
    with session.connect() as registry:
        found = registry.shadow_comparison(model, version, keep=keep, champion=champion, since=moment)
    screens.show(found, output, lambda: _draw_comparison(found))


def _draw_comparison(found: "figures.ShadowComparison") -> "RenderableType":
    from rich.console import Group  # noqa: PLC0415 - only for text

    champion, challenger = found.figures["champion"], found.figures["challenger"]
    lines = (
        (title, _write(getattr(champion, name)), _write(getattr(challenger, name))) for title, name in _FIGURES.items()
    )
    names = (f"champion {found.champion}", f"challenger {found.version}")
    window = f"{screens.write(found.since)} to {screens.write(found.until)}"
    pairs = {title: getattr(found.paired, name) for title, name in _PAIRS.items()}
    table = screens.make_table(("", *names), lines, "")
    return Group(table, "", screens.make_facts({"window": window, **pairs}))


def _write(figure: object) -> str:
    return screens.write(figure) if isinstance(figure, float) else str(screens.DASH if figure is None else figure)


@shadow.command("history")
def history(
    model: options.Model, version: options.Version, limit: options.Limit = 20, output: options.Output = Format.TABLE
) -> None:
    """List the comparisons that were kept of a version, the newest first.

    \b
    Examples:
      serin registry shadow history momentum 1.3.0
    """  # noqa: D301 - as above
    with session.connect() as registry:
        found = list(itertools.islice(registry.shadow_history(model, version), limit))
    columns = ("UNTIL", "CHAMPION", "ITS ACCURACY", "ACCURACY", "ROWS OF BOTH", "AGREED")
    lines = (
        (
            one.until,
            one.champion,
            _write(one.figures["champion"].accuracy),
            _write(one.figures["challenger"].accuracy),
            one.paired.rows,
            one.paired.agreed,
        )
        for one in found
    )
    screens.show(found, output, lambda: screens.make_table(columns, lines, "no comparison was kept"))


@shadow.command("deploy")
def deploy(
    model: options.Model,
    version: options.Version,
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="Where.", show_default=False)],
    name: Annotated[str, typer.Option("--name", help="The ModelDeployment's name; default: the model's.")] = "",
    duration: Annotated[str, typer.Option("--duration", help="How long at least, like 24h.")] = "24h",
    mirror: Annotated[
        int, typer.Option("--mirror", help="Percent of the requests that it sees.", min=1, max=100)
    ] = 100,
    output: options.Output = Format.TABLE,
) -> None:
    """Roll a version out, beginning with mirrored traffic whose answers nobody gets.

    \b
    Examples:
      serin registry shadow deploy momentum 1.3.0 -n trading --duration 48h
    """  # noqa: D301 - as above
    body = {"namespace": namespace, "name": name or None, "duration": duration, "mirror_percent": mirror}
    with session.connect() as registry:
        placed = registry.deploy_shadow(model, version, body)
    text = f"{placed.namespace}/{placed.name}: {model} {version} goes into the shadow for {duration}"
    screens.show(placed, output, lambda: text)


@shadow.command("promote")
def promote(
    model: options.Model,
    version: options.Version,
    timeout: rollouts.Seconds = 60,
    output: options.Output = Format.TABLE,
) -> None:
    """Give a version in the shadow all traffic now.

    \b
    Examples:
      serin registry shadow promote momentum 1.3.0
    """  # noqa: D301 - as above
    _request(model, version, "promote", timeout, output)


@shadow.command("rollback")
def rollback(
    model: options.Model,
    version: options.Version,
    timeout: rollouts.Seconds = 60,
    output: options.Output = Format.TABLE,
) -> None:
    """Take a version out of the shadow.

    \b
    Examples:
      serin registry shadow rollback momentum 1.3.0
    """  # noqa: D301 - as above
    _request(model, version, "rollback", timeout, output)


def _request(model: str, version: str, verb: str, timeout: float, output: Format) -> None:
    with session.connect() as registry:
        # The newest trial is the one that is asked; afterwards it may be over.
        trials = registry.shadows(model, version)
        asked = registry.request_shadow(model, version, verb)
        answer = registry.await_answer(str(trials[0].deployment_id), asked, timeout)
    rollouts.report(f"{trials[0].namespace}/{trials[0].deployment}", verb, answer, output)
