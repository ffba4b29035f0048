"""`serin build` makes an image of a package, `serin sign` signs it, `serin verify` checks it where it arrives."""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from serin_services.package import errors, folder

if TYPE_CHECKING:
    from serin_services.image import verification

Engine = Annotated[str, typer.Option(help="auto, buildah or docker: whose store has the image.")]
Output = Annotated[str, typer.Option("-o", "--output", help="text or json.")]


def build(
    path: Annotated[Path, typer.Argument(help="The package folder.", file_okay=False)],
    tag: Annotated[
        str | None, typer.Option("-t", "--tag", help="The image's name; default: <model>:<version>.")
    ] = None,
    sbom: Annotated[
        Path | None, typer.Option(help="Write the bill of materials (CycloneDX 1.6) here too.", dir_okay=False)
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, buildah or docker.")] = "auto",
    output: Output = "text",
) -> None:
    """Build the image of a package: the family's runtime, once, and a small layer with the package.

    The same package on the same runtime gives the same image. SOURCE_DATE_EPOCH sets the time that it says.

    \b
    serin build momentum-1.0.0
    serin build momentum-1.0.0 -t registry.example/ml/momentum:1.0.0 --sbom momentum.cdx.json -o json
    """  # noqa: D301 - \b keeps the lines of the examples apart
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


def verify(
    image: Annotated[str, typer.Argument(help="A layout folder, an archive of one, or an image of the engine's.")],
    key: Annotated[
        Path | None, typer.Option(help="Public key (cosign.pub): its signature must be there.", dir_okay=False)
    ] = None,
    signature: Annotated[
        Path | None, typer.Option(help="A signature that lies apart, as `serin sign -o` writes it.", dir_okay=False)
    ] = None,
    engine: Engine = "auto",
    output: Output = "text",
) -> None:
    """Check an image: every layer and file against its digests, the labels, the bill of materials, the signature.

    Ends with 0 when everything holds, and with 1 when something does not or the image cannot be read.

    \b
    serin verify momentum:1.0.0
    serin verify momentum.tar --key cosign.pub
    serin verify momentum-layout --key cosign.pub -o json
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from serin_services.image import layouts, signatures, verification  # noqa: PLC0415 - as above

    check_output(output)
    try:
        public = signatures.read_public_key(key) if key else None
        given = verification.read_given(signature) if signature else None
        with layouts.open_image(image, engine) as layout:
            report = verification.verify(layout, public, given)
    except errors.PackageError as error:
        fail(error)
    show(report, output)
    raise typer.Exit(0 if report.ok else 1)


def sign(
    image: Annotated[str, typer.Argument(help="A layout folder, an archive of one, or an image of the engine's.")],
    key: Annotated[Path, typer.Option(help="Private key: P-256, PKCS #8 PEM.", dir_okay=False)],
    written: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Write the signature here; default: into the layout folder.", dir_okay=False
        ),
    ] = None,
    reference: Annotated[str, typer.Option(help="The name to sign the image under; default: its own.")] = "",
    engine: Engine = "auto",
) -> None:
    """Sign an image as cosign does, without a registry. SERIN_KEY_PASSWORD opens an encrypted key.

    \b
    buildah push momentum:1.0.0 oci:momentum-layout && serin sign momentum-layout --key key.pem
    serin sign momentum:1.0.0 --key key.pem -o momentum.sig
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from serin_services.image import layouts, signatures, verification  # noqa: PLC0415 - as above

    try:
        private = signatures.read_private_key(key, os.environb.get(b"SERIN_KEY_PASSWORD"))
        with layouts.open_image(image, engine) as layout:
            payload = signatures.make_payload(layout.digest, reference or image)
        made = signatures.sign(private, payload)
        if written:
            written.write_text(f"{made}\n")
            verification.payload_path(written).write_bytes(payload)
        elif Path(image).is_dir():
            signatures.add_to_layout(Path(image), layout.digest, payload, made)
        else:
            raise typer.BadParameter(f"{image} is no layout folder: say where to write it", param_hint="--output")
    except errors.PackageError as error:
        fail(error)
    typer.echo(f"{image} {layout.digest} signed")


def show(report: "verification.Report", output: str) -> None:
    """Print what was found: a line for each finding, and for each that does not hold what to do."""
    if output == "json":
        typer.echo(json.dumps({**dataclasses.asdict(report), "ok": report.ok}))
        return
    from rich import console, table  # noqa: PLC0415 - only for text

    shown = table.Table("", "check", "where", "found", box=None, pad_edge=False)
    # That a layer is as it should be is in the line of all of them.
    for finding in (one for one in report.findings if not (one.ok and one.check == "layer")):
        shown.add_row("ok" if finding.ok else "BAD", finding.check, finding.where, describe(finding))
    width = None if sys.stdout.isatty() else 160
    console.Console(file=sys.stdout, width=width, highlight=False).print(shown)
    name = f"{report.model} {report.version}".strip() or "no readable package"
    bad = sum(not finding.ok for finding in report.findings)
    typer.echo(f"{report.image} {report.digest}: {name}, {f'{bad} findings' if bad else 'everything holds'}")


def describe(finding: "verification.Finding") -> str:
    """Say what was found in one cell."""
    if finding.ok:
        return finding.came
    return f"expected {finding.expected}\ngot {finding.came}\n{finding.advice}"


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
