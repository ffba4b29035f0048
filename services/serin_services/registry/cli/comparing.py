"""`serin registry compare` and `lineage`: what versions differ in, and which came from which."""

import enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serin_services.registry.cli import options, screens, session
from serin_services.registry.cli.options import Format

if TYPE_CHECKING:
    from rich.console import RenderableType


class Drawing(enum.StrEnum):
    """How a lineage is drawn."""

    TREE = "tree"
    MERMAID = "mermaid"
    JSON = "json"


def compare(
    model: options.Model,
    old: Annotated[str, typer.Argument(help="The version that is compared with.", show_default=False)],
    new: Annotated[str, typer.Argument(help="The version that is compared.", show_default=False)],
    output: options.Output = Format.TABLE,
) -> None:
    """Compare two versions: configuration, features, data, metrics, and what became of them.

    \b
    Examples:
      serin registry compare momentum 1.1.0 1.2.0
    """  # noqa: D301 - \b keeps the lines of the examples apart
    with session.connect() as registry:
        found = registry.compare(model, old, new)
    screens.show(found, output, lambda: _draw_comparison(found))


def _draw_comparison(found: dict[str, Any]) -> "RenderableType":
    from rich.console import Group  # noqa: PLC0415 - only for text

    changes = [*found["configuration"], *found["data"]]
    features = found["features"]
    facts = {
        "change": found["change"]["part"],
        "because": found["change"]["reasons"],
        "features added": features["added"],
        "features removed": features["removed"],
        "features moved": features["moved"],
    }
    metrics = (
        (m["name"], m.get("before"), m.get("after"), m.get("absolute"), _judge(m.get("better")))
        for m in found["metrics"]
    )
    lines = ((c["path"], c.get("before"), c.get("after")) for c in [*changes, *features["retyped"]])
    # Of an object that came or went, its parts say it.
    lines = (line for line in lines if screens.write(line[1]) != screens.write(line[2]))
    return Group(
        screens.make_facts(facts),
        "",
        screens.make_table(("WHAT", found["old"], found["new"]), lines, "the configurations are the same"),
        "",
        screens.make_table(("METRIC", found["old"], found["new"], "DIFFERENCE", ""), metrics, "no metrics"),
    )


def _judge(better: bool | None) -> str:
    return {True: "better", False: "worse", None: ""}[better]


def lineage(
    model: options.Model,
    version: Annotated[str | None, typer.Argument(help="Only what it comes from and what comes from it.")] = None,
    output: Annotated[Drawing, typer.Option("-o", "--output", help="tree, mermaid or json.")] = Drawing.TREE,
) -> None:
    """Draw which version came from which.

    \b
    Examples:
      serin registry lineage momentum
      serin registry lineage momentum 1.2.0 -o mermaid
    """  # noqa: D301 - as above
    from serin_services.registry.core import lineage as graphs  # noqa: PLC0415 - its drawing is for this command alone

    with session.connect() as registry:
        found = registry.lineage(model, version)
    if output is Drawing.JSON:
        screens.show(found, Format.JSON, str)
        return
    nodes = {node.id: node for node in found.nodes}
    graph = graphs.Graph({n.id: [n.parent_id] if n.parent_id in nodes else [] for n in found.nodes})
    labels = {node.id: f"{node.version}  {node.stage}" for node in found.nodes}
    if output is Drawing.MERMAID:
        typer.echo(graphs.draw_mermaid(graph, labels.__getitem__))
    else:
        typer.echo("\n".join(graphs.draw_tree(graph, labels.__getitem__)))
