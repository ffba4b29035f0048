"""How results look: a table for people, JSON for programs, and progress beside them on stderr."""

import contextlib
import datetime as dt
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from serin_services.registry.cli.options import Format

if TYPE_CHECKING:
    import pydantic
    from rich.console import Console, RenderableType

DASH = "-"
_STAGES = {
    "TRAINING": "cyan",
    "TESTING": "cyan",
    "STAGING": "cyan",
    "CANARY": "yellow",
    "PRODUCTION": "green",
    "ARCHIVED": "dim",
}
# Wide enough that nothing is cut where nobody counts columns: in files and pipes.
_PIPE_WIDTH = 240


def show(found: Any, output: Format, render: Callable[[], "RenderableType"]) -> None:  # noqa: ANN401 - models, or lists of them
    """Print a result in the form that was asked for; what is rendered is made only when it is wanted."""
    if output is Format.JSON:
        typer.echo(json.dumps(to_plain(found), indent=2, ensure_ascii=False))
        return
    print_out(render())


def to_plain(found: Any) -> Any:  # noqa: ANN401 - as above
    """Give what JSON can say."""
    if isinstance(found, Mapping):
        return {name: to_plain(value) for name, value in found.items()}
    if isinstance(found, Sequence) and not isinstance(found, str):
        return [to_plain(one) for one in found]
    if hasattr(found, "model_dump"):
        model: pydantic.BaseModel = found
        return model.model_dump(mode="json")
    return found


def print_out(thing: "RenderableType") -> None:
    """Print something; in files and pipes without the padding that fills lines up."""
    from rich.console import Console  # noqa: PLC0415 - only where something is printed

    console = Console(highlight=False, emoji=False, markup=False)
    if console.is_terminal:
        console.print(thing, crop=False)
        return
    console.width = _PIPE_WIDTH
    with console.capture() as captured:
        console.print(thing)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def make_table(columns: Iterable[str], lines: Iterable[Iterable[object]], empty: str) -> "RenderableType":
    """Make a table, or say that there is nothing."""
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*(Text(cell, _STAGES.get(cell, "")) for cell in map(write, line)))
    return table if table.row_count else Text(empty)


def make_facts(facts: Mapping[str, object]) -> "RenderableType":
    """Make two columns of names and what they are; what is empty is left out."""
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, fact in facts.items():
        text = write(fact)
        if text != DASH:
            table.add_row(name, Text(text, _STAGES.get(text, "")))
    return table


def write(value: object) -> str:  # noqa: PLR0911 - one for each kind of value
    """Write a value in one cell."""
    match value:
        case None | "":
            return DASH
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case dt.datetime():
            return value.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        case Mapping():
            return ", ".join(_write_pair(name, one) for name, one in value.items()) or DASH
        case str():
            return value
        case Iterable():
            return ", ".join(write(one) for one in value) or DASH
        case _:
            return str(value)


def _write_pair(name: object, value: object) -> str:
    return f"{name} ({write(value)})" if isinstance(value, Mapping) else f"{name}={write(value)}"


def write_bytes(size: int) -> str:
    """Write a number of bytes in the unit that leaves at most three digits in front of the point."""
    amount, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount, _ = amount / 1000, units.pop(0)
    return f"{amount:.3g} {units[0]}"


@contextlib.contextmanager
def progress(name: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Show how far a transfer is, on a terminal; elsewhere say once that it is done."""
    from rich import progress as bars  # noqa: PLC0415 - as above

    console = make_stderr()
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=total)
        yield lambda done, _: bar.update(task, completed=done)
    typer.echo(f"{name}: {write_bytes(total)}", err=True)


@contextlib.contextmanager
def status(text: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done, on a terminal; elsewhere nothing."""
    console = make_stderr()
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(text) as shown:
        yield shown.update


def make_stderr() -> "Console":
    """Make the console beside the result."""
    from rich.console import Console  # noqa: PLC0415 - as above

    return Console(file=sys.stderr, highlight=False, emoji=False, markup=False)
