"""`serin package` makes a package folder of a trained model; `serin build` makes an image of the folder."""

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from serin_services.package import errors, folder, images, make


def package(  # noqa: PLR0913, PLR0917 - each parameter is an option of the command
    source: Annotated[Path, typer.Option("--from", help="The trained model, as its library saved it.", dir_okay=False)],
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
    metric: Annotated[
        list[str] | None, typer.Option(help="A measured figure, such as accuracy=0.97; may be repeated.")
    ] = None,
    lineage: Annotated[
        list[str] | None, typer.Option(help="Where it comes from, such as commit=1a2b3c; may be repeated.")
    ] = None,
    allow_nan: Annotated[bool, typer.Option("--allow-nan", help="Accept missing values in every feature.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder if it is a package.")] = False,
) -> None:
    """Make a package folder of a trained model, with its feature schema and checksums."""
    try:
        recipe = make.Recipe(
            source=source,
            model=model,
            version=version,
            features=make.read_features(features) if features else None,
            labels=tuple(label.strip() for label in labels.split(",")) if labels else None,
            metrics={name: make.number(name, text) for name, text in pairs("--metric", metric).items()},
            lineage=pairs("--lineage", lineage),
            allow_nan=allow_nan,
        )
        made = make.make(recipe, output, replace=force)
    except errors.PackageError as error:
        fail(error)
    typer.echo(
        f"{output}: {made.manifest.model} {made.manifest.version}, {made.manifest.family} {made.manifest.task}, "
        f"{len(made.manifest.features)} features, sha256:{made.digest}"
    )


def build(
    path: Annotated[Path, typer.Argument(help="The package folder.", file_okay=False)],
    tag: Annotated[
        str | None, typer.Option("-t", "--tag", help="The image's name; default: <model>:<version>.")
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, buildah or docker.")] = "auto",
    output: Annotated[str, typer.Option("-o", "--output", help="text or json.")] = "text",
) -> None:
    """Build the image of a package: the family's runtime, once, and a small layer with the package."""
    if output not in {"text", "json"}:
        raise typer.BadParameter(f"expected text or json, got {output!r}", param_hint="--output")
    try:
        checked = folder.read(path)
        image = images.build(checked, tag or f"{checked.manifest.model}:{checked.manifest.version}", engine, progress)
    except errors.PackageError as error:
        fail(error)
    document = {
        "image": image.name,
        "digest": image.digest,
        "runtime": image.runtime,
        "model": checked.manifest.model,
        "version": checked.manifest.version,
        "package": f"sha256:{checked.digest}",
    }
    typer.echo(json.dumps(document) if output == "json" else f"{image.name} {image.digest}")


def pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """Read `name=value` options."""
    found = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"expected name=value, got {text!r}", param_hint=option)
        found[name] = value
    return found


def progress(line: str) -> None:
    """Tell what is being done, apart from the result."""
    typer.echo(line, err=True)


def fail(error: errors.PackageError) -> NoReturn:
    """Say what is wrong and end with 1."""
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(1)
