"""A cluster that is ready for Serin: what the rest of the set-up and the story need to know of it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serin_demo import api, story, watch


@dataclass(frozen=True)
class Ground:
    """The local cluster, or one of the user's own."""

    cluster: api.Api
    kubeconfig: Path | None
    helm: Path
    gateway: story.Gateway
    address: str
    """Where this machine reaches the Gateway: host or host:port."""
    prometheus: watch.Prometheus
    engine: str
    """Which program builds images for it, as `serin build --engine` names them."""
    publish: Callable[[str], str]
    """Brings a built image to the cluster's nodes, and gives the name by which pods find it."""
    reach_registry: Callable[[], AbstractContextManager[str]]
    """Opens a way from this machine to Serin's registry, for as long as the context lasts, and gives its URL."""
    values: Mapping[str, Any]
    """Values of the chart that belong to this cluster."""

    @property
    def prometheus_url(self) -> str:
        """Where pods reach Prometheus."""
        return f"http://{self.prometheus.service}.{self.prometheus.namespace}.svc:{self.prometheus.port}"
