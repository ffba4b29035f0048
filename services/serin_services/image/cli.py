"""`serin build` makes an image of a package folder."""

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from serin_services.package import errors, folder


def build(
    path: Annotated[Path, typer.Argument(help="The package folder.", file_okay=False)],
    tag: Annotated[
        str | None, typer.Option("-t", "--tag", help="The image's name; default: <model>:<version>.")
    ] = None,
    sbom: Annotated[
        Path | None, typer.Option(help="Write the bill of materials (CycloneDX 1.6) here too.", dir_okay=False)
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, buildah or docker.")] = "auto",
    output: Annotated[str, typer.Option("-o", "--output", help="text or json.")] = "text",
) -> None:
    r"""Build the image of a package: the family's runtime, once, and a small layer with the package.

    The same package on the same runtime gives the same image. SOURCE_DATE_EPOCH sets the time that it says.

    \b
    serin build momentum-1.0.0
    serin build momentum-1.0.0 -t registry.example/ml/momentum:1.0.0 --sbom momentum.cdx.json -o json
    """
    from serin_services.image import builds  # noqa: PLC0415 - its libraries load when an image is asked for

    check_output(output)
    try:
        checked = folder.read(path)
        image = builds.build(checked, tag or f"{checked.manifest.model}:{checked.manifest.version}", engine, progress)
        if sbom:
            sbom.write_bytes(image.bill)
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


def check_output(output: str) -> None:
    """Refuse another form than text or JSON."""
    if output not in {"text", "json"}:
        raise typer.BadParameter(f"expected text or json, got {output!r}", param_hint="--output")


def progress(line: str) -> None:
    """Tell what is being done, apart from the result."""
    typer.echo(line, err=True)


def fail(error: errors.PackageError) -> NoReturn:
    """Say what is wrong and end with 1."""
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(1)
