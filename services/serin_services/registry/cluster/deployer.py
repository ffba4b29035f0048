"""Makes and changes ModelDeployments, and asks the operator for what people want: promote, pause, rollback, stop.

Nothing is decided here and nothing is repeated in silence: the API server checks every object by its definition, and its
sentence is what the caller reads.
"""

import concurrent.futures
import time
from collections.abc import Collection, Mapping
from typing import Any

from serin.api import names
from serin_services.registry import errors
from serin_services.registry.cluster import connection
from serin_services.registry.cluster.connection import Client, Object, path_of
from serin_services.registry.cluster.tenancy import TENANT_LABEL, Tenancy
from serin_services.registry.core import authors
from serin_services.registry.records.rollouts import found
from serin_services.registry.records.rollouts.requests import Answer, Asked, Order, Placed, Refused, Verb

# How often the operator's answer is looked for; it comes within a fraction of a second.
_PERIOD_SECONDS = 0.2
# In an emergency many are asked at the same time.
_AT_ONCE = 8


class Deployer:
    """One cluster's ModelDeployments, as the registry writes them.

    `gateway` is `namespace/name` of what a route attaches to where its caller names nothing; `namespaces` are those that the
    registry follows, all where there is none.
    """

    def __init__(
        self, client: Client, tenancy: Tenancy, *, gateway: str = "", namespaces: Collection[str] = ()
    ) -> None:
        self._client, self._tenancy = client, tenancy
        self._gateway, self._namespaces = gateway, tuple(namespaces)

    def health(self) -> str:
        """Say what is wrong with the cluster's API; empty where it answers."""
        try:
            for path in [path_of(namespace) for namespace in self._namespaces] or [path_of()]:
                self._client.request("GET", path, {"limit": "1"})
        except errors.RegistryError as error:
            return error.message
        return ""

    def deploy(self, order: Order) -> Placed:
        """Make the ModelDeployment of an order, or change the one that is there; what it does not name stays.

        Raises:
            errors.InvalidError: the API server refuses the object, with its sentence.
            errors.NotFoundError: there is no such namespace of the tenant.
            errors.ConflictError: somebody else changed the object in this very moment.
            errors.UnavailableError: the cluster does not answer.
        """
        self._check_namespace(order)
        path = path_of(order.namespace, order.name)
        try:
            there = self._client.request("GET", path)
        except errors.NotFoundError:
            return self._create(order)
        self._check_owner(there, order)
        # The same object as the one that was looked at, or none: the API server compares the uid.
        metadata = {"uid": there["metadata"]["uid"], "annotations": _annotate(order)}
        changed = self._write("PATCH", path, {"metadata": metadata, "spec": _make_spec(order)}, connection.MERGE)
        return _place(changed, created=False)

    def ask(self, namespace: str, name: str, uid: str, verb: Verb, request: str, by: str) -> Asked:
        """Write a request on an object; the operator carries it out once.

        Raises:
            errors.NotFoundError: there is no such object any more.
            errors.ConflictError: the object of this name is another one now.
            errors.UnavailableError: the cluster does not answer.
        """
        annotations = {names.REQUEST_ANNOTATION: f"{verb}:{request}", authors.REQUESTED_BY: by}
        patch = {"metadata": {"uid": uid, "annotations": annotations}}
        self._write("PATCH", path_of(namespace, name), patch, connection.MERGE)
        return Asked(namespace, name, verb, request)

    def answer(self, asked: Asked, wait_seconds: float) -> Answer:
        """Give the operator's answer to a request, waiting for it so long.

        Raises:
            errors.NotFoundError: there is no such object any more.
            errors.UnavailableError: the cluster does not answer.
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            answer = _read_answer(self._client.request("GET", path_of(asked.namespace, asked.name)), asked)
            if answer.settled or time.monotonic() >= deadline:
                return answer
            time.sleep(_PERIOD_SECONDS)

    def stop(self, tenant: str, namespace: str, request: str, by: str) -> list[Asked | Refused]:
        """Ask every rollout of a tenant to stop, in one namespace or in all; none waits for another.

        Raises:
            errors.UnavailableError: the cluster does not answer.
        """
        owners = [owner for owner in self._list(namespace) if self._is_to_stop(owner, tenant)]

        def stop_one(owner: Object) -> Asked | Refused:
            where = owner["metadata"]
            try:
                return self.ask(where["namespace"], where["name"], where["uid"], Verb.STOP, request, by)
            except errors.RegistryError as error:
                return Refused(where["namespace"], where["name"], error.message)

        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(stop_one, owners))

    def _is_to_stop(self, owner: Object, tenant: str) -> bool:
        stopped = (owner.get("status") or {}).get("phase") == "Stopped"
        return not stopped and self._tenancy.of(owner["metadata"]["namespace"], owner) == tenant

    def _list(self, namespace: str) -> list[Object]:
        paths = [path_of(one) for one in ([namespace] if namespace else self._namespaces)] or [path_of()]
        return [item for path in paths for item in self._client.request("GET", path)["items"]]

    def _check_namespace(self, order: Order) -> None:
        if self._namespaces and order.namespace not in self._namespaces:
            raise errors.InvalidError(
                f"namespace {order.namespace!r} is not one that this registry follows: {', '.join(self._namespaces)}",
                errors.Fault("namespace", f"expected one of {', '.join(self._namespaces)}"),
            )
        if self._tenancy.of(order.namespace) != order.tenant:
            raise errors.NotFoundError(
                f"there is no namespace {order.namespace!r} of tenant {order.tenant!r}; who administers the cluster gives it "
                f"one with the label {TENANT_LABEL}={order.tenant}"
            )

    def _check_owner(self, there: Object, order: Order) -> None:
        """Refuse to change what is another tenant's, or what serves another model: perhaps one that the caller cannot see."""
        model = (there["metadata"].get("annotations") or {}).get(found.MODEL_ANNOTATION, str(order.model_id))
        mine = self._tenancy.of(order.namespace, there) == order.tenant and model == str(order.model_id)
        if not mine or there["spec"]["model"] != order.model:
            raise errors.ConflictError(
                f"ModelDeployment {order.namespace}/{order.name} serves another model; take another name for this one"
            )

    def _create(self, order: Order) -> Placed:
        metadata = {"name": order.name, "namespace": order.namespace, "annotations": _annotate(order)}
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": metadata,
            "spec": {"route": self._make_route(), **_make_spec(order)},
        }
        return _place(self._write("POST", path_of(order.namespace), body, connection.JSON), created=True)

    def _make_route(self) -> Object:
        namespace, _, name = self._gateway.partition("/")
        return {"gateway": {"namespace": namespace, "name": name}} if name else {}

    def _write(self, method: str, path: str, body: Mapping[str, Any], kind: str) -> Object:
        return self._client.request(method, path, {"fieldManager": authors.MANAGER}, body, kind)


def _annotate(order: Order) -> Object:
    return {authors.DEPLOYED_BY: order.by, found.MODEL_ANNOTATION: str(order.model_id)}


def _make_spec(order: Order) -> Object:
    return {**order.spec, "model": order.model, "version": order.version, "image": order.image}


def _place(resource: Mapping[str, Any], created: bool) -> Placed:
    metadata = resource["metadata"]
    return Placed(metadata["namespace"], metadata["name"], metadata["uid"], metadata["generation"], created)


def _read_answer(owner: Mapping[str, Any], asked: Asked) -> Answer:
    handled = (owner.get("status") or {}).get("request") or {}
    if handled.get("id") == asked.id:
        return Answer(True, bool(handled.get("accepted")), str(handled.get("message", "")))
    standing = (owner["metadata"].get("annotations") or {}).get(names.REQUEST_ANNOTATION) or ""
    if standing.partition(":")[2] != asked.id:
        return Answer(True, None, f"another request ({standing or 'none'}) took its place before the operator saw it")
    return Answer(False, None, "the operator has not answered yet; the request stands and is carried out when it does")
