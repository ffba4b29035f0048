"""`serin package` makes a package folder of a trained model."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich import console

from serin_services.package import errors, make, manifest, options, summary


def package(  # noqa: PLR0913, PLR0917 - each parameter is an option of the command
    source: Annotated[
        str,
        typer.Option(
            "--from", help="The trained model as its library saved it, or module:function of a PyTorch model."
        ),
    ],
    model: Annotated[str, typer.Option(help="The model's name: a-z, 0-9 and -, at most 52 characters.")],
    version: Annotated[str, typer.Option(help="The version: letters, digits, '.', '_' and '-'.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write.")],
    features: Annotated[
        Path | None,
        typer.Option(help="Feature names (and dtype, unit, allow_nan), in JSON or CSV; default: the model's own."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Label of each class, by comma, in the order of the classes.")
    ] = None,
    task: Annotated[
        manifest.Task | None, typer.Option(help="What a network is for; default: by its outputs and these options.")
    ] = None,
    quantiles: Annotated[
        str | None, typer.Option(help="The quantiles that a network gives along its last axis, such as 0.1,0.5,0.9.")
    ] = None,
    scaler: Annotated[
        Path | None,
        typer.Option(help='What is done to the inputs first, in JSON: {"offset": [...], "scale": [...]}.'),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="A measured figure, such as accuracy=0.97; may be repeated.")
    ] = None,
    lineage: Annotated[
        list[str] | None, typer.Option(help="Where it comes from, such as commit=1a2b3c; may be repeated.")
    ] = None,
    allow_nan: Annotated[bool, typer.Option("--allow-nan", help="Accept missing values in every feature.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder if it is a package.")] = False,
) -> None:
    """Make a package folder of a trained model, with its feature schema, its forms and checksums."""
    screen = console.Console(stderr=True)
    try:
        recipe = make.Recipe(
            source=source,
            model=model,
            version=version,
            features=options.read_features(features) if features else None,
            labels=tuple(label.strip() for label in labels.split(",")) if labels else None,
            task=task,
            quantiles=options.quantiles(quantiles) if quantiles else (),
            scaler=options.read_scaler(scaler) if scaler else None,
            metrics={name: options.number(name, text) for name, text in pairs("--metric", metric).items()},
            lineage=pairs("--lineage", lineage),
            allow_nan=allow_nan,
        )
        with screen.status("reading the model") as status:
            made = make.make(recipe, output, replace=force, progress=status.update)
    except errors.PackageError as error:
        fail(error)
    for note in summary.find_notes(made.manifest):
        typer.echo(f"note: {note}", err=True)
    if screen.is_terminal:
        screen.print(summary.make_table(made.manifest))
    typer.echo(f"{output}: {summary.make_line(made.manifest)}, sha256:{made.digest}")


def pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """Read `name=value` options."""
    found = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"expected name=value, got {text!r}", param_hint=option)
        found[name] = value
    return found


def fail(error: errors.PackageError) -> NoReturn:
    """Say what is wrong and end with 1."""
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(1)
