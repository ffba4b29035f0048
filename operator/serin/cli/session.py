"""The connection of one command, with what the user must know of it told on stderr."""

import typer

from serin.cli import cluster


def connect(kubeconfig: str | None, context: str | None) -> cluster.Cluster:
    """Connect to the cluster that the options name, and say so when it is one that nobody named.

    Raises:
        CliError: no kubeconfig, or no client library.
    """
    api = cluster.connect(kubeconfig, context)
    if api.notice:
        typer.echo(api.notice, err=True)
    return api
