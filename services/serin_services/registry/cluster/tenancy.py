"""Whose a ModelDeployment is: the one rule, for what is found in the cluster and for what callers ask for alike."""

import dataclasses
import threading
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

from serin_services.registry import errors
from serin_services.registry.cluster.connection import Client

# On a namespace, whose owners decide it; on an object only where its namespace says nothing.
TENANT_LABEL = "serin.dev/tenant"
# How long a namespace's label is believed without looking again.
MEMORY_SECONDS = 60.0


def choose(namespace: Mapping[str, str], resource: Mapping[str, str], default: str) -> str:
    """Give the tenant that the labels of a namespace and of an object in it say.

    The namespace's wins: whoever may write an object must not be able to give it to another tenant.
    """
    return namespace.get(TENANT_LABEL) or resource.get(TENANT_LABEL) or default


@dataclasses.dataclass
class Tenancy:
    """Finds the tenant of objects, and remembers what namespaces say for a minute."""

    client: Client
    default: str
    _labels: dict[str, tuple[float, Mapping[str, str]]] = dataclasses.field(default_factory=dict)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def of(self, namespace: str, resource: Mapping[str, Any] | None = None) -> str:
        """Give the tenant of an object in a namespace, or of one that is yet to be made there.

        Raises:
            errors.UnavailableError: the namespace cannot be read; nothing is guessed then.
        """
        labels = ((resource or {}).get("metadata") or {}).get("labels") or {}
        return choose(self._read(namespace), labels, self.default)

    def _read(self, namespace: str) -> Mapping[str, str]:
        with self._lock:
            until, labels = self._labels.get(namespace, (0.0, {}))
        if time.monotonic() < until:
            return labels
        try:
            found = self.client.request("GET", f"/api/v1/namespaces/{urllib.parse.quote(namespace, '')}")
        except errors.NotFoundError:
            return {}
        labels = found["metadata"].get("labels") or {}
        with self._lock:
            self._labels[namespace] = (time.monotonic() + MEMORY_SECONDS, labels)
        return labels
