"""`serin registry audit`: who changed what, and whether anybody changed that."""

import itertools
from typing import Annotated

import typer

from serin_services.registry.cli import options, screens, session
from serin_services.registry.cli.options import Format

audit = typer.Typer(help="The log of every change, chained by hashes.", no_args_is_help=True, rich_markup_mode=None)


@audit.command("list")
def list_entries(
    actor: Annotated[str | None, typer.Option("--actor", help="Only what they did.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Only this, such as version.register.")] = None,
    object_id: Annotated[str | None, typer.Option("--object", help="Only on the object with this id.")] = None,
    since: options.Since = None,
    until: options.Until = None,
    limit: options.Limit = 50,
    output: options.Output = Format.TABLE,
) -> None:
    """List what was changed in your tenant, the latest first.

    \b
    Examples:
      serin registry audit list --limit 20
      serin registry audit list --actor anna --action version.approve -o json
    """  # noqa: D301 - \b keeps the lines of the examples apart
    begin, end = options.read_moment("--since", since), options.read_moment("--until", until)
    with session.connect() as registry:
        entries = registry.audit(actor=actor, action=action, object_id=object_id, since=begin, until=end)
        found = list(itertools.islice(entries, limit))
    columns = ("SEQ", "AT", "ACTOR", "ACTION", "OBJECT", "ID", "DETAILS")
    lines = ((e.seq, e.at, e.actor, e.action, e.object_type, e.object_id, e.details) for e in found)
    screens.show(found, output, lambda: screens.make_table(columns, lines, "nothing was changed yet"))


@audit.command("verify")
def verify(output: options.Output = Format.TABLE) -> None:
    """Check the chain from the first entry to the last; ends with 1 and the first broken entry where it does not hold.

    Keep the head that it prints elsewhere: a later look at it shows whether the whole log was written anew.

    \b
    Examples:
      serin registry audit verify
    """  # noqa: D301 - as above
    with session.connect() as registry:
        verdict = registry.verify_audit()
    head = f"head {verdict.head.seq} {verdict.head.digest}"
    good = f"{verdict.count} entries, each as it was written; {head}"
    bad = f"broken at entry {verdict.broken}: {verdict.reason}; the last good one is {head}"
    screens.show(verdict, output, lambda: good if verdict.ok else bad)
    if not verdict.ok:
        raise typer.Exit(1)
