"""Options that several commands share, so that they are called and described alike everywhere."""

import enum
from datetime import timedelta
from typing import Annotated

import typer

from serin.api import quantities

Name = Annotated[str, typer.Argument(help="The ModelDeployment's name.", show_default=False)]
Namespace = Annotated[
    str | None, typer.Option("-n", "--namespace", help="Its namespace; default: the one of the kubeconfig's context.")
]
Kubeconfig = Annotated[
    str | None, typer.Option("--kubeconfig", help="The kubeconfig file; default: KUBECONFIG, then ~/.kube/config.")
]
Context = Annotated[str | None, typer.Option("--context", help="The kubeconfig's context; default: its current one.")]
Watch = Annotated[bool, typer.Option("-w", "--watch", help="Go on showing changes until interrupted.")]


class Format(enum.StrEnum):
    """How objects are printed; everything else a command says goes to stderr."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


def read_timeout(text: str) -> timedelta:
    """Read a duration option.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return quantities.parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--timeout") from error
