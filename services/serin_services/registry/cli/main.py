"""The command `serin registry`; the libraries of a command load when it is called."""

from typing import Annotated

import typer

from serin_services.registry.cli import (
    audits,
    catalogue,
    comparing,
    copies,
    figures,
    health,
    learning,
    lifecycle,
    registering,
    rollouts,
    serving,
    session,
    shadow,
    tracking,
)

app = typer.Typer(
    help="Every version of a model, where it comes from and what became of it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _root(
    url: Annotated[
        str | None, typer.Option("--url", help="The registry; default: SERIN_REGISTRY_URL, else http://127.0.0.1:8080.")
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option("--token-file", help="A file with your token; default: SERIN_REGISTRY_TOKEN, or _FILE."),
    ] = None,
) -> None:
    session.choose(session.Target(url, token_file))


# In the order in which one meets them.
for _name, _command in (
    ("serve", serving.serve),
    ("token", serving.token),
    ("keygen", serving.keygen),
    ("create", registering.create),
    ("register", registering.register),
    ("models", catalogue.models),
    ("list", catalogue.list_versions),
    ("show", catalogue.show),
    ("fetch", catalogue.fetch),
    ("change", catalogue.change),
    ("compare", comparing.compare),
    ("lineage", comparing.lineage),
    ("move", lifecycle.move),
    ("sign-off", lifecycle.sign_off),
    ("approve", lifecycle.approve),
    ("deploy", rollouts.deploy),
    ("deployments", rollouts.deployments),
    ("promote", rollouts.promote),
    ("pause", rollouts.pause),
    ("resume", rollouts.resume),
    ("rollback", rollouts.rollback),
    ("retry", rollouts.retry),
    ("stop", rollouts.stop),
    ("history", lifecycle.history),
    ("performance", figures.performance),
    ("export", figures.export),
    ("health", health.health),
    ("maintain", copies.maintain),
    ("backup", copies.backup),
    ("restore", copies.restore),
):
    app.command(_name)(_command)
for _name, _group in (
    ("predictions", figures.predictions),
    ("outcomes", figures.outcomes),
    ("shadow", shadow.shadow),
    ("jobs", learning.jobs),
    ("drift", learning.drift),
    ("audit", audits.audit),
    ("mlflow", tracking.mlflow),
):
    app.add_typer(_group, name=_name)
