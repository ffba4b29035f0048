"""The API server by path, in plain JSON: one client for what the registry asks of it and for what it watches.

Typed models would lose fields that they do not know. Every request has a time limit; nothing is repeated behind a caller's
back, because who asked must know what happened.
"""

import json
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes
import kubernetes.client
import kubernetes.config
import urllib3.exceptions

from serin.api import names
from serin_services.registry import errors

Object = dict[str, Any]

JSON = "application/json"
MERGE = "application/merge-patch+json"
# Seconds to connect and to answer.
TIMEOUT = (4.0, 15.0)
# A watch without a word for so long is dead: the API server sends a bookmark each minute.
SILENCE_SECONDS = 90.0


class ExpiredError(Exception):
    """The API server no longer has the history that a watch was to begin from: everything must be listed again."""


def path_of(namespace: str = "", name: str = "") -> str:
    """Give the path of one ModelDeployment, of a namespace's, or of all."""
    scope = ("namespaces", urllib.parse.quote(namespace, "")) if namespace else ()
    parts = ("", "apis", names.API_VERSION, *scope, names.PLURAL, urllib.parse.quote(name, ""))
    return "/".join(parts).rstrip("/")


class Client:
    """One cluster's API server, with the registry's own credentials."""

    def __init__(self, api: "kubernetes.client.ApiClient") -> None:
        self._api = api

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        kind: str = JSON,
    ) -> Object:
        """Send a request and give the object that comes back.

        Raises:
            errors.RegistryError: of the kind that the API server's refusal is of, with its own sentence.
        """
        response = self._send(method, path, query or {}, body, kind, TIMEOUT)
        content = _read(response)
        if response.status >= 400:
            raise make_refusal(response.status, content)
        found: Object = json.loads(content)
        return found

    def open_watch(self, path: str, version: str, seconds: int) -> "Watch":
        """Ask for all changes after a resource version; the API server ends the answer after so many seconds.

        Raises:
            ExpiredError: the version is too old.
            errors.RegistryError: the API server refuses, or does not answer.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        response = self._send("GET", path, query, None, JSON, (TIMEOUT[0], SILENCE_SECONDS))
        if response.status == 410:
            raise ExpiredError
        if response.status >= 400:
            raise make_refusal(response.status, _read(response))
        return Watch(response.response)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        kind: str,
        timeout: tuple[float, float],
    ) -> Any:  # noqa: ANN401 - the client's response has no types
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": JSON, "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            return self._api.call_api(*request, _request_timeout=timeout)
        except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _make_silence(error) from error


class Watch:
    """The changes of a collection as they come; it may be closed by another thread, which ends it."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Object]:
        """Give each event, bookmarks included.

        Raises:
            ExpiredError: the version that it began from, or stands at, is too old.
            errors.RegistryError: the API server tells of an error, or the connection broke.
        """
        try:
            for line in _split(self._response.stream(None)):
                event: Object = json.loads(line)
                if event["type"] == "ERROR":
                    raise _make_watch_error(event["object"])
                yield event
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if not self._closed.is_set():
                raise _make_silence(error) from error
        finally:
            # Not given back to the pool: what is left of the answer would be read by the next request.
            self._response.close()

    def close(self) -> None:
        """End the watch, also while another thread waits for its next event."""
        self._closed.set()
        try:
            self._response.shutdown()
        except (OSError, RuntimeError, ValueError):
            # It has ended by itself.
            self._response.close()


def _split(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line)


def _read(response: Any) -> bytes:  # noqa: ANN401
    try:
        content: bytes = response.read()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _make_silence(error) from error
    return content


def _make_silence(error: BaseException) -> errors.UnavailableError:
    return errors.UnavailableError(f"the cluster's API server does not answer: {error}; try again")


def _make_watch_error(status: Mapping[str, Any]) -> Exception:
    if status.get("code") == 410:
        return ExpiredError()
    return make_refusal(int(status.get("code", 500)), json.dumps(status).encode())


_KINDS: Mapping[int, type[errors.RegistryError]] = {
    400: errors.InvalidError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    422: errors.InvalidError,
}


def make_refusal(status: int, content: bytes) -> errors.RegistryError:
    """Make an error of the API server's answer: its sentence, and the fields that it names.

    What it refuses to the registry's own account (401, 403) is nothing that the caller did wrong.
    """
    try:
        answer = json.loads(content)
    except ValueError:
        answer = {}
    message = str(answer.get("message") or content.decode("utf-8", "replace"))[:2000]
    kind = _KINDS.get(status, errors.UnavailableError)
    if kind is errors.UnavailableError:
        return kind(f"the cluster's API server answers {status} to the registry: {message}")
    causes = (answer.get("details") or {}).get("causes") or []
    faults = [errors.Fault(str(cause.get("field", "")), str(cause.get("message", ""))) for cause in causes]
    return kind(message, *faults)


def connect(where: str) -> Client:
    """Connect as the setting says: `in-cluster` as the pod's account, `kubeconfig` with the usual one, or one by its path.

    Raises:
        errors.UnavailableError: there are no usable credentials there.
    """
    settings = kubernetes.client.Configuration()
    try:
        if where == "in-cluster":
            kubernetes.config.load_incluster_config(client_configuration=settings)
        else:
            path = None if where == "kubeconfig" else str(Path(where).expanduser())
            kubernetes.config.load_kube_config(path, client_configuration=settings)
    except (kubernetes.config.ConfigException, OSError, ValueError, TypeError) as error:
        raise errors.UnavailableError(
            f"no cluster to follow: {where}: {error}; correct SERIN_REGISTRY_CLUSTER"
        ) from error
    if urllib.parse.urlsplit(settings.host).hostname in {"127.0.0.1", "::1", "localhost"}:
        # As kubectl does: no proxy of the environment reaches this machine's own address.
        settings.proxy = None
    settings.retries = False
    return Client(kubernetes.client.ApiClient(settings))
