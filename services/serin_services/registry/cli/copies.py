"""`serin registry backup`, `restore` and `maintain`: work on database and store themselves, beside a server or without one."""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serin_services.registry.cli import home, options, screens, serving, session
from serin_services.registry.cli.options import Format

if TYPE_CHECKING:
    from serin_services.registry.artifacts.store import Store
    from serin_services.registry.backup.archive import Contents
    from serin_services.registry.database.sessions import Database

# An upload that has not ended by then has broken off.


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.", dir_okay=False)],
    output: options.Output = Format.TABLE,
) -> None:
    """Write the whole registry, rows and artifacts, into one file; it is there when it is whole.

    Reads the database and the store that SERIN_REGISTRY_* names, of one moment, while the registry goes on. Encrypted
    artifacts stay encrypted: keep the key file elsewhere, the backup does not hold it.

    \b
    Examples:
      serin registry backup registry-2026-11-21.tar
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from serin_services.registry.backup import making  # noqa: PLC0415 - its libraries load when it is called

    with session.reporting(), screens.status("backing up") as tell, _open() as (database, store):
        contents = making.make(database, store, file, dt.datetime.now(dt.UTC), tell)
    _show(contents, output, f"{file}: {screens.write_bytes(file.stat().st_size)}")


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.", dir_okay=False)],
    output: options.Output = Format.TABLE,
) -> None:
    """Put a backup into the empty registry that SERIN_REGISTRY_* names: all of it, or nothing.

    It may have come from another kind of database or store. It is checked from end to end before anything is written,
    and every tenant's audit log is verified before it counts.

    \b
    Examples:
      SERIN_REGISTRY_HOME=/srv/new serin registry restore registry-2026-11-21.tar
    """  # noqa: D301 - as above
    from serin_services.registry.backup import restoring  # noqa: PLC0415 - as above

    with session.reporting(), screens.status("restoring") as tell, _open() as (database, store):
        database.upgrade()
        contents = restoring.restore(database, store, file, tell)
    _show(contents, output, f"{file} is restored")


def maintain(output: options.Output = Format.TABLE) -> None:
    """Remove what is older than it is kept, and archive what has been retired; a running registry is not disturbed.

    \b
    Examples:
      serin registry maintain
    """  # noqa: D301 - as above
    from serin_services.registry import upkeep  # noqa: PLC0415 - as above

    with session.reporting(), _open() as (database, store):
        settings = serving.read_settings(home.find_environment())
        reached = upkeep.carry_out(database, store, settings, dt.datetime.now(dt.UTC))
    rules = upkeep.describe(settings)
    lines = ((count, rules[name]) for name, count in reached.items())
    screens.show(reached, output, lambda: screens.make_table(("REACHED", "RULE"), lines, ""))


@contextlib.contextmanager
def _open() -> Iterator[tuple["Database", "Store"]]:
    """Open the database and the store that the environment names."""
    from serin_services.registry import wiring  # noqa: PLC0415 - as above

    settings = serving.read_settings(home.find_environment())
    database = wiring.open_database(settings)
    try:
        yield database, wiring.open_store(settings)
    finally:
        database.close()


def _show(contents: "Contents", output: Format, title: str) -> None:
    session.tell(title)
    if contents.encrypted:
        session.tell(
            f"{contents.encrypted} of its artifacts are encrypted: they need the key file of the registry that wrote them"
        )
    facts = {
        "made at": contents.made_at,
        "files": contents.artifacts,
        **{name: n for name, n in contents.rows.items() if n},
    }
    screens.show(dataclasses.asdict(contents), output, lambda: screens.make_facts(facts))
