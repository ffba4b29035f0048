"""The Kubernetes API as plain dictionaries: the official client carries credentials and connections, and no models.

Typed models cost more time than all decisions together, and lose fields that they do not know.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import kubernetes.aio as kubernetes

from serin.api import names

Object = dict[str, Any]

FIELD_MANAGER = "serin"
# The server ends a watch after this many seconds; without a bookmark for so long (they come each minute), it is stuck.
WATCH_SECONDS = 600
SILENCE_SECONDS = 150.0


@dataclass(frozen=True)
class Kind:
    """A kind of object: where its API is, and which of them concern us."""

    name: str
    api: str
    plural: str
    selector: str = ""

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Give the URL path of a collection, an object or its subresource."""
        root = f"/api/{self.api}" if "/" not in self.api else f"/apis/{self.api}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return "/".join(part for part in (f"{root}{scope}/{self.plural}", name, subresource) if part)


_OURS = f"{names.MANAGED_BY_LABEL}={names.MANAGER}"

MODELDEPLOYMENT = Kind(names.KIND, names.API_VERSION, names.PLURAL)
DEPLOYMENT = Kind("Deployment", "apps/v1", "deployments", _OURS)
RECORD = Kind("ControllerRevision", "apps/v1", "controllerrevisions", _OURS)
SERVICE = Kind("Service", "v1", "services", _OURS)
POD = Kind("Pod", "v1", "pods", _OURS)
# The endpoint slice controller copies a Service's labels to its slices.
ENDPOINTS = Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices", _OURS)
ROUTE = Kind("HTTPRoute", "gateway.networking.k8s.io/v1", "httproutes", _OURS)
GATEWAY = Kind("Gateway", "gateway.networking.k8s.io/v1", "gateways")
EVENT = Kind("Event", "events.k8s.io/v1", "events")

CHILDREN = (DEPLOYMENT, RECORD, SERVICE, POD, ENDPOINTS, ROUTE)
WATCHED = (*CHILDREN, GATEWAY)


class ApiError(Exception):
    """The API server refused a request; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class ConflictError(ApiError):
    """The object has changed since it was read (409 Conflict)."""


class TerminatingError(ApiError):
    """The namespace is being deleted, and takes nothing new (403 Forbidden, cause NamespaceTerminating)."""


class ExpiredError(Exception):
    """A watch's position is too old: everything must be listed again (410 Gone)."""


class Cluster:
    """The cluster's API."""

    def __init__(self, api: kubernetes.client.ApiClient) -> None:
        self._api = api

    @classmethod
    async def connect(cls) -> Self:
        """Connect as the pod's service account, or with the kubeconfig where there is no pod."""
        try:
            kubernetes.config.load_incluster_config()
        except kubernetes.config.ConfigException:
            await kubernetes.config.load_kube_config()
        return cls(kubernetes.client.ApiClient())

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Read one object; None where there is none."""
        try:
            return await self._request("GET", kind.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def list_all(self, kind: Kind, namespace: str = "") -> Object:
        """List the objects of a kind that concern us."""
        query = [("labelSelector", kind.selector)] if kind.selector else []
        return await self._request("GET", kind.path(namespace), query=query)

    async def apply(self, kind: Kind, wanted: Mapping[str, Any]) -> Object:
        """Make an object what is wanted, whoever changed it before (server-side apply, forced)."""
        metadata = wanted["metadata"]
        return await self._request(
            "PATCH",
            kind.path(metadata["namespace"], metadata["name"]),
            query=[("fieldManager", FIELD_MANAGER), ("force", "true")],
            body=wanted,
            content="application/apply-patch+yaml",
        )

    async def patch_status(self, kind: Kind, found: Mapping[str, Any], status: Mapping[str, Any]) -> Object:
        """Write the status of an object as it was found; fields that are None are taken out.

        The write is bound to the version that was found: of two operators that overlap for a moment, as when a node is
        cut off, the one that has not seen the other's step cannot take it again.

        Raises:
            ConflictError: the object has changed meanwhile.
        """
        metadata = found["metadata"]
        return await self._request(
            "PATCH",
            kind.path(metadata["namespace"], metadata["name"], "status"),
            query=[("fieldManager", FIELD_MANAGER)],
            body={"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": status},
            content="application/merge-patch+json",
        )

    async def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object with what belongs to it; that it is gone already is no error."""
        try:
            body = {"propagationPolicy": "Background"}
            await self._request("DELETE", kind.path(namespace, name), body=body)
        except ApiError as error:
            if error.status != 404:
                raise

    async def create(self, kind: Kind, wanted: Mapping[str, Any]) -> Object:
        """Create an object."""
        return await self._request("POST", kind.path(wanted["metadata"]["namespace"]), body=wanted)

    async def watch(self, kind: Kind, version: str, namespace: str = "") -> AsyncIterator[Object]:
        """Yield the changes after a resource version, bookmarks included, until the server ends the watch.

        Raises:
            ExpiredError: the version is too old.
            TimeoutError: nothing came for longer than bookmarks allow.
        """
        query = [
            ("watch", "true"),
            ("resourceVersion", version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(WATCH_SECONDS)),
            *([("labelSelector", kind.selector)] if kind.selector else []),
        ]
        with _told_as_os_error():
            response = await self._send(
                "GET", kind.path(namespace), query, None, "application/json", WATCH_SECONDS + 30
            )
            async with response.response:
                if response.status == 410:
                    raise ExpiredError
                if response.status >= 400:
                    raise ApiError(response.status, _read_message(await response.read()))
                async for event in _read_lines(response.response.content):
                    if event["type"] == "ERROR":
                        if event["object"].get("code") == 410:
                            raise ExpiredError
                        raise ApiError(event["object"].get("code", 500), event["object"].get("message", ""))
                    yield event

    async def _request(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = "application/json",
    ) -> Object:
        with _told_as_os_error():
            response = await self._send(method, path, query or [], body, content, 30)
            data = await response.read()
        if response.status >= 400:
            raise make_refusal(response.status, data)
        found: Object = json.loads(data)
        return found

    async def _send(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        body: Mapping[str, Any] | None,
        content: str,
        timeout: float,  # noqa: ASYNC109 - the client's own
    ) -> Any:  # noqa: ANN401 - the client's response has no types
        request = await self._api.param_serialize(
            method,
            path,
            query_params=query,
            header_params={"Accept": "application/json", "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        return await self._api.call_api(*request, _request_timeout=timeout)


@contextlib.contextmanager
def _told_as_os_error() -> Iterator[None]:
    """Tell a broken connection as what it is: some of the client's errors for it are no OSError."""
    try:
        yield
    except aiohttp.ClientError as error:
        if isinstance(error, OSError):
            raise
        raise ConnectionError(f"the connection to the API server broke: {error!r}") from error


async def _read_lines(content: Any) -> AsyncIterator[Object]:  # noqa: ANN401 - aiohttp's stream through an untyped client
    while True:
        async with asyncio.timeout(SILENCE_SECONDS):
            line = await content.readline()
        if not line:
            return
        event: Object = json.loads(line)
        yield event


def make_refusal(status: int, data: bytes) -> ApiError:
    """Make an error of the API server's answer, of the kind that a caller may want to tell apart."""
    if status == 409:
        return ConflictError(status, _read_message(data))
    if status == 403 and b'"NamespaceTerminating"' in data:
        return TerminatingError(status, _read_message(data))
    return ApiError(status, _read_message(data))


def _read_message(data: bytes) -> str:
    try:
        return str(json.loads(data).get("message", data.decode(errors="replace")))
    except ValueError:
        return data.decode(errors="replace")[:500]
