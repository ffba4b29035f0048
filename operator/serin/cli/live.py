"""Shows something again and again: in place on a terminal, as lines elsewhere.

Polls once a second and watches nothing: a watch can hang silently, and one small read a second costs an API server
nothing that a person's patience could measure.
"""

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from serin.cli.errors import UnreachableError

T = TypeVar("T")

PERIOD_SECONDS = 1.0
# Wide enough that nothing is cut where nobody counts columns: in files and pipes.
_PIPE_WIDTH = 240
_UNBOUNDED = 100_000


def make_console(*, stderr: bool = False) -> Console:
    """Make a console that cuts nothing when its output goes to a file or a pipe."""
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, emoji=False, markup=False, width=_PIPE_WIDTH)
    return console


def print_table(console: Console, table: Table, wanted: int) -> None:
    """Print a table; on a terminal on at least `wanted` columns if it needs them, elsewhere one line for each row.

    A terminal that wraps a line is better than a table that cuts a name, and grep wants whole lines without padding.
    """
    needed = Measurement.get(console, console.options.update(max_width=_UNBOUNDED), table).maximum
    if console.is_terminal:
        console.width = max(console.width, min(needed, wanted))
        console.print(table, crop=False)
        return
    console.width = needed
    print_once(console, table)


def print_once(console: Console, thing: RenderableType) -> None:
    """Print something; in pipes and files without the padding that fills lines up."""
    if console.is_terminal:
        console.print(thing)
        return
    with console.capture() as captured:
        console.print(thing)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def redraw(console: Console, read: Callable[[], T], render: Callable[[T], RenderableType]) -> None:
    """Show what `read` gives, in place, until the user interrupts; in an outage the last one stays, and says so."""
    found = read()
    try:
        with Live(render(found), console=console, auto_refresh=False, vertical_overflow="crop") as display:
            while True:
                display.refresh()
                time.sleep(PERIOD_SECONDS)
                try:
                    found = read()
                    display.update(render(found))
                except UnreachableError as error:
                    display.update(Group(render(found), Text(f"{error.problem}; trying again", "bold red")))
    except KeyboardInterrupt:
        return


def print_lines(read: Callable[[], T], lines: Callable[[T], Iterable[str]]) -> None:
    """Print the lines that `lines` makes of what `read` gives, until the user interrupts; outages go to stderr."""
    lost = False
    try:
        while True:
            try:
                for line in lines(read()):
                    typer.echo(line)
                lost = False
            except UnreachableError as error:
                if not lost:
                    typer.echo(f"{error.problem}; trying again", err=True)
                lost = True
            time.sleep(PERIOD_SECONDS)
    except KeyboardInterrupt:
        return
