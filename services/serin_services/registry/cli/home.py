"""The settings of a registry on this machine: what the environment says, or a folder of one person's own.

A person who sets nothing gets SQLite, a folder of artifacts and a secret that signs tokens, all in SERIN_REGISTRY_HOME,
and every command that works on the registry itself finds the same ones.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from serin_services.registry import errors

VARIABLE = "SERIN_REGISTRY_HOME"
_DEFAULT = Path("~/.local/share/serin/registry")
ISSUER = "serin-registry"
# Whoever sets one of these has an identity provider, or a secret, of their own.
_OWN = ("SERIN_REGISTRY_JWKS_URL", "SERIN_REGISTRY_JWT_SECRET", "SERIN_REGISTRY_JWT_SECRET_FILE")


def find_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Give the environment with what it leaves out.

    Raises:
        errors.InvalidError: the folder cannot be made or read.
    """
    if any(name in environment for name in _OWN):
        return dict(environment)
    home = Path(environment.get(VARIABLE) or _DEFAULT).expanduser().absolute()
    return {
        "SERIN_REGISTRY_DATABASE": f"sqlite:///{home / 'registry.db'}",
        "SERIN_REGISTRY_ARTIFACTS": str(home / "artifacts"),
        "SERIN_REGISTRY_JWT_ALGORITHM": "HS256",
        "SERIN_REGISTRY_JWT_ISSUER": ISSUER,
        "SERIN_REGISTRY_JWT_SECRET_FILE": str(find_secret(home)),
        **environment,
    }


def find_secret(home: Path) -> Path:
    """Give the file with the secret; the first who asks makes it, readable by its owner alone."""
    path = home / "jwt-secret"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    except OSError as error:
        raise errors.InvalidError(f"{home}: {error.strerror}; {VARIABLE} names another folder") from error
    return path
