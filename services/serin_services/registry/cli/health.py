"""`serin registry health`: whether the registry and all that it needs are well."""

import typer

from serin_services.registry.cli import options, screens, session
from serin_services.registry.cli.options import Format


def health(output: options.Output = Format.TABLE) -> None:
    """Show the state of the database, the store and the cluster; ends with 1 where something is down.

    \b
    Examples:
      serin registry health
      serin registry health -o json
    """  # noqa: D301 - \b keeps the lines of the examples apart
    with session.connect() as registry:
        found = registry.health()
    lines = ((name, one.state, f"{one.latency_ms:.1f} ms", one.message) for name, one in found.dependencies.items())
    screens.show(
        found, output, lambda: screens.make_table(("WHAT", "STATE", "LATENCY", ""), lines, "nothing is needed")
    )
    if found.state != "up":
        raise typer.Exit(1)
