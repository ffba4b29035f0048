"""`serin registry move`, `sign-off`, `approve` and `history`: how a version goes its way, and who said yes."""

import itertools
from typing import Annotated

import typer

from serin_services.registry.cli import options, screens, session
from serin_services.registry.cli.options import Format


def move(
    model: options.Model,
    version: options.Version,
    stage: Annotated[str, typer.Argument(help="TRAINING, TESTING, DRAFT or ARCHIVED.", show_default=False)],
    why: options.Why,
    output: options.Output = Format.TABLE,
) -> None:
    """Move a version to another stage; the stages from STAGING to PRODUCTION are the cluster's to give.

    \b
    Examples:
      serin registry move momentum 1.2.0 TESTING --why "training ended"
      serin registry move momentum 1.0.0 ARCHIVED --why "nobody uses it"
    """  # noqa: D301 - \b keeps the lines of the examples apart
    with session.connect() as registry:
        moved = registry.move(model, version, stage.upper(), why)
    text = f"{moved.model} {moved.version} is in {moved.stage}"
    screens.show(moved, output, lambda: text)


def approve(
    model: options.Model,
    version: options.Version,
    office: Annotated[
        str, typer.Option("--office", help="The office that you hold and speak for.", show_default=False)
    ],
    why: options.Why,
    reject: Annotated[bool, typer.Option("--reject", help="Say no instead of yes.")] = False,
    output: options.Output = Format.TABLE,
) -> None:
    """Say yes or no to a version, for an office that you hold; its last word counts.

    \b
    Examples:
      serin registry approve momentum 1.2.0 --office technical-lead --why "backtest over a year passed"
      serin registry approve momentum 1.2.0 --office risk-manager --reject --why "drawdown of 12 %"
    """  # noqa: D301 - as above
    with session.connect() as registry:
        said = registry.approve(model, version, office, approved=not reject, why=why)
    text = f"{model} {version}: {said.office} {'approved' if said.approved else 'refused'} it"
    screens.show(said, output, lambda: text)


def sign_off(
    tenant: Annotated[str, typer.Argument(help="Your tenant.", show_default=False)],
    office: Annotated[
        list[str] | None, typer.Option("--office", help="One that must approve; may be repeated.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Ask for no sign-off any more.")] = False,
    output: options.Output = Format.TABLE,
) -> None:
    """Show, or say, which offices must approve a version before it may go into production.

    \b
    Examples:
      serin registry sign-off trading
      serin registry sign-off trading --office technical-lead --office risk-manager
    """  # noqa: D301 - as above
    with session.connect() as registry:
        found = registry.ask_sign_off(tenant, office or []) if office or none else registry.tenant(tenant)
    text = f"{found.id}: {', '.join(found.sign_off) or 'no sign-off is asked for'}"
    screens.show(found, output, lambda: text)


def history(
    model: options.Model,
    version: Annotated[str | None, typer.Argument(help="The version; default: all that happened.")] = None,
    limit: options.Limit = 50,
    output: options.Output = Format.TABLE,
) -> None:
    """Show what a version went through, or what happened in the deployments of a model, the latest first.

    \b
    Examples:
      serin registry history momentum 1.2.0
      serin registry history momentum -o json
    """  # noqa: D301 - as above
    with session.connect() as registry:
        if version:
            moves = list(itertools.islice(registry.transitions(model, version), limit))
            lines = ((t.at, str(t.source), str(t.target), t.by, t.why) for t in moves)
            columns = ("AT", "FROM", "TO", "BY", "WHY")
            screens.show(moves, output, lambda: screens.make_table(columns, lines, "it has not moved yet"))
            return
        found = [
            (event, f"{one.namespace}/{one.name}")
            for one in registry.deployments(model=model, deleted=True)
            for event in itertools.islice(registry.deployment_history(str(one.id)), limit)
        ]
    found = sorted(found, key=lambda each: each[0].at, reverse=True)[:limit]
    told = ((event.at, where, event.version, event.kind, event.message) for event, where in found)
    plain = [{"deployment": where, **event.model_dump(mode="json")} for event, where in found]
    columns = ("AT", "DEPLOYMENT", "VERSION", "WHAT", "MESSAGE")
    screens.show(plain, output, lambda: screens.make_table(columns, told, "nothing has happened yet"))
