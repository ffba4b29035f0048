"""What the environment may set; each has a default that fits the image."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serin.api import names
from serin_services.server import admission

# Of a port, and more than anyone waits in seconds.
LARGEST = 65535
LARGEST_BYTES = 1 << 40
MIB = 1024 * 1024


def number(default: float, most: float, words: str = "a whole number") -> Any:  # noqa: ANN401 - as dataclasses.field
    """Make a field for a number with a largest value of its own."""
    return dataclasses.field(default=default, metadata={"most": most, "words": words})


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
    # What one request may hold, and how long it may take to arrive and, where this is not 0, to be answered.
    max_body_bytes: int = number(16 * MIB, LARGEST_BYTES)
    max_rows: int = number(100_000, 1 << 30)
    read_seconds: float = 30.0
    deadline_seconds: float = 0.0
    # How many requests may wait for a thread, and for how many seconds any may wait in a server that cannot keep up.
    max_waiting: int = admission.MOST_WAITING
    max_wait_seconds: float = admission.PATIENCE_SECONDS
    # Whether requests are predicted together: on, off, or auto, where the start measures that it helps.
    batching: str = "auto"
    # Where predictions are logged (`predictions.addresses` reads it), of which share of requests, and how many bytes
    # may wait to be written.
    prediction_log: str = ""
    prediction_log_share: float = number(1.0, 1, "a share")
    prediction_log_bytes: int = number(16 * MIB, LARGEST_BYTES)
    # Answers that are kept to be given again: how many, and how many bytes of them.
    cache_entries: int = number(0, 1 << 30)
    cache_bytes: int = number(16 * MIB, LARGEST_BYTES)


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read SERIN_PACKAGE, SERIN_HOST, SERIN_HTTP_PORT and so on: each field's name in capitals.

    Raises:
        ValueError: a value cannot be read, with the variable's name.
    """
    given: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        name = f"SERIN_{field.name.upper()}"
        if name in environment:
            given[field.name] = parse(name, environment[name], field.default, **field.metadata)
    return Settings(**given)


def parse(name: str, text: str, default: object, *, most: float = LARGEST, words: str = "") -> Path | str | int | float:
    """Read one value as what its default is, up to a largest number."""
    if isinstance(default, Path):
        return Path(text)
    if isinstance(default, str):
        return text
    wanted = words or ("a whole number" if isinstance(default, int) else "a number of seconds")
    try:
        value = int(text) if isinstance(default, int) else float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= most:
        raise ValueError(f"{name}: expected {wanted} from 0 to {most}, got {text!r}")
    return value
