"""The Kubernetes API by path, in plain JSON: the demo needs a handful of objects, none of them typed.

Prometheus is asked through the API server's proxy, so a cluster far away works like the one on this machine.
"""

import contextlib
import json
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import kubernetes
import kubernetes.config
import urllib3
import urllib3.exceptions

Json = dict[str, Any]
Words = Mapping[str, str]
Body = Mapping[str, Any] | str | None

FIELD_MANAGER = "serin-demo"
# Long enough for a busy machine; whoever calls in a loop tries again.
TIMEOUT_SECONDS = 10
# The API server ends a watch by then; whoever follows begins again.
WATCH_SECONDS = 300


class ApiError(Exception):
    """The API server refused a request or did not answer; the text is one for people."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """One cluster."""

    def __init__(self, client: kubernetes.client.ApiClient) -> None:
        self._client = client

    @classmethod
    def connect(cls, kubeconfig: Path | None) -> Self:
        """Use this kubeconfig's current context, or the user's own when there is none given.

        Raises:
            ApiError: there is no usable kubeconfig.
        """
        settings = kubernetes.client.Configuration()
        try:
            kubernetes.config.load_kube_config(str(kubeconfig) if kubeconfig else None, client_configuration=settings)
        except (kubernetes.config.ConfigException, OSError) as error:
            raise ApiError(f"no cluster to talk to: {error}; give --kubeconfig FILE") from error
        if urllib.parse.urlsplit(settings.host).hostname in {"127.0.0.1", "::1", "localhost"}:
            settings.proxy = None  # as kubectl does: no proxy of the environment reaches this machine's own address
        client = kubernetes.client.ApiClient(settings)
        # A client that repeats requests on its own hides an API server that is gone.
        client.rest_client.pool_manager.connection_pool_kw["retries"] = False
        return cls(client)

    def get(self, path: str, **query: str) -> Json | None:
        """Read an object or a list; None when there is none."""
        return self._call("GET", path, query)

    def watch(self, path: str, name: str) -> "Watch":
        """Follow one object of a list's path.

        Raises:
            ApiError: there is nothing of this kind to follow, or the API server does not answer.
        """
        query = {"watch": "true", "fieldSelector": f"metadata.name={name}", "timeoutSeconds": str(WATCH_SECONDS)}
        request = self._serialize("GET", path, query, {}, None)
        with _answering(f"GET {path}"):
            response = self._client.call_api(*request, _request_timeout=(TIMEOUT_SECONDS, 2 * WATCH_SECONDS)).response
        if response.status != 200:
            response.close()
            raise ApiError(f"GET {path}: {response.reason}", response.status)
        return Watch(response)

    def apply(self, path: str, resource: Mapping[str, Any]) -> Json:
        """Make an object what it should be, by server-side apply, whether it exists or not."""
        content_type = {"Content-Type": "application/apply-patch+yaml"}
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return self._call("PATCH", path, query, content_type, json.dumps(resource)) or {}

    def merge(self, path: str, patch: Mapping[str, Any]) -> Json:
        """Change some fields of an object by a merge patch; None takes a field out.

        The client makes JSON of such a patch itself, and of a string a string.
        """
        content_type = {"Content-Type": "application/merge-patch+json"}
        return self._call("PATCH", path, {"fieldManager": FIELD_MANAGER}, content_type, patch) or {}

    def delete(self, path: str) -> None:
        """Delete an object, together with all that it owns; no matter whether it exists."""
        self._call("DELETE", path, {"propagationPolicy": "Foreground"})

    def query_service(self, namespace: str, service: str, port: int, path: str, **query: str) -> Json:
        """Send a GET to a Service through the API server.

        Raises:
            ApiError: there is no such Service, or it does not answer with JSON.
        """
        proxy = f"/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy{path}"
        answer = self._call("GET", proxy, query)
        if answer is None:
            raise ApiError(f"Service {namespace}/{service} has no endpoint behind port {port}", 404)
        return answer

    def _call(
        self, method: str, path: str, query: Words, headers: Words | None = None, body: Body = None
    ) -> Json | None:
        request = self._serialize(method, path, query, headers or {}, body)
        with _answering(f"{method} {path}"):
            response = self._client.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            content = response.read()
        return _decode(f"{method} {path}", response.status, content)

    def _serialize(self, method: str, path: str, query: Words, headers: Words, body: Body) -> tuple[Any, ...]:
        serialized: tuple[Any, ...] = self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", **headers},
            body=body,
            auth_settings=["BearerToken"],
        )
        return serialized


class Watch:
    """What an object is now and after each change; empty when it is gone. It ends when the API server ends it."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    def __iter__(self) -> Iterator[Json]:
        with contextlib.closing(self._response), contextlib.suppress(urllib3.exceptions.HTTPError, OSError, ValueError):
            for line in self._response:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event["object"] if event["type"] != "DELETED" else {}

    def end(self) -> None:
        """End it, for another thread that waits for the next change."""
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            self._response.shutdown()


@contextlib.contextmanager
def _answering(request: str) -> Iterator[None]:
    """Say of a request that got no answer, or not all of one, which it was."""
    try:
        yield
    except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError) as error:
        raise ApiError(f"{request}: the API server did not answer: {error}") from error


def _decode(request: str, status: int, content: bytes) -> Json | None:
    if status == 404:
        return None
    try:
        answer: Json = json.loads(content)
    except ValueError as error:
        raise ApiError(f"{request}: expected JSON, got {content[:80]!r} with status {status}", status) from error
    if status >= 400:
        raise ApiError(f"{request}: {answer.get('message') or status}", status)
    return answer
