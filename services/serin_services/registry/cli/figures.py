"""`serin registry outcomes`, `predictions`, `performance` and `export`: what came of predictions, and how versions do."""

import csv
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serin_services.registry.cli import options, screens, session
from serin_services.registry.cli.options import Format

if TYPE_CHECKING:
    from serin_services.registry.client import figures as answers

outcomes = typer.Typer(
    help="What came of predictions: sent here, joined by id.", no_args_is_help=True, rich_markup_mode=None
)
predictions = typer.Typer(help="Predictions: what versions answered.", no_args_is_help=True, rich_markup_mode=None)

File = Annotated[
    Path,
    typer.Argument(
        help="Lines of JSON, or CSV with a header; - for standard input.", allow_dash=True, show_default=False
    ),
]
_COLUMNS = (
    "MODEL",
    "VERSION",
    "STAGE",
    "PREDICTIONS",
    "OUTCOMES",
    "ACCURACY",
    "WIN RATE",
    "SHARPE",
    "PROFIT FACTOR",
    "LATENCY",
)
# What a column of CSV holds that is no text.
_NUMBERS = {"value", "returned", "confidence", "seconds"}


@outcomes.command("push")
def push_outcomes(file: File, output: options.Output = Format.TABLE) -> None:
    """Send outcomes: model, id, at, and a label, a value or what acting brought (returned).

    What was sent before counts once, so a file may be sent again.

    \b
    Examples:
      serin registry outcomes push outcomes.jsonl
      psql -c "copy (…) to stdout csv header" | serin registry outcomes push - -o json
    """  # noqa: D301 - \b keeps the lines of the examples apart
    with session.connect() as registry:
        _show(registry.push_outcomes(read_rows(file)), output)


@predictions.command("push")
def push_predictions(file: File, output: options.Output = Format.TABLE) -> None:
    """Send predictions, such as the lines of a model server's log; the server's sink may send them itself.

    \b
    Examples:
      serin registry predictions push predictions.jsonl
    """  # noqa: D301 - as above
    with session.connect() as registry:
        _show(registry.push_predictions(read_rows(file)), output)


@predictions.command("list")
def list_predictions(
    model: options.Model,
    version: Annotated[str | None, typer.Option("--version", help="Only this version's.")] = None,
    since: options.Since = None,
    until: options.Until = None,
    limit: options.Limit = 50,
    output: options.Output = Format.TABLE,
) -> None:
    """List the predictions of a model with their outcomes, the newest first.

    \b
    Examples:
      serin registry predictions list momentum --version 1.2.0 --limit 20
    """  # noqa: D301 - as above
    window = {"since": options.read_moment("--since", since), "until": options.read_moment("--until", until)}
    with session.connect() as registry:
        found = list(itertools.islice(registry.predictions(model, version=version, **window), limit))
    columns = ("ID", "VERSION", "AT", "LABEL", "VALUE", "CONFIDENCE", "SHADOW", "CAME", "RETURNED")
    screens.show(found, output, lambda: screens.make_table(columns, map(_describe, found), "no predictions"))


def _describe(row: "answers.Prediction") -> tuple[object, ...]:
    outcome = row.outcome
    came = (outcome.label if outcome.label is not None else outcome.value) if outcome else None
    returned = outcome.returned if outcome else None
    return (row.id, row.version, row.at, row.label, row.value, row.confidence, row.shadow, came, returned)


def _show(receipt: "answers.Receipt", output: Format) -> None:
    text = (
        f"{receipt.taken} taken, {receipt.doubled} were there already; {receipt.joined} joined, "
        f"{receipt.waiting} wait for their other half"
    )
    screens.show(receipt, output, lambda: text)


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Read rows one by one.

    Raises:
        typer.BadParameter: a line is no row.
    """
    try:
        with sys.stdin if str(path) == "-" else path.open(encoding="utf-8", newline="") as file:
            first = file.readline()
            lines = _chain(first, file)
            yield from _read_json(path, lines) if first.lstrip().startswith("{") else _read_csv(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path}: cannot be read: {error}", param_hint="FILE") from error


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _read_json(path: Path, lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except ValueError as error:
            raise typer.BadParameter(f"{path}:{number}: expected a line of JSON: {error}", param_hint="FILE") from error


def _read_csv(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for row in csv.DictReader(lines):
        filled = {name: text for name, text in row.items() if text not in {"", None}}
        yield {name: _read_number(text) if name in _NUMBERS else text for name, text in filled.items()}


def _read_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        # What it should be is the registry's to say, with the row's place.
        return text


def performance(
    model: Annotated[
        str | None, typer.Argument(help="The model; default: all that answer requests.", show_default=False)
    ] = None,
    version: Annotated[str | None, typer.Option("--version", help="Only this version.")] = None,
    since: options.Since = None,
    until: options.Until = None,
    output: options.Output = Format.TABLE,
) -> None:
    """Show how versions do: accuracy, win rate with its 95 % interval, Sharpe, profit factor, latency. Default: 24 hours.

    \b
    Examples:
      serin registry performance
      serin registry performance momentum --since 2026-11-01
    """  # noqa: D301 - as above
    window = {"since": options.read_moment("--since", since), "until": options.read_moment("--until", until)}
    if model is None and version is not None:
        raise typer.BadParameter("a version needs its model", param_hint="--version")
    with session.connect() as registry:
        found = registry.performance(model, **({"version": version} if model else {}), **window)
    lines = map(_line, found)
    screens.show(found, output, lambda: screens.make_table(_COLUMNS, lines, "no version answered in this time"))


def _line(row: "answers.Performance") -> tuple[object, ...]:
    figures = row.figures
    latency = figures.latency_seconds
    return (
        row.model,
        row.version,
        row.stage,
        figures.predictions,
        figures.outcomes,
        figures.accuracy and str(figures.accuracy),
        figures.win_rate and str(figures.win_rate),
        figures.sharpe,
        figures.profit_factor,
        None if latency is None else f"{latency * 1000:.3g} ms",
    )


def export(
    month: Annotated[str, typer.Option("--month", help="The month, such as 2026-11.", show_default=False)],
    form: Annotated[str, typer.Option("--format", help="csv or json.")] = "csv",
    file: Annotated[
        Path | None, typer.Option("--file", help="Write it here; default: standard output.", dir_okay=False)
    ] = None,
) -> None:
    """Export the performance of all active models in a month.

    \b
    Examples:
      serin registry export --month 2026-11 --file november.csv
      serin registry export --month 2026-11 --format json
    """  # noqa: D301 - as above
    if form not in {"csv", "json"}:
        raise typer.BadParameter(f"expected csv or json, got {form!r}", param_hint="--format")
    with session.connect() as registry:
        content = registry.export(month, form)
    if file is None:
        sys.stdout.buffer.write(content)
    else:
        file.write_bytes(content)
        session.tell(f"{file}: {screens.write_bytes(len(content))}")
