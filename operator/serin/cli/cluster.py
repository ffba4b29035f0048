"""The cluster as the command line sees it: plain dicts over the API server's REST interface, and errors in sentences.

The client library is imported only when a connection is made: it costs half a second and is an extra.
"""

import difflib
import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from serin.api import names
from serin.cli.errors import CliError, MissingExtraError, NotFoundError, UnreachableError, install_advice

Object = dict[str, Any]

_OBJECTS = f"/apis/{names.API_VERSION}"
# Seconds to connect and to answer; a person waits, so a dead address must not take minutes.
_MANAGER = "serin-cli"
_TIMEOUT = (4.0, 20.0)
_RESOURCES = (names.PLURAL, "pods", "events", "deployments", "httproutes")
_LOOKED_AT = "--kubeconfig, KUBECONFIG, ~/.kube/config and a cluster of `serin local up`"
INSTALL_ADVICE = "install Serin first: helm install serin charts/serin --namespace serin-system --create-namespace"


@dataclass(frozen=True)
class Source:
    """Where the connection's settings come from; `path` None means the library's defaults or the pod's own account."""

    path: str | None = None
    in_pod: bool = False
    notice: str = ""


def local_kubeconfig(environment: Mapping[str, str], home: Path) -> Path:
    """Give where `serin local up` writes its kubeconfig."""
    base = environment.get("SERIN_HOME")
    return (Path(base) if base else home / ".cache" / "serin") / "cluster" / "kubeconfig"


def find_source(option: str | None, environment: Mapping[str, str], home: Path) -> Source:
    """Find the kubeconfig: the option, KUBECONFIG, ~/.kube/config, the pod's account, the local cluster; in this order.

    Raises:
        CliError: there is none.
    """
    if option:
        if not Path(option).is_file():
            raise CliError(f"there is no kubeconfig {option}", "give the path of an existing file with --kubeconfig", 2)
        return Source(option)
    if environment.get("KUBECONFIG"):
        return _find_named(environment["KUBECONFIG"])
    if (home / ".kube" / "config").is_file():
        return Source(str(home / ".kube" / "config"))
    if environment.get("KUBERNETES_SERVICE_HOST"):
        return Source(in_pod=True)
    local = local_kubeconfig(environment, home)
    if local.is_file():
        return Source(str(local), notice=f"no kubeconfig of yours was found, so this is the local cluster ({local})")
    raise CliError(
        f"no kubeconfig was found: looked at {_LOOKED_AT}",
        "point KUBECONFIG at your cluster's, or start a cluster on this machine with `serin local up`",
    )


def _find_named(value: str) -> Source:
    if not any(Path(path).expanduser().is_file() for path in value.split(os.pathsep) if path):
        raise CliError(f"KUBECONFIG names {value}, and there is no such file", "correct it, or unset it")
    return Source(value)


def connect(
    kubeconfig: str | None = None,
    context: str | None = None,
    environment: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> "Cluster":
    """Connect as the options and the environment say.

    Raises:
        CliError: there is no usable kubeconfig.
        MissingExtraError: the client library is not installed.
    """
    source = find_source(kubeconfig, environment or os.environ, home or Path.home())
    try:
        library = importlib.import_module("kubernetes")
    except ImportError as error:
        raise MissingExtraError(
            "this command needs the Kubernetes client library, which is not installed", install_advice("cli")
        ) from error
    settings = library.client.Configuration()
    namespace = _load(library, source, context, settings)
    settings.retries = False
    return Cluster(library.client.ApiClient(settings), namespace, source.notice)


def _load(library: Any, source: Source, context: str | None, settings: Any) -> str:  # noqa: ANN401 - no types of its own
    """Load the settings and give the context's namespace."""
    try:
        if source.in_pod:
            library.config.load_incluster_config(client_configuration=settings)
            account = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
            return account.read_text().strip() if account.is_file() else "default"
        library.config.load_kube_config(source.path, context, settings)
        contexts, current = library.config.list_kube_config_contexts(source.path)
    except (library.config.ConfigException, OSError, ValueError, TypeError) as error:
        where = source.path or "the pod's service account"
        raise CliError(f"{where} is no usable kubeconfig: {error}", "check it with: kubectl config view") from error
    chosen = next((found for found in contexts if found["name"] == context), current)
    return str(chosen["context"].get("namespace") or "default")


class Cluster:
    """The few requests that the command line makes; `namespace` is what applies where none is given."""

    def __init__(self, client: Any, namespace: str = "default", notice: str = "") -> None:  # noqa: ANN401
        self._client, self.namespace, self.notice = client, namespace, notice

    @property
    def host(self) -> str:
        """The API server's address."""
        return str(self._client.configuration.host)

    def find_all(self, namespace: str | None = None) -> list[Object]:
        """List the ModelDeployments of a namespace, or of all."""
        found = self._request("GET", _path(_OBJECTS, namespace, names.PLURAL))
        return sorted(found["items"], key=lambda o: (o["metadata"]["namespace"], o["metadata"]["name"]))

    def get(self, namespace: str, name: str) -> Object:
        """Read one ModelDeployment.

        Raises:
            NotFoundError: there is none; the sentence names those that were perhaps meant.
        """
        try:
            return self._request("GET", _path(_OBJECTS, namespace, names.PLURAL, name))
        except NotFoundError:
            raise self._explain_absence(namespace, name) from None

    def annotate(self, namespace: str, name: str, annotations: Mapping[str, str]) -> Object:
        """Write annotations of a ModelDeployment; all others stay."""
        path = _path(_OBJECTS, namespace, names.PLURAL, name)
        # So that whoever looks at the object sees that the request came by this command.
        manager = {"fieldManager": _MANAGER}
        return self._request("PATCH", path, manager, {"metadata": {"annotations": dict(annotations)}})

    def children(self, namespace: str, name: str, group: str, plural: str) -> list[Object]:
        """List the objects that Serin made for a ModelDeployment; `group` is a path such as /api/v1."""
        selector = {"labelSelector": f"{names.MODELDEPLOYMENT_LABEL}={name}"}
        return _items(self._request("GET", _path(group, namespace, plural), selector))

    def route(self, namespace: str, name: str) -> Object | None:
        """Read the HTTPRoute of a ModelDeployment, if there is one."""
        try:
            return self._request("GET", _path("/apis/gateway.networking.k8s.io/v1", namespace, "httproutes", name))
        except NotFoundError:
            return None

    def events(self, owner: Object) -> list[Object]:
        """List the events about an object, oldest first."""
        selector = {"fieldSelector": f"involvedObject.uid={owner['metadata']['uid']}"}
        found = _items(self._request("GET", _path("/api/v1", owner["metadata"]["namespace"], "events"), selector))
        return sorted(found, key=event_time)

    def _explain_absence(self, namespace: str, name: str) -> NotFoundError:
        problem = f"there is no ModelDeployment {name} in namespace {namespace}"
        near = [found["metadata"]["name"] for found in self.find_all(namespace)]
        close = difflib.get_close_matches(name, near, 3, 0.5)
        if close:
            return NotFoundError(problem, f"did you mean {' or '.join(close)}?")
        elsewhere = self._find_elsewhere(name)
        if elsewhere:
            return NotFoundError(problem, f"there is one in {' and '.join(elsewhere)}: say so with -n {elsewhere[0]}")
        return NotFoundError(problem, "`serin get -A` lists all of them")

    def _find_elsewhere(self, name: str) -> list[str]:
        try:
            return [o["metadata"]["namespace"] for o in self.find_all() if o["metadata"]["name"] == name]
        except CliError:
            # Who may not look into other namespaces gets the plain answer about this one.
            return []

    def _request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Object | None = None
    ) -> Object:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        serialized = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        status, text = self._send(serialized)
        if status >= 300:
            raise _make_error(method, path, status, text)
        answer: Object = json.loads(text)
        return answer

    def _send(self, serialized: Any) -> tuple[int, str]:  # noqa: ANN401 - the library's own tuple
        exceptions = importlib.import_module("urllib3.exceptions")
        try:
            response = self._client.call_api(*serialized[:4], _request_timeout=_TIMEOUT)
            return int(response.status), response.read().decode("utf-8", "replace")
        except (exceptions.HTTPError, importlib.import_module("kubernetes.client").ApiException, OSError) as error:
            raise UnreachableError(
                f"the cluster at {self.host} does not answer: {_describe(error)}",
                "is it up, and is this the right one? kubectl cluster-info; --context and --kubeconfig choose another",
            ) from error


def strip(owner: Mapping[str, Any]) -> Object:
    """Leave out who manages which field: nobody reads it, and it is longer than the rest."""
    metadata = {key: value for key, value in owner["metadata"].items() if key != "managedFields"}
    return {**owner, "metadata": metadata}


def _items(found: Object) -> list[Object]:
    return list(found["items"])


def event_time(event: Mapping[str, Any]) -> str:
    """Give when an event last happened, as text that sorts; sources fill different fields."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next((str(time) for time in times if time), str(event["metadata"]["creationTimestamp"]))


def _path(group: str, namespace: str | None, plural: str, name: str = "") -> str:
    scope = f"/namespaces/{quote(namespace, '')}" if namespace else ""
    return f"{group}{scope}/{plural}" + (f"/{quote(name, '')}" if name else "")


def _describe(error: BaseException) -> str:
    """Give the innermost reason: libraries wrap it in the whole story of their retries."""
    reason = getattr(error, "reason", None) or error
    text = str(reason).strip() or type(reason).__name__
    return text.rsplit(": ", 1)[-1] if "Connection" in type(reason).__name__ else text


def _make_error(method: str, path: str, status: int, text: str) -> CliError:
    """Turn an answer that is an error into a sentence."""
    try:
        answer = json.loads(text)
        message = str(answer.get("message", "")) or text
    except ValueError:
        answer, message = {}, text.strip()
    verb = {"GET": "read", "PATCH": "change"}.get(method, method.lower())
    resource = next((known for known in _RESOURCES if f"/{known}" in path), path)
    if status == 401:
        return CliError("the cluster does not accept your credentials", "log in again, or choose another --context")
    if status == 403:
        return CliError(
            f"you may not {verb} {resource} here: {message}",
            "ask for a role that allows it; what you may do: kubectl auth can-i --list",
        )
    if status == 404:
        if names.PLURAL in path and not (answer.get("details") or {}).get("name"):
            return CliError("the cluster does not know ModelDeployments", INSTALL_ADVICE)
        return NotFoundError(message)
    return CliError(f"the cluster answers {status} to {method} {path}: {message[:500]}")
