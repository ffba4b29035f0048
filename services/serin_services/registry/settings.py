"""What the environment may set, each as `SERIN_REGISTRY_` and the field's name in capitals.

What is secret, or may hold a secret, comes from a file just as well: `…_FILE` names it, so that it stands in no process list.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

import limits
import pydantic

from serin_services.package.manifest import describe

PREFIX = "SERIN_REGISTRY_"
MIB = 1024 * 1024
# A shorter key of HS256 could be guessed (RFC 7518, section 3.2).
LEAST_SECRET_BYTES = 32

Port = Annotated[int, pydantic.Field(ge=0, le=65535)]
Seconds = Annotated[float, pydantic.Field(gt=0, le=86_400)]
Days = Annotated[int, pydantic.Field(ge=1, le=36_500)]
Bytes = Annotated[int, pydantic.Field(ge=1)]


class Settings(pydantic.BaseModel):
    """Where things are kept, whom to trust, and how much a caller may ask for."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # SQLite in the current folder for one person; postgresql+psycopg://… for a team.
    database: pydantic.SecretStr = pydantic.SecretStr("sqlite:///registry.db")
    # Of the login that owns the tables; the one above then may neither change them nor see past row-level security.
    database_owner: pydantic.SecretStr | None = None
    # Whether to bring the tables up to date at the start: always with SQLite, only when asked with PostgreSQL.
    upgrade: bool = False
    pool_size: int = pydantic.Field(default=16, ge=1, le=1000)

    # A folder, or s3://bucket with a bucket of its own.
    artifacts: str = "artifacts"
    s3_endpoint: str = ""
    s3_region: str = "us-east-1"
    s3_access_key: pydantic.SecretStr | None = None
    s3_secret_key: pydantic.SecretStr | None = None
    # PEM of a private authority, where the endpoint's certificate is from one.
    s3_ca: Path | None = None
    # Age identities, the newest first; with them, artifacts are encrypted before they are stored.
    artifacts_key: pydantic.SecretStr | None = None
    artifact_bytes: Bytes = 20 * 1024 * MIB

    jwt_issuer: str = ""
    jwt_audience: str = "serin-registry"
    jwt_algorithm: Literal["RS256", "ES256", "HS256"] = "RS256"
    jwks_url: str = ""
    jwt_secret: pydantic.SecretStr | None = None
    # How far the clocks of issuer and registry may differ.
    jwt_leeway_seconds: float = pydantic.Field(default=10.0, ge=0, le=120)
    # How long the issuer's keys are kept, and how often an unknown key may make the registry ask for them again.
    jwks_seconds: Seconds = 600.0
    jwks_interval_seconds: Seconds = 30.0

    host: str = "127.0.0.1"
    port: Port = 8080
    metrics_port: Port = 9090
    tls_cert: Path | None = None
    tls_key: Path | None = None
    # Whose X-Forwarded-For is believed, as uvicorn reads it: addresses or networks, separated by commas.
    trusted_proxies: str = "127.0.0.1"
    threads: int = pydantic.Field(default=16, ge=1, le=1000)

    # As the limits library reads them: per caller, and per address before anyone is known.
    rate: str = "1200/minute"
    address_rate: str = "3000/minute"
    body_bytes: Bytes = MIB
    batch_bytes: Bytes = 16 * MIB
    header_seconds: Seconds = 10.0
    # A body may take so long, and longer by what has come of it at the slowest rate that is borne.
    body_seconds: Seconds = 20.0
    body_bytes_per_second: Bytes = 16 * 1024
    drain_seconds: Seconds = 20.0
    idempotency_hours: int = pydantic.Field(default=24, ge=1, le=24 * 30)

    # Where ModelDeployments are: off, in-cluster (a pod's service account), kubeconfig (the usual one), or its path.
    cluster: str = "off"
    cluster_name: str = "default"
    # The namespaces that are followed, separated by commas; none for all.
    namespaces: tuple[str, ...] = ()
    # Whose the objects of the cluster are that do not say so themselves.
    tenant: str = "default"
    # namespace/name of the gateway that a deployment's route attaches to, where the caller names none.
    gateway: str = ""

    # How long what grows is kept.
    prediction_days: Days = 90
    shadow_days: Days = 90
    retired_days: Days = 180

    @pydantic.field_validator("namespaces", mode="before")
    @classmethod
    def split(cls, given: object) -> object:
        """Read names separated by commas."""
        return tuple(name.strip() for name in given.split(",") if name.strip()) if isinstance(given, str) else given

    @pydantic.field_validator("rate", "address_rate")
    @classmethod
    def is_rate(cls, given: str) -> str:
        """Refuse what is no rate."""
        try:
            limits.parse(given)
        except ValueError:
            raise ValueError("expected a rate such as 1200/minute") from None
        return given

    @pydantic.model_validator(mode="after")
    def fits_together(self) -> Self:
        """Refuse a registry that nobody could prove to be anyone to, and half a pair of files or keys."""
        if self.jwt_algorithm == "HS256":
            if self.jwt_secret is None or len(self.jwt_secret.get_secret_value()) < LEAST_SECRET_BYTES:
                raise ValueError(f"jwt_secret: HS256 needs a secret of at least {LEAST_SECRET_BYTES} characters")
        elif not self.jwks_url:
            raise ValueError(f"jwks_url: {self.jwt_algorithm} needs the address of the issuer's keys")
        if not self.jwt_issuer:
            raise ValueError("jwt_issuer: expected who signs the tokens, as their `iss` says it")
        for one, other in (("tls_cert", "tls_key"), ("s3_access_key", "s3_secret_key")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"{one}, {other}: expected both or neither")
        return self

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is one person's file."""
        return self.database.get_secret_value().startswith("sqlite")


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the environment: SERIN_REGISTRY_DATABASE, or SERIN_REGISTRY_DATABASE_FILE with a file that holds it, and so on.

    Raises:
        ValueError: a value cannot be read, with the variable's name and without the value.
    """
    given: dict[str, str] = {}
    for field in Settings.model_fields:
        name = f"{PREFIX}{field.upper()}"
        if f"{name}_FILE" in environment:
            given[field] = _read_file(f"{name}_FILE", environment[f"{name}_FILE"])
        elif name in environment:
            given[field] = environment[name]
    try:
        return Settings.model_validate(given)
    except pydantic.ValidationError as error:
        raise ValueError(f"{PREFIX}*: {describe(error)}") from None


def _read_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: {path} cannot be read: {error}") from None
