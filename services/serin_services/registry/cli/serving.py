"""`serin registry serve` and `token`: a registry of one's own, and who may use it."""

import datetime as dt
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serin_services.registry import errors
from serin_services.registry.cli import home, session

if TYPE_CHECKING:
    from serin_services.registry.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on; default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; default: 8080.", min=0, max=65535)] = None,
) -> None:
    """Serve the registry until it is told to end: SQLite and a folder, or what SERIN_REGISTRY_* says.

    \b
    Examples:
      serin registry serve
      SERIN_REGISTRY_HOME=/srv/registry serin registry serve --port 8081
    """  # noqa: D301 - \b keeps the lines of the examples apart
    with session.reporting():
        environment = home.find_environment()
        # A wrong setting is a sentence here, and not a traceback of the server.
        settings = read_settings({**environment, **_given(host, port)})
    where = f"{'https' if settings.tls_cert else 'http'}://{settings.host}:{settings.port}"
    session.tell(f"the registry is at {where}; its figures at http://{settings.host}:{settings.metrics_port}/metrics")
    sys.stdout.flush()
    command = [sys.executable, "-m", "serin_services.registry.main"]
    os.execve(sys.executable, command, {**environment, **_given(host, port)})  # noqa: S606 - our own module


def token(
    subject: Annotated[str, typer.Option(help="Who it is for; default: the user of this machine.")] = "",
    tenant: Annotated[str, typer.Option(help="Their team.")] = "default",
    role: Annotated[str, typer.Option(help="viewer, developer, approver or admin.")] = "admin",
    office: Annotated[
        list[str] | None, typer.Option(help="An office they hold, for sign-offs; may be repeated.")
    ] = None,
    days: Annotated[float, typer.Option(help="How long it is good.", min=0.001, max=3660)] = 30,
) -> None:
    """Print a token for a registry on this machine, signed with its own secret (HS256).

    Where an identity provider signs the tokens, it gives them, and this command does not.

    \b
    Examples:
      export SERIN_REGISTRY_TOKEN=$(serin registry token)
      serin registry token --subject ci --role developer --days 365
      serin registry token --subject anna --role approver --office risk-manager
    """  # noqa: D301 - as above
    with session.reporting():
        typer.echo(sign(read_settings(home.find_environment()), subject or _user(), tenant, role, office or [], days))


def keygen(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.", dir_okay=False)],
) -> None:
    """Make a key that encrypts artifacts, as age-keygen does; without it nobody reads them again.

    \b
    Examples:
      serin registry keygen keys.txt
      SERIN_REGISTRY_ARTIFACTS_KEY_FILE=keys.txt serin registry serve
    """  # noqa: D301 - as above
    from serin_services.registry.artifacts import encryption  # noqa: PLC0415 - only for this command

    try:
        encryption.write_new(file, dt.datetime.now(dt.UTC))
    except OSError as error:
        session.fail(f"{file}: {error.strerror}; a key is never written over")
    session.tell(f"{file}: keep it where the artifacts and their backups are not")


def sign(settings: "Settings", subject: str, tenant: str, role: str, offices: list[str], days: float) -> str:
    """Sign a token.

    Raises:
        errors.InvalidError: the registry does not take tokens that it signs itself, or there is no such role.
    """
    from serin_services.registry import tokens  # noqa: PLC0415 - only for this command
    from serin_services.registry.core import access  # noqa: PLC0415 - as above

    if settings.jwt_algorithm != "HS256" or settings.jwt_secret is None:
        raise errors.InvalidError(
            f"this registry takes tokens of {settings.jwt_issuer} ({settings.jwt_algorithm}): ask there for one"
        )
    if role.upper() not in access.Role.__members__:
        raise errors.InvalidError(f"--role: expected viewer, developer, approver or admin, got {role!r}")
    return tokens.sign(
        settings.jwt_secret.get_secret_value(),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        subject=subject,
        tenant=tenant,
        role=role.lower(),
        offices=offices,
        now=dt.datetime.now(dt.UTC),
        days=days,
    )


def read_settings(environment: dict[str, str]) -> "Settings":
    """Read the settings.

    Raises:
        errors.InvalidError: a variable says something wrong.
    """
    from serin_services.registry import settings  # noqa: PLC0415 - as above

    try:
        return settings.read(environment)
    except ValueError as error:
        raise errors.InvalidError(str(error)) from error


def _given(host: str | None, port: int | None) -> dict[str, str]:
    given = {"HOST": host, "PORT": port}
    return {f"SERIN_REGISTRY_{name}": str(value) for name, value in given.items() if value is not None}


def _user() -> str:
    import getpass  # noqa: PLC0415 - as above

    return getpass.getuser()
