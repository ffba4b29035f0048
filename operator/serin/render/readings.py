"""From Kubernetes objects to what the core observes: pods and their problems, the route, the traces of a rollout."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from serin.api import names, status, v1alpha1
from serin.core import model
from serin.core.model import Pods, Reason, Request, Route, Slot, State, Target
from serin.core.phases import Phase
from serin.core.recovery import Record, Traces
from serin.render import routes

Object = Mapping[str, Any]

# The server's exit code for a package that cannot be served (sysexits.h: EX_CONFIG).
LOAD_FAILED_EXIT_CODE = 78

_PULL_REASONS = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
_REFUSED_REASONS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


def revision_of(found: Object) -> str:
    """Give the revision that an object's label names."""
    return str(found["metadata"].get("labels", {}).get(names.REVISION_LABEL, ""))


def read_pods(deployment: Object | None, pods: Iterable[Object], slices: Iterable[Object]) -> Pods:
    """Read how many of a revision's pods serve, and what keeps the others from it.

    `slices` are those of the Service whose slot the revision has. A pod counts as an endpoint only while its address
    is in them and ready, because that is all that the gateway knows.
    """
    alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    ready = {pod["metadata"]["name"] for pod in alive if _is_ready(pod)}
    known = {
        endpoint["targetRef"]["name"]
        for found in slices
        for endpoint in found.get("endpoints") or []
        if endpoint.get("conditions", {}).get("ready") and endpoint.get("targetRef")
    }
    wanted = deployment["spec"].get("replicas", 1) if deployment else 1
    problem, message = _find_problem(deployment, alive) if len(ready) < wanted else (None, "")
    return Pods(wanted, len(ready), len(ready & known), problem, message)


def _is_ready(pod: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))


def _find_problem(deployment: Object | None, pods: list[Object]) -> tuple[Reason | None, str]:
    for pod in pods:
        problem = _find_pod_problem(pod)
        if problem:
            return problem
    for condition in (deployment or {}).get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return Reason.POD_REFUSED, condition.get("message", "")
    return None, ""


def _find_pod_problem(pod: Object) -> tuple[Reason, str] | None:
    found = pod.get("status", {})
    for container in [*found.get("initContainerStatuses", []), *found.get("containerStatuses", [])]:
        problem = _find_container_problem(container)
        if problem:
            return problem
    for condition in found.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Reason.UNSCHEDULABLE, condition.get("message", "")
    return None


def _find_container_problem(container: Object) -> tuple[Reason, str] | None:
    waiting = container.get("state", {}).get("waiting", {})
    reason, text = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL_REASONS:
        return Reason.IMAGE_PULL_FAILED, text or f"image {container.get('image', '')} cannot be pulled"
    if reason in _REFUSED_REASONS:
        return Reason.POD_REFUSED, text
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    if not ended or container.get("ready"):
        return None
    last_words = _shorten(ended.get("message") or "")
    if ended.get("exitCode") == LOAD_FAILED_EXIT_CODE:
        return Reason.MODEL_LOAD_FAILED, last_words or "the server could not load its package"
    summary = (
        f"exited with code {ended.get('exitCode')} ({ended.get('reason', '')}), {container['restartCount']} restarts"
    )
    return Reason.CRASH_LOOP, f"{summary}: {last_words}" if last_words else summary


def _shorten(words: str) -> str:
    """Give the last line, which of a traceback is the one that says what happened."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""


def read_route(
    route: Object | None, owner: Object, spec: v1alpha1.Spec, gateways: Iterable[Object], rivals: Iterable[str]
) -> Route:
    """Read the route's weights and whether its gateway has taken it over; `rivals` are older objects on the same path."""
    name = owner["metadata"]["name"]
    problem, message = _find_route_problem(route, owner, spec, list(gateways), list(rivals))
    if route is None:
        return Route(problem=problem, message=message)
    return Route(
        weights=routes.read_weights(route, name),
        mirror=routes.read_mirror(route, name),
        accepted=problem is None and _is_accepted(route, spec),
        withdrawn=routes.read_withdrawn(route),
        problem=problem,
        message=message,
    )


def _find_route_problem(
    route: Object | None, owner: Object, spec: v1alpha1.Spec, gateways: list[Object], rivals: list[str]
) -> tuple[Reason | None, str]:
    if rivals:
        prefix = routes.make_prefix(spec.route, owner["metadata"]["namespace"], owner["metadata"]["name"])
        return (
            Reason.ROUTE_CONFLICT,
            f"{rivals[0]} is older and has the same path {prefix} on the same hosts and gateway: change one of them",
        )
    wanted = spec.route.gateway
    namespace = wanted.namespace or owner["metadata"]["namespace"]
    present = any(
        g["metadata"]["name"] == wanted.name and g["metadata"].get("namespace") == namespace for g in gateways
    )
    if not present:
        return Reason.GATEWAY_MISSING, f"there is no Gateway {wanted.name} in namespace {namespace}"
    for condition in _parent_conditions(route, spec):
        if condition["type"] in ("Accepted", "ResolvedRefs") and condition["status"] == "False":
            text = f"gateway {wanted.name} refuses the route: {condition.get('reason')}: {condition.get('message', '')}"
            return Reason.ROUTE_NOT_ACCEPTED, text
    return None, ""


def _parent_conditions(route: Object | None, spec: v1alpha1.Spec) -> list[Object]:
    parents = (route or {}).get("status", {}).get("parents", [])
    return [
        condition
        for parent in parents
        if parent["parentRef"]["name"] == spec.route.gateway.name
        for condition in parent.get("conditions", [])
    ]


def _is_accepted(route: Object, spec: v1alpha1.Spec) -> bool:
    generation = route["metadata"].get("generation", 0)
    return any(
        condition["type"] == "Accepted"
        and condition["status"] == "True"
        and condition.get("observedGeneration", 0) >= generation
        for condition in _parent_conditions(route, spec)
    )


def find_rivals(owner: Object, spec: v1alpha1.Spec, others: Iterable[Object]) -> list[str]:
    """Name the older objects that answer on the same gateway, host and path; between equals in age the name decides."""
    own = _claim(owner, spec.route)
    return sorted(
        f"{other['metadata']['namespace']}/{other['metadata']['name']}"
        for other in others
        if other["metadata"]["uid"] != owner["metadata"]["uid"]
        and _seniority(other) < _seniority(owner)
        and _collide(own, _claim(other, v1alpha1.Route.model_validate(other["spec"]["route"])))
    )


def _seniority(found: Object) -> tuple[str, str, str]:
    metadata = found["metadata"]
    return metadata["creationTimestamp"], metadata["namespace"], metadata["name"]


Claim = tuple[tuple[str, str], str, frozenset[str]]


def _claim(owner: Object, route: v1alpha1.Route) -> Claim:
    namespace, name = owner["metadata"]["namespace"], owner["metadata"]["name"]
    gateway = (route.gateway.namespace or namespace, route.gateway.name)
    return gateway, routes.make_prefix(route, namespace, name), frozenset(route.hostnames or ())


def _collide(one: Claim, other: Claim) -> bool:
    same_hosts = bool(one[2] & other[2]) or not (one[2] or other[2])
    return one[0] == other[0] and one[1] == other[1] and same_hosts


def read_request(owner: Object) -> Request | None:
    """Read a person's request, `<verb>:<id>`, from the annotation."""
    text = (owner["metadata"].get("annotations") or {}).get(names.REQUEST_ANNOTATION, "")
    verb, _, identity = text.partition(":")
    return Request(identity or verb, verb) if verb else None


def read_record(found: Object) -> Record:
    """Read which version a record is of."""
    data = found["data"]
    return Record(Target(revision_of(found), data["version"], data["image"]), found["revision"])


def read_traces(records: Iterable[Object], services: Iterable[Object], route: Object | None, owner: Object) -> Traces:
    """Read what the children tell of a rollout whose status is lost."""
    name = owner["metadata"]["name"]
    slots = {names.slot_service(name, slot): slot for slot in Slot}
    selected = {
        slots[service["metadata"]["name"]]: service["spec"].get("selector", {}).get(names.REVISION_LABEL, "")
        for service in services
        if service["metadata"]["name"] in slots
    }
    return Traces(
        [read_record(found) for found in records],
        selected,
        routes.read_weights(route, name) if route else {},
        routes.read_withdrawn(route) if route else None,
    )


def read_state(stored: Mapping[str, Any]) -> State | None:
    """Read the state that a status remembers, or give None where there is none that makes sense."""
    found = status.load(dict(stored))
    if found is None or found.entered is None:
        return None
    try:
        return _make_state(found)
    except ValueError:
        return None


def _make_state(found: status.Status) -> State:
    return State(
        phase=Phase(found.phase),
        stable=_make_revision(found.stable),
        candidate=_make_revision(found.candidate),
        leaving=_make_revision(found.leaving),
        retained=tuple(
            model.Retained(revision, _read_time(item.until))
            for item in found.retained
            if (revision := _make_revision(item.revision))
        ),
        weight=found.weight,
        started=_make_time(found.started),
        entered=_make_time(found.entered),
        since=_make_time(found.since),
        resume=Phase(found.resume) if found.resume else None,
        paused_at=_make_time(found.paused_at),
        failure=_make_failure(found.failure),
        request=_make_request(found.request),
        attempt=found.attempt,
    )


def _make_revision(found: status.RevisionStatus | None) -> model.Revision | None:
    return model.Revision(found.revision, found.version, found.image, Slot(found.slot)) if found else None


def _make_time(text: str | None) -> datetime | None:
    return _read_time(text) if text else None


def _read_time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone, so that it cannot be compared with now")
    return time


def _make_failure(found: status.FailureStatus | None) -> model.Failure | None:
    if found is None:
        return None
    at = _read_time(found.at)
    return model.Failure(
        found.revision, found.version, Reason(found.reason), found.message, at, found.alert, found.numbers
    )


def _make_request(found: status.RequestStatus | None) -> model.Handled | None:
    if found is None:
        return None
    return model.Handled(found.id, found.verb, found.accepted, found.message, _read_time(found.at))
