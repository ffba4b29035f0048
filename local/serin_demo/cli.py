"""`serin demo`: a good version goes to production and a bad one comes back, on a real cluster."""

import enum
import json
from pathlib import Path
from typing import Annotated

import rich.console
import typer

from serin_demo import api, existing, ground, install, local, play, screen, setup, story, summary, traffic, view
from serin_local import errors, progress
from serin_services.registry import errors as registry_errors

# For the gateway to answer for the first version, once that is Ready.
_PATIENCE_SECONDS = 15
# As shells report a command that was ended by Ctrl-C.
_INTERRUPTED = 130


class Where(enum.StrEnum):
    """Whose cluster it is played on."""

    LOCAL = "local"
    EXISTING = "existing"


class Format(enum.StrEnum):
    """How the summary is printed."""

    TEXT = "text"
    JSON = "json"


def demo(  # noqa: PLR0913, PLR0917 - one parameter for each option
    cluster: Annotated[
        Where, typer.Option(help="local: bring one up on this machine (root, Linux); existing: use your own.")
    ] = Where.LOCAL,
    registry: Annotated[
        str, typer.Option(help="For an existing cluster: where images are pushed to and pulled from.")
    ] = "",
    kubeconfig: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="For an existing cluster, if not your usual one.")
    ] = None,
    gateway: Annotated[str, typer.Option(help="NAMESPACE/NAME of a Gateway, if there are several.")] = "",
    address: Annotated[str, typer.Option(help="HOST:PORT of the Gateway, if not the one in its status.")] = "",
    prometheus: Annotated[str, typer.Option(help="NAMESPACE/SERVICE of Prometheus, if there are several.")] = "",
    rate: Annotated[float, typer.Option(min=20, max=1000, help="Requests a second, half of them over gRPC.")] = 100,
    fast: Annotated[bool, typer.Option("--fast", help="Half the time for each step.")] = False,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Leave everything running to look around.")] = True,
    output: Annotated[Format, typer.Option("-o", "--output", help="The summary as text or json.")] = Format.TEXT,
) -> None:
    """Take a good version of a real model to production, and bring a bad one back on a Prometheus alert."""
    console = rich.console.Console(stderr=output is Format.JSON)
    shown = progress.Progress(console)
    wishes = existing.Wishes(registry, kubeconfig, gateway, address, prometheus)
    tempo = story.FAST if fast else story.USUAL
    try:
        install.require_checkout()
        where = local.prepare(shown) if cluster is Where.LOCAL else existing.prepare(wishes, shown)
        told = _perform(where, tempo, rate, shown)
        _tell(told, output, console)
        if not keep:
            _take_down(where, cluster, shown)
    except (errors.ClusterError, api.ApiError, traffic.ReplayError, registry_errors.RegistryError) as error:
        rich.console.Console(stderr=True, soft_wrap=True).print(f"✗ {error}", markup=False, highlight=False)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as stop:
        console.print(
            "\nstopped; what was started still runs, and the next `serin demo` goes on from there", soft_wrap=True
        )
        raise typer.Exit(_INTERRUPTED) from stop
    if keep:
        _show_around(where, cluster, console)
    raise typer.Exit(1 if told.problems else 0)


def _perform(where: ground.Ground, tempo: story.Tempo, rate: float, shown: progress.Progress) -> summary.Summary:
    with setup.prepared(where, tempo, shown) as scene:
        pace = traffic.Pace(rate=rate, patience=_PATIENCE_SECONDS)
        replay = traffic.BackgroundReplay(scene.target, scene.samples, pace)
        with screen.make_screen(shown.console) as where_shown:
            played, watched = play.Play(scene.stage, replay, where_shown).run()
        fates = scene.record.read(story.STAGES)
    return summary.summarize(played, watched, replay.ledger, scene.accuracy, fates)


def _tell(told: summary.Summary, output: Format, console: rich.console.Console) -> None:
    console.print(view.make_summary(told))
    if output is Format.JSON:
        typer.echo(json.dumps(summary.round_figures(told.as_json()), indent=1, allow_nan=False))


def _take_down(where: ground.Ground, cluster: Where, shown: progress.Progress) -> None:
    setup.remove(where, shown)
    if cluster is Where.LOCAL:
        local.take_down(shown)
    else:
        install.uninstall(where, shown)


def _show_around(where: ground.Ground, cluster: Where, console: rich.console.Console) -> None:
    lines = ["", "Look around; everything still runs, without traffic:"]
    if cluster is Where.LOCAL:
        lines.append("  eval $(.venv/bin/serin local env)")
    lines += [
        f"  kubectl -n {story.NAMESPACE} get modeldeployments,pods,httproutes",
        f"  kubectl -n {story.NAMESPACE} describe modeldeployment {story.NAME}",
        f"  .venv/bin/serin status {story.NAME} -n {story.NAMESPACE}",
        f"  .venv/bin/serin registry history {story.NAME}",
        f"  curl http://{where.address}/{story.NAMESPACE}/{story.NAME}/readyz",
        "Take it down:",
        "  .venv/bin/serin local down"
        if cluster is Where.LOCAL
        else f"  kubectl delete namespace {story.NAMESPACE}; helm -n {install.NAMESPACE} uninstall {install.RELEASE}",
    ]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
