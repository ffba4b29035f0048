"""The command `serin`: what people ask of the operator, what they look at, and what installed parts add."""

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated

import typer

from serin.cli import parts
from serin.cli.errors import CliError

_HELP = """Serves machine-learning models on Kubernetes: a new version takes over only as fast as the evidence allows.

\b
Examples:
  serin get -A                                  what there is
  serin status momentum --watch                 one of it in detail, live
  serin wait momentum --for promoted            for pipelines
  serin rollback momentum                       give the traffic back now
  serin lint momentum.yaml                      check before applying

Every command has --help with examples. Exit codes: 0 done, 1 failed, 2 wrong use.
"""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"serin {metadata.version(parts.DISTRIBUTION)}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def find_called(words: Sequence[str]) -> str | None:
    """Give the name of the command that is called: the first word that is no option."""
    return next((word for word in words if not word.startswith("-")), None)


def make_app(called: str | None, found: Sequence[parts.Part] | None = None) -> typer.Typer:
    """Make the app with the called command loaded and all others listed.

    Raises:
        CliError: the called command cannot be loaded.
    """
    app = typer.Typer(
        name="serin",
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        callback=_root,
    )
    for part in parts.find_parts() if found is None else found:
        parts.register(app, part, called)
    return app


def _read_words() -> list[str]:
    """Give the words after `serin`; while a shell completes, they stand in a variable."""
    if "_SERIN_COMPLETE" in os.environ:
        return os.environ.get("_TYPER_COMPLETE_ARGS", os.environ.get("COMP_WORDS", "")).split()[1:]
    return sys.argv[1:]


def main() -> None:
    """Run the command line; a failure that the user can act on is told in a sentence, without a traceback."""
    try:
        make_app(find_called(_read_words()))()
    except CliError as error:
        typer.secho("✗ ", fg="red", nl=False, err=True)
        typer.echo(str(error), err=True)
        sys.exit(error.code)
