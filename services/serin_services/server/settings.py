"""What the environment may set; each has a default that fits the image."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serin.api import names

# Of a port, and more than anyone waits in seconds.
LARGEST = 65535


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where the package is, where to listen, and how long to stay."""

    package: Path = Path(names.PACKAGE_PATH)
    host: str = "0.0.0.0"  # noqa: S104 - a pod is reached from outside of it
    http_port: int = names.HTTP_PORT
    grpc_port: int = names.GRPC_PORT
    metrics_port: int = names.METRICS_PORT
    # Gateways and kube-proxy go on sending for a while after a pod's end was decided.
    drain_seconds: float = 5.0
    # So long the probes give the reason before the process ends and the kubelet records it.
    refusal_seconds: float = 3.0
    termination_log: Path = Path("/dev/termination-log")


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read SERIN_PACKAGE, SERIN_HOST, SERIN_HTTP_PORT and so on: each field's name in capitals.

    Raises:
        ValueError: a value cannot be read, with the variable's name.
    """
    given: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        name = f"SERIN_{field.name.upper()}"
        if name in environment:
            given[field.name] = parse(name, environment[name], field.default)
    return Settings(**given)


def parse(name: str, text: str, default: object) -> Path | str | int | float:
    """Read one value as what its default is."""
    if isinstance(default, Path):
        return Path(text)
    if isinstance(default, str):
        return text
    wanted = "a whole number" if isinstance(default, int) else "a number of seconds"
    try:
        value = int(text) if isinstance(default, int) else float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= LARGEST:
        raise ValueError(f"{name}: expected {wanted} from 0 to {LARGEST}, got {text!r}")
    return value
