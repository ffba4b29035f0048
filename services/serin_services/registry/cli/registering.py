"""`serin registry register`: a package or a single file becomes a version, with its files in the registry's store."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serin_services.registry.cli import options, screens, session
from serin_services.registry.cli.options import Format

if TYPE_CHECKING:
    from serin_services.registry.client import results
    from serin_services.registry.client.sources import Source

_SEEN_BY = {"tenant": "your tenant", "user": "you alone", "platform": "everyone"}


def create(
    model: Annotated[str, typer.Argument(help="Its name: a-z, 0-9 and -, at most 52 characters.", show_default=False)],
    description: Annotated[str, typer.Option("--description", help="What it is for.")] = "",
    label: options.Label = None,
    visibility: Annotated[
        str | None, typer.Option("--visibility", help="tenant (the default), user (you alone), or platform (everyone).")
    ] = None,
    output: options.Output = Format.TABLE,
) -> None:
    """Make a model before it has versions: to say who sees it, or what it is for.

    \b
    Examples:
      serin registry create momentum --description "direction of the next hour" --label team=trading
      serin registry create my-idea --visibility user
    """  # noqa: D301 - \b keeps the lines of the examples apart
    labels = options.pairs("--label", label)
    with session.connect() as registry:
        made = registry.create_model(model, description=description, labels=labels, visibility=visibility)
    text = f"{made.name} is made; it is seen by {_SEEN_BY.get(made.visibility, made.visibility)}"
    screens.show(made, output, lambda: text)


def register(  # noqa: PLR0913, PLR0917 - each parameter is an option of the command
    path: Annotated[Path, typer.Argument(help="A package folder, or the file of a trained model.", exists=True)],
    model: Annotated[str, typer.Option("--model", help="Its model; a package says it itself.")] = "",
    version: Annotated[
        str | None, typer.Option("--version", help="The number; default: a package's own, or the next.")
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", help="Of a single file: xgboost, lightgbm, onnx, torch, …")
    ] = None,
    parent: Annotated[
        str | None, typer.Option("--parent", help="The version it was made from; default: the highest.")
    ] = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="name=number; may be repeated.")] = None,
    label: options.Label = None,
    image: Annotated[
        str | None, typer.Option("--image", help="Its image, with its digest; deploying needs one.")
    ] = None,
    details: Annotated[
        Path | None,
        typer.Option("--details", help="JSON with more: hyperparameters, features, target, data, …", dir_okay=False),
    ] = None,
    attach: Annotated[
        list[Path] | None, typer.Option("--log", help="A file that training wrote, kept below logs/; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which number it would get, and why; the model must be there.")
    ] = False,
    output: options.Output = Format.TABLE,
) -> None:
    """Register a version: of a package folder, or of a single file; its files go up with it.

    What changed against the parent decides the number's part: a number that is given may not be smaller than that. The
    model is made if there is none of this name. Run again after a break, it goes on where it was.

    \b
    Examples:
      serin registry register ./momentum-1.2.0
      serin registry register ./momentum-1.2.0 --details training.json --image registry.example/momentum@sha256:…
      serin registry register ./momentum-1.2.0 --dry-run
      serin registry register model.ubj --model momentum --family xgboost --metric accuracy=0.64 --log train.log
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from serin_services.registry.client import sources  # noqa: PLC0415 - its libraries load when something is asked

    given = {"version": version, "family": family, "parent": parent, "image": image}
    body = {
        **(_read_details(details) if details else {}),
        **{name: value for name, value in given.items() if value is not None},
    }
    for name, found in (("metrics", options.numbers("--metric", metric)), ("labels", options.pairs("--label", label))):
        if found:
            body[name] = {**body.get(name, {}), **found}
    with session.reporting():
        source = sources.read_package(path, body) if path.is_dir() else read_file(path, model, body)
    if model and source.model != model:
        raise typer.BadParameter(f"the package is of model {source.model}, not {model}", param_hint="--model")
    logs = {f"logs/{file.name}": file for file in attach or []}
    with session.connect() as registry:
        if dry_run:
            _tell_decision(registry.decide(source.model, source.body), source.model, output)
            return
        whole = dataclasses.replace(source, files={**source.files, **logs})
        made = registry.register_source(whole, tell=session.tell, bar=screens.progress)
    text = f"{made.model} {made.version} is registered ({made.change}: {'; '.join(made.change_reasons)})"
    screens.show(made, output, lambda: text)


def _tell_decision(decided: "results.Decision", model: str, output: Format) -> None:
    against = f"against {decided.parent}" if decided.parent else "as the first"
    reasons = "; ".join(decided.change.reasons)
    text = f"{model} would get {decided.version}, {against} ({decided.change.part}: {reasons}); nothing is registered"
    screens.show(decided, output, lambda: text)


def read_file(path: Path, model: str, body: dict[str, Any]) -> "Source":
    """Take a single file as the model.

    Raises:
        typer.BadParameter: it needs a model's name and a family.
    """
    from serin_services.registry.client import sources  # noqa: PLC0415 - as above

    if not model:
        raise typer.BadParameter("a single file does not say its model", param_hint="--model")
    if not body.get("family"):
        raise typer.BadParameter("a single file does not say its family", param_hint="--family")
    return sources.Source(model, body, {"model": path})


def _read_details(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--details") from error
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{path}: expected an object", param_hint="--details")
    return found
