"""`serin local`: a real one-node Kubernetes on this machine."""

from __future__ import annotations

import enum
import json
from typing import Annotated

import rich.console
import typer

from . import errors, installation
from .cluster import Cluster

app = typer.Typer(
    name="local",
    help="A real one-node Kubernetes on this machine, with Envoy Gateway, Prometheus and Alertmanager (root, Linux).",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Format(enum.StrEnum):
    """How `status` prints."""

    TEXT = "text"
    JSON = "json"


def _fail(error: errors.ClusterError) -> typer.Exit:
    rich.console.Console(stderr=True, soft_wrap=True).print(f"✗ {error}", markup=False, highlight=False)
    return typer.Exit(1)


@app.command(epilog="Example: serin local up && eval $(serin local env) && kubectl get pods -A")
def up(
    wipe: Annotated[bool, typer.Option("--wipe", help="Forget the objects of an earlier cluster first.")] = False,
    bare: Annotated[bool, typer.Option("--bare", help="Leave Serin itself, operator and registry, out.")] = False,
) -> None:
    """Build what is missing, start the cluster with Serin in it, and wait until everything is ready."""
    cluster = Cluster()
    try:
        since = cluster.up(wipe=wipe)
        if not bare:
            installation.ensure(cluster, since)
    except errors.ClusterError as error:
        raise _fail(error) from error
    typer.echo(_environment(cluster))


@app.command(epilog="Example: serin local prepare    # ahead of time; up then takes half a minute")
def prepare() -> None:
    """Build and download what `up` starts from, and start nothing: minutes the first time, nothing after it."""
    cluster = Cluster()
    try:
        with cluster.progress.shown():
            cluster.prepare()
    except errors.ClusterError as error:
        raise _fail(error) from error


@app.command(epilog="Example: serin local down --wipe")
def down(
    wipe: Annotated[
        bool, typer.Option("--wipe/--keep", help="Forget the objects, or keep them for the next up.")
    ] = False,
) -> None:
    """Take the cluster down: no process, mount, device or rule of it stays."""
    try:
        Cluster().down(wipe=wipe)
    except errors.ClusterError as error:
        raise _fail(error) from error


@app.command(epilog="Example: serin local status -o json | jq -r .gateway")
def status(
    output: Annotated[Format, typer.Option("-o", "--output", help="text or json")] = Format.TEXT,
) -> None:
    """Say whether the cluster is up, where its parts are reached, and what it takes. Ends with 1 when it is not up."""
    report = Cluster().status()
    if output is Format.JSON:
        typer.echo(json.dumps(report, indent=1))
    else:
        _print(report)
    if not report["up"]:
        raise typer.Exit(1)


@app.command(epilog="Example: serin local load momentum:1.0.0")
def load(
    image: Annotated[list[str], typer.Argument(help="Names of images that `serin build` or buildah made.")],
) -> None:
    """Load images from buildah's store into the node, so that pods can use them."""
    cluster = Cluster()
    try:
        for name in image:
            typer.echo(cluster.load(name))
    except errors.ClusterError as error:
        raise _fail(error) from error


@app.command(epilog="Example: eval $(serin local env)")
def env() -> None:
    """Print the shell commands that make kubectl, and `serin registry`, speak to this cluster."""
    typer.echo(_environment(Cluster()))


def _environment(cluster: Cluster) -> str:
    lines = [f"export KUBECONFIG={cluster.kubeconfig}", f"export PATH={cluster.binaries_folder}:$PATH"]
    token = installation.token_path(cluster)
    if token.exists() and (url := installation.registry_url(cluster)):
        lines += [f"export SERIN_REGISTRY_URL={url}", f"export SERIN_REGISTRY_TOKEN_FILE={token}"]
    return "\n".join(lines)


def _print(report: dict[str, object]) -> None:
    typer.echo("up" if report["up"] else "not up")
    for name in ("gateway", "prometheus", "alertmanager", "kubeconfig", "binaries", "kubernetes"):
        if name in report:
            typer.echo(f"{name + ':':14} {report[name]}")
    typer.echo(f"{'memory:':14} {int(str(report['memoryBytes'])) / 1e6:.0f} MB")
    components = report["components"]
    for row in components if isinstance(components, list) else []:
        typer.echo(f"  {row['name']:26} {'running' if row['running'] else 'ended'} (process {row['pid']})")
