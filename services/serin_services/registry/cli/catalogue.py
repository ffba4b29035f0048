"""`serin registry models`, `list`, `show`, `fetch` and `change`: what there is, and what it is made of."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serin_services.registry.cli import options, screens, session
from serin_services.registry.cli.options import Format

if TYPE_CHECKING:
    from rich.console import RenderableType

    from serin_services.registry.client import results

_VERSION_COLUMNS = ("MODEL", "VERSION", "STAGE", "SINCE", "CHANGE", "FAMILY", "METRICS", "BY")


def models(
    text: Annotated[
        str | None, typer.Option("--text", help="Only those with this in their name or description.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Only with name=value, or name; may be repeated.")
    ] = None,
    limit: options.Limit = 50,
    output: options.Output = Format.TABLE,
) -> None:
    """List the models that you may see.

    \b
    Examples:
      serin registry models
      serin registry models --text momentum --label team=trading -o json
    """  # noqa: D301 - \b keeps the lines of the examples apart
    with session.connect() as registry:
        found = list(itertools.islice(registry.models(q=text, label=_labels(label)), limit))
    columns = ("NAME", "VISIBILITY", "TENANT", "DESCRIPTION", "LABELS", "CREATED", "BY")
    lines = ((m.name, m.visibility, m.tenant, m.description, m.labels, m.created_at, m.created_by) for m in found)
    screens.show(found, output, lambda: screens.make_table(columns, lines, "no models that you may see"))


def list_versions(
    model: Annotated[
        str | None, typer.Argument(help="The model's name or id; default: all.", show_default=False)
    ] = None,
    stage: Annotated[list[str] | None, typer.Option("--stage", help="Only in this stage; may be repeated.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Only with name=value, or name; may be repeated.")
    ] = None,
    limit: options.Limit = 50,
    output: options.Output = Format.TABLE,
) -> None:
    """List versions, the newest first: of one model, or of all.

    \b
    Examples:
      serin registry list momentum
      serin registry list --stage PRODUCTION --stage CANARY
    """  # noqa: D301 - as above
    with session.connect() as registry:
        stages = [one.upper() for one in stage or []]
        found = list(itertools.islice(registry.versions(model, stage=stages, label=_labels(label)), limit))
    screens.show(found, output, lambda: screens.make_table(_VERSION_COLUMNS, map(_line, found), "no versions"))


def _labels(given: list[str] | None) -> list[str]:
    """Give labels as the API's query has them: `name:value`, or `name` for any value."""
    return [text.replace("=", ":", 1) for text in given or []]


def _line(version: "results.VersionSummary") -> tuple[object, ...]:
    return (
        version.model,
        version.version,
        str(version.stage),
        version.stage_since,
        version.change,
        version.family,
        version.metrics,
        version.created_by,
    )


def show(
    model: options.Model,
    version: Annotated[str | None, typer.Argument(help="The version; default: the model.", show_default=False)] = None,
    output: options.Output = Format.TABLE,
) -> None:
    """Show a model, or a version with its files, approvals and moves.

    \b
    Examples:
      serin registry show momentum
      serin registry show momentum 1.2.0 -o json
    """  # noqa: D301 - as above
    with session.connect() as registry:
        if version is None:
            found = registry.model(model)
            newest = list(itertools.islice(registry.versions(model), 10))
            screens.show(
                {**found.model_dump(mode="json"), "versions": newest}, output, lambda: _draw_model(found, newest)
            )
            return
        one = registry.version(model, version)
        parts: dict[str, Any] = {
            "artifacts": registry.artifacts(model, version),
            "approvals": registry.approvals(model, version),
            "transitions": list(itertools.islice(registry.transitions(model, version), 20)),
        }
    screens.show({**one.model_dump(mode="json"), **parts}, output, lambda: _draw_version(one, parts))


def _draw_model(model: "results.Model", newest: list["results.VersionSummary"]) -> "RenderableType":
    from rich.console import Group  # noqa: PLC0415 - only for text

    facts = {
        "name": model.name,
        "id": model.id,
        "visibility": str(model.visibility),
        "tenant": model.tenant,
        "owner": model.owner,
        "description": model.description,
        "labels": model.labels,
        "created": f"{screens.write(model.created_at)} by {model.created_by}",
    }
    return Group(
        screens.make_facts(facts), "", screens.make_table(_VERSION_COLUMNS, map(_line, newest), "no versions yet")
    )


def _draw_version(version: "results.Version", parts: dict[str, Any]) -> "RenderableType":
    from rich.console import Group  # noqa: PLC0415 - as above

    files = (
        (a.name, screens.write_bytes(a.size), a.sha256[:12], a.encrypted, a.created_at) for a in parts["artifacts"]
    )
    words = ((a.office, "approved" if a.approved else "refused", a.at, a.by, a.why) for a in parts["approvals"].items)
    moves = ((t.at, str(t.source), str(t.target), t.by, t.why) for t in parts["transitions"])
    return Group(
        screens.make_facts(_describe(version)),
        "",
        screens.make_table(("FILE", "SIZE", "SHA256", "ENCRYPTED", "SINCE"), files, "no files yet"),
        *(
            ["", screens.make_table(("OFFICE", "SAID", "AT", "BY", "WHY"), words, "")]
            if parts["approvals"].items
            else []
        ),
        *(["", screens.make_table(("AT", "FROM", "TO", "BY", "WHY"), moves, "")] if parts["transitions"] else []),
    )


def _describe(version: "results.Version") -> dict[str, object]:
    names = [str(feature.get("name")) for feature in version.features]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return {
        "version": f"{version.model} {version.version}",
        "id": version.id,
        "stage": str(version.stage),
        "since": version.stage_since,
        "change": version.change,
        "because": version.change_reasons,
        "parent": version.parent,
        "family": version.family,
        "target": version.target,
        "features": f"{len(names)}: {shown}" if names else "",
        "hyperparameters": version.hyperparameters,
        "data": version.data,
        "metrics": version.metrics,
        "labels": version.labels,
        "run": version.run_id,
        "image": version.image,
        "artifact": version.artifact_sha256,
        "trained": version.trained_at,
        "deployed": version.deployed_at,
        "archived": version.archived_at,
        "registered": f"{screens.write(version.created_at)} by {version.created_by}",
    }


def change(
    model: options.Model,
    version: options.Version,
    image: Annotated[str, typer.Option("--image", help="Its image, with its digest, where it has none yet.")] = "",
    metric: Annotated[list[str] | None, typer.Option("--metric", help="name=number; may be repeated.")] = None,
    label: options.Label = None,
    output: options.Output = Format.TABLE,
) -> None:
    """Say more about a version: its image, once, and metrics and labels; what it is made of never changes.

    \b
    Examples:
      serin registry change momentum 1.2.0 --image registry.example/momentum@sha256:…
      serin registry change momentum 1.2.0 --metric sharpe=1.3 --label reviewed=yes
    """  # noqa: D301 - as above
    metrics, labels = options.numbers("--metric", metric), options.pairs("--label", label)
    with session.connect() as registry:
        found = registry.version(model, version)
        changes: dict[str, Any] = {"image": image} if image else {}
        if metrics:
            changes["metrics"] = {**found.metrics, **metrics}
        if labels:
            changes["labels"] = {**found.labels, **labels}
        changed = registry.change_version(model, version, found.revision, changes)
    screens.show(changed, output, lambda: screens.make_facts(_describe(changed)))


def fetch(
    model: options.Model,
    version: options.Version,
    folder: Annotated[Path, typer.Argument(help="Where to; it is made.", file_okay=False, show_default=False)],
    name: Annotated[list[str] | None, typer.Option("--name", help="Only this file; may be repeated.")] = None,
) -> None:
    """Fetch the files of a version, each checked against its digest.

    \b
    Examples:
      serin registry fetch momentum 1.2.0 ./momentum-1.2.0
      serin registry fetch momentum 1.2.0 . --name model
    """  # noqa: D301 - as above
    with session.connect() as registry:
        for artifact in registry.artifacts(model, version):
            if name and artifact.name not in name:
                continue
            target = folder / artifact.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with screens.progress(artifact.name, artifact.size) as tell:
                registry.download(model, version, artifact.name, target, tell)
            typer.echo(target)
