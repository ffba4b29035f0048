"""`serin lint`: what the API server would refuse, told before anything is applied."""

import dataclasses
import enum
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from serin.cli import checks, sources
from serin.cli.errors import CliError


class Format(enum.StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"


def lint(
    files: Annotated[
        list[str], typer.Argument(help="YAML files, folders of them, or - for stdin.", show_default=False)
    ],
    output: Annotated[Format, typer.Option("-o", "--output", help="How to print.")] = Format.TEXT,
) -> None:
    """Check ModelDeployments in YAML files without a cluster; end with 1 when one would be refused.

    Other kinds are passed over. An object that comes again is an update of the earlier one: the same version with
    another image digest is found then.

    \b
    Examples:
      serin lint momentum.yaml
      serin lint manifests/
      helm template … | serin lint -
      serin lint -o json manifests/ | jq -r '.[].path'
    """  # noqa: D301 - \b keeps the lines of the examples apart
    linter = checks.Linter()
    findings: list[checks.Finding] = []
    for name, text in read_files(files):
        findings.extend(check_file(linter, name, text))
    if output is Format.JSON:
        typer.echo(json.dumps([dataclasses.asdict(found) for found in findings], indent=2, ensure_ascii=False))
    else:
        for found in findings:
            typer.echo(write_finding(found))
    _conclude(findings, linter.checked, output)


def _conclude(findings: list[checks.Finding], checked: int, output: Format) -> None:
    objects = f"{checked} ModelDeployment{'' if checked == 1 else 's'}"
    if findings:
        raise CliError(f"{len(findings)} error{'' if len(findings) == 1 else 's'} in {objects}")
    if not checked:
        raise CliError("there is no ModelDeployment in these files", "`serin init` prints one to begin with")
    typer.echo(f"{objects}: nothing to object to", err=output is Format.JSON)


def check_file(linter: checks.Linter, name: str, text: str) -> Iterator[checks.Finding]:
    """Check all documents of a file; one that is no YAML is a finding too."""
    try:
        for document in sources.read(name, text):
            yield from linter.check(document)
    except sources.YamlError as error:
        yield checks.Finding(name, error.line, 0, "", "", "this is no YAML", error.problem, "correct the file")


def read_files(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Read files, folders of YAML files, and stdin for -.

    Raises:
        CliError: one of them cannot be read.
    """
    for path in paths:
        if path == "-":
            yield "stdin", sys.stdin.read()
            continue
        given = Path(path)
        found = sorted(p for p in given.rglob("*") if p.suffix in (".yaml", ".yml")) if given.is_dir() else [given]
        for file in found:
            try:
                yield str(file), file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise CliError(
                    f"{file} cannot be read: {error}", "give YAML files, folders of them, or -", 2
                ) from error


def write_finding(found: checks.Finding) -> str:
    """Write a finding so that an editor can jump to its line."""
    name = f" of {found.name}" if found.name else ""
    path = f": {found.path}" if found.path else ""
    return (
        f"{found.file}:{found.line}: document {found.document}{name}{path}\n"
        f"    {found.problem}\n    got {found.got}\n    → {found.advice}"
    )
