"""The results as tables: made once, shown on the terminal and written as Markdown."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import rich.table

from . import figures, targets
from .loads import BATCH, HALF, LARGE, ONE, SIXTEEN, SIXTY_FOUR, Load
from .measure import Window
from .models import Kind
from .results import Results

# Serin's dialect that a peer's is compared with.
COMPARED = {figures.JSON: (figures.JSON, figures.OIP), figures.OIP: (figures.JSON, figures.OIP)}


@dataclass(frozen=True)
class Table:
    """Rows of text under a title."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def to_markdown(self) -> str:
        """The table for a page."""
        lines = [self.columns, ["---" if index < 2 else "---:" for index in range(len(self.columns))], *self.rows]
        return "\n".join([f"### {self.title}", "", *(f"| {' | '.join(line)} |" for line in lines), ""])

    def to_screen(self) -> rich.table.Table:
        """The table for a terminal."""
        made = rich.table.Table(title=self.title, title_justify="left")
        for index, column in enumerate(self.columns):
            made.add_column(column, justify="left" if index < 2 else "right")
        for row in self.rows:
            made.add_row(*row)
        return made


@dataclass(frozen=True)
class Column:
    """One figure of a server at one load."""

    title: str
    load: Load
    what: figures.What
    show: str = "{:.0f}"


def rows_per_second(window: Window) -> float:
    """Rows per second of the largest requests."""
    return window.per_second * LARGE.rows


def p999(window: Window) -> float:
    """99.9th percentile of latency in ms."""
    return window.p999


MAIN = (
    Column("requests/s", SIXTEEN, figures.per_second, "{:,.0f}"),
    Column("p50 ms", SIXTEEN, figures.p50, "{:.2f}"),
    Column("p99 ms", SIXTEEN, figures.p99, "{:.2f}"),
    Column("MB", SIXTEEN, figures.memory),
)
OTHERS = (
    Column("1 connection: CPU µs", ONE, figures.cpu),
    Column("p50 ms", ONE, figures.p50, "{:.2f}"),
    Column("p99 ms", ONE, figures.p99, "{:.2f}"),
    Column("64 connections: CPU µs", SIXTY_FOUR, figures.cpu),
    Column("requests/s", SIXTY_FOUR, figures.per_second, "{:,.0f}"),
    Column("p99 ms", SIXTY_FOUR, figures.p99, "{:.2f}"),
    Column("64 rows: CPU µs", BATCH, figures.cpu),
    Column("1,024 rows: CPU µs", LARGE, figures.cpu),
    Column("rows/s", LARGE, rows_per_second, "{:,.0f}"),
    Column("open loop: p50 ms", HALF, figures.p50, "{:.2f}"),
    Column("p99 ms", HALF, figures.p99, "{:.2f}"),
    Column("p99.9 ms", HALF, p999, "{:.2f}"),
)


def of_model(kind: Kind, seen: Results) -> list[Table]:
    """The two tables of a model: 16 connections, and the other loads."""
    asked = seen.asked(kind.name)

    def cells(peer: str, dialect: str, columns: Sequence[Column]) -> list[str]:
        values = ((column, seen.median(peer, dialect, kind.name, column.load, column.what)) for column in columns)
        return [column.show.format(value) if value is not None else "-" for column, value in values]

    main = [
        [peer, dialect, *compare(kind, peer, dialect, seen), *cells(peer, dialect, MAIN)] for peer, dialect in asked
    ]
    others = [
        [peer, dialect, *cells(peer, dialect, OTHERS), show_seconds(seen.ready_seconds(peer, kind.name))]
        for peer, dialect in asked
    ]
    names = ("server", "asked by")
    return [
        Table(f"{kind.title}: 16 connections, 1 row", (*names, "CPU µs", "of Serin's", *(c.title for c in MAIN)), main),
        Table(f"{kind.title}: other loads", (*names, *(c.title for c in OTHERS), "ready after"), others),
    ]


def compare(kind: Kind, peer: str, dialect: str, seen: Results) -> tuple[str, str]:
    """Processor time per request, and how many times Serin's it is: of the same protocol, by its own JSON first."""
    mine = seen.median(peer, dialect, kind.name, SIXTEEN, figures.cpu)
    candidates = COMPARED.get(dialect, (dialect,))
    serin = (seen.median(figures.SERIN, own, kind.name, SIXTEEN, figures.cpu) for own in candidates)
    base = next((value for value in serin if value), None)
    if mine is None:
        return "-", "-"
    return f"{mine:.0f}", f"{mine / base:.1f} x" if base else "-"


def of_targets(seen: Results) -> Table:
    """What is asked, met or not."""
    rows = [[each.what, each.target, each.measured, each.verdict.strip("*")] for each in targets.hold(seen)]
    return Table("What is asked", ("figure", "target", "measured", ""), rows)


def of_library(seen: Results) -> Table:
    """The bare calls."""
    counts = (1, 8, 64, 1024)
    rows = [
        [model, form, *(show_number(seen.form_call(model, form, count)) for count in counts)]
        for model, forms in seen.library.items()
        for form in forms
    ]
    return Table("The bare library call, µs", ("model", "form", "1 row", "8 rows", "64 rows", "1,024 rows"), rows)


def of_soak(seen: Results) -> Table:
    """The soak by the minute, or by the window where it was shorter."""
    size = 6 if len(seen.soak) >= 12 else 1
    parts = [seen.soak[start : start + size] for start in range(0, len(seen.soak), size)]

    def middle(what: figures.What, part: Sequence[Window]) -> float:
        return statistics.median(map(what, part))

    rows = [
        [
            str(number + 1),
            f"{middle(figures.busy, part):.0f} %",
            f"{middle(figures.memory, part):.1f}",
            f"{middle(figures.p50, part):.2f}",
            f"{middle(figures.p99, part):.2f}",
            str(sum(window.errors for window in part)),
        ]
        for number, part in enumerate(parts)
    ]
    asked = f"{seen.soak[0].model} by {seen.soak[0].dialect}" if seen.soak else ""
    title = f"Serin's soak: {asked} at 80 % of its capacity"
    return Table(title, ("minute" if size > 1 else "window", "of the core", "MB", "p50 ms", "p99 ms", "errors"), rows)


def of_images(seen: Results) -> Table:
    """Sizes and times of images."""
    return Table("Images", ("model", "figure", "measured"), [
        [*name.split(": "), f"{value:,.1f}"] for name, value in seen.images.items()
    ])  # fmt: skip


def show_number(value: float | None) -> str:
    """Write a number, or that there is none."""
    return f"{value:,.0f}" if value is not None else "-"


def show_seconds(value: float | None) -> str:
    """Write a time in s, or that there is none."""
    return f"{value:.1f} s" if value is not None else "-"


def of_all(kinds: Sequence[Kind], seen: Results) -> list[Table]:
    """Every table that has rows."""
    makers: list[Callable[[], list[Table]]] = [
        *(lambda kind=kind: of_model(kind, seen) for kind in kinds),  # type: ignore[misc]
        lambda: [of_library(seen), of_soak(seen), of_images(seen)],
    ]
    return [table for make in makers for table in make() if table.rows]
