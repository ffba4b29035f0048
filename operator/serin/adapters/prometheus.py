"""Prometheus: raw counter samples, single query results and firing alerts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from serin.api import metrics, names

TIMEOUT_SECONDS = 5.0


class UnavailableError(Exception):
    """Prometheus cannot be asked, or gave no answer that can be used; the text says which."""


@dataclass(frozen=True)
class Series:
    """One series with its raw samples (seconds, value) in order."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class FiringAlert:
    """An alert that is firing, with the object and the action that its labels name."""

    name: str
    action: str
    namespace: str
    modeldeployment: str
    revision: str
    message: str
    active_at: datetime | None


class Prometheus:
    """One Prometheus, by its URL."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session:
            await self._session.close()

    async def samples(self, namespace: str, name: str, bounds: Sequence[float], seconds: float) -> list[Series]:
        """Read the raw request counters of an object's servers over the last seconds, and the latency buckets at bounds."""
        series = "|".join((metrics.REQUESTS, f"{metrics.REQUEST_SECONDS}_bucket"))
        wanted = "|".join(["", *(str(float(bound)).replace(".", r"\\.") for bound in bounds), r"\\+Inf"])
        selector = (
            f'{{__name__=~"{series}",{metrics.NAMESPACE}="{namespace}",'
            f'{metrics.MODELDEPLOYMENT}="{name}",le=~"{wanted}"}}[{math.ceil(seconds * 1000)}ms]'
        )
        result = await self._get("/api/v1/query", {"query": selector})
        return [
            Series(series["metric"], [(float(time), float(value)) for time, value in series["values"]])
            for series in result["result"]
        ]

    async def value(self, query: str) -> float | None:
        """Run a query that gives one number, or None where it gives no result.

        Raises:
            UnavailableError: Prometheus refused the query, did not answer, or gave more than one series.
        """
        result = await self._get("/api/v1/query", {"query": query})
        if result["resultType"] == "scalar":
            return float(result["result"][1])
        if result["resultType"] != "vector" or len(result["result"]) > 1:
            raise UnavailableError(
                f"the query gives {len(result['result'])} series of type {result['resultType']}; expected one number"
            )
        return float(result["result"][0]["value"][1]) if result["result"] else None

    async def alerts(self) -> list[FiringAlert]:
        """Read the firing alerts that name an object and an action."""
        result = await self._get("/api/v1/alerts", {})
        return [
            _read_alert(alert)
            for alert in result["alerts"]
            if alert["state"] == "firing"
            and names.ACTION_LABEL in alert["labels"]
            and names.OBJECT_ALERT_LABEL in alert["labels"]
        ]

    async def _get(self, path: str, parameters: dict[str, str]) -> Any:  # noqa: ANN401 - Prometheus' JSON
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))
        try:
            async with self._session.get(f"{self._url}{path}", params=parameters) as response:
                body = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise UnavailableError(f"Prometheus at {self._url} does not answer: {reason}") from error
        if not isinstance(body, dict) or body.get("status") != "success":
            detail = body.get("error", "") if isinstance(body, dict) else ""
            raise UnavailableError(f"Prometheus at {self._url} refused {path}: {detail}")
        return body["data"]


def _read_alert(alert: Mapping[str, Any]) -> FiringAlert:
    labels, annotations = alert["labels"], alert.get("annotations", {})
    active = alert.get("activeAt")
    return FiringAlert(
        labels.get("alertname", ""),
        labels[names.ACTION_LABEL],
        labels.get(metrics.NAMESPACE, ""),
        labels[names.OBJECT_ALERT_LABEL],
        labels.get(names.REVISION_ALERT_LABEL, ""),
        annotations.get("summary") or annotations.get("description") or "",
        datetime.fromisoformat(_microseconds(active)) if active else None,
    )


def _microseconds(timestamp: str) -> str:
    """Cut Go's nanoseconds, which datetime does not read: 2026-01-01T00:00:00.123456789Z."""
    whole, dot, fraction = timestamp.rstrip("Z").partition(".")
    return f"{whole}{dot}{fraction[:6].ljust(6, '0') if dot else ''}+00:00"
