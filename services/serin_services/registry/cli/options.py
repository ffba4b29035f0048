"""Options and arguments that several commands share, so that they are called and described alike everywhere."""

import datetime as dt
import enum
from typing import Annotated

import typer


class Format(enum.StrEnum):
    """How results are printed; everything else a command says goes to stderr."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("-o", "--output", help="table or json.")]
Model = Annotated[str, typer.Argument(help="The model's name or id.", show_default=False)]
Version = Annotated[str, typer.Argument(help="The version, such as 1.2.0.", show_default=False)]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many at most, the newest first.")]
Since = Annotated[str | None, typer.Option("--since", help="From this moment on: 2026-11-01, or with a time and zone.")]
Until = Annotated[str | None, typer.Option("--until", help="Before this moment.")]
Label = Annotated[list[str] | None, typer.Option("--label", help="name=value; may be repeated.")]


def read_moment(option: str, text: str | None) -> str | None:
    """Read a moment as the API takes it; without a zone it is UTC's.

    Raises:
        typer.BadParameter: it is none.
    """
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"expected a moment such as 2026-11-01, got {text!r}", param_hint=option) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).isoformat()


def pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """Read `name=value` options.

    Raises:
        typer.BadParameter: one is none.
    """
    found = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"expected name=value, got {text!r}", param_hint=option)
        found[name] = value
    return found


def numbers(option: str, given: list[str] | None) -> dict[str, float]:
    """Read `name=number` options.

    Raises:
        typer.BadParameter: one is none.
    """
    found = {}
    for name, value in pairs(option, given).items():
        try:
            found[name] = float(value)
        except ValueError as error:
            raise typer.BadParameter(f"{name}: expected a number, got {value!r}", param_hint=option) from error
    return found
