"""What the local cluster is made of: versions, modules and packages, read from the one file that pins them."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import tomllib
from typing import Any

ROOT = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Part:
    """One upstream project: its version, and the Go module it is built from (empty when it is not)."""

    version: str
    module: str = ""
    module_version: str = ""

    @property
    def required(self) -> str:
        """The version that the module carries, for projects whose library is numbered apart."""
        return "v" + (self.module_version or self.version)


@dataclasses.dataclass(frozen=True)
class Versions:
    """Every pinned version of `versions.toml`."""

    kubernetes: Part
    helm: Part
    coredns: Part
    envoy_gateway: Part
    prometheus: Part
    prometheus_operator: Part
    envoy: str
    envoy_wheel: str
    envoy_sha256: dict[str, str]
    alertmanager: str
    pause: str
    suite: str
    tools: tuple[str, ...]
    daemons: tuple[str, ...]
    python: tuple[str, ...]
    go_minimum: str


def _part(table: dict[str, Any]) -> Part:
    return Part(table["version"], table["module"], table.get("module_version", ""))


@functools.cache
def load(path: pathlib.Path = ROOT / "versions.toml") -> Versions:
    """Read the pinned versions. A missing entry is a `KeyError`: the file is part of the program."""
    data = tomllib.loads(path.read_text())
    return Versions(
        kubernetes=_part(data["kubernetes"]),
        helm=_part(data["helm"]),
        coredns=_part(data["coredns"]),
        envoy_gateway=_part(data["envoy-gateway"]),
        prometheus=_part(data["prometheus"]),
        prometheus_operator=_part(data["prometheus-operator"]),
        envoy=data["envoy"]["version"],
        envoy_wheel=data["envoy"]["wheel"],
        envoy_sha256=data["envoy"]["sha256"],
        alertmanager=data["alertmanager"]["version"],
        pause=data["pause"]["version"],
        suite=data["debian"]["suite"],
        tools=tuple(data["debian"]["tools"]),
        daemons=tuple(data["debian"]["daemons"]),
        python=tuple(data["debian"]["python"]),
        go_minimum=data["go"]["minimum"],
    )
