"""What every command does around its own work: it connects, and tells a failure in a sentence."""

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import typer

from serin_services.registry import errors

if TYPE_CHECKING:
    from serin_services.registry.client import Client


@dataclasses.dataclass(frozen=True)
class Target:
    """Which registry the options name; what they leave out is in the environment."""

    url: str | None = None
    token_file: str | None = None


_TARGET: contextvars.ContextVar[Target | None] = contextvars.ContextVar("target", default=None)


def choose(target: Target) -> None:
    """Let the command that follows speak to this registry."""
    _TARGET.set(target)


@contextlib.contextmanager
def connect() -> Iterator["Client"]:
    """Give the client of the registry that the options or the environment name, and report what goes wrong with it."""
    from serin_services.registry.client import Client  # noqa: PLC0415 - its libraries load when something is asked

    target = _TARGET.get() or Target()
    with reporting(), Client(target.url, token_file=target.token_file) as client:
        yield client


@contextlib.contextmanager
def reporting() -> Iterator[None]:
    """Tell a failure that the user can act on, without a traceback, and end with 1."""
    try:
        yield
    except errors.RegistryError as error:
        fail(error.message, *(f"{fault.where}: {fault.message}" for fault in error.faults))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def fail(problem: str, *details: str) -> NoReturn:
    """Say what is wrong and end with 1."""
    typer.secho("✗ ", fg="red", nl=False, err=True)
    typer.echo("\n  ".join([problem, *(detail for detail in details if detail not in problem)]), err=True)
    raise typer.Exit(1)


def tell(text: str) -> None:
    """Say something that is not the result."""
    typer.echo(text, err=True)
