"""ModelDeployments that the API server refuses, each with one thing wrong, where, and what is said of it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

GOOD: Object = {
    "apiVersion": "serving.serin.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "momentum", "namespace": "default"},
    "spec": {
        "model": "momentum",
        "version": "1.0.0",
        "image": "registry.example/momentum:1.0.0",
        "baseline": {"version": "0.9.0", "image": "registry.example/momentum:0.9.0"},
        "replicas": 2,
        "template": {"spec": {"containers": [{"name": "server", "env": [{"name": "A", "value": "b"}]}]}},
        "route": {"gateway": {"name": "public", "namespace": "infra"}, "hostnames": ["m.example"], "pathPrefix": "/m"},
        "strategy": {
            "type": "Canary",
            "canary": {
                "staging": {"duration": "1h", "mirrorPercent": 50},
                "steps": [{"weight": 10, "duration": "1h30m"}, {"weight": 50, "duration": "250ms"}, {"weight": 100}],
                "bake": "1h",
            },
        },
        "analysis": {
            "minRequests": 10,
            "criteria": [{"name": "errorRate", "max": "0.05"}, {"name": "latencyP95", "max": "250ms"}],
            "queries": [{"name": "drift", "query": "up", "max": "0.5"}],
        },
    },
}


@dataclass(frozen=True)
class Refused:
    """A change that makes a good object a refused one."""

    change: Callable[[Object], object]
    path: str
    said: str

    def make(self) -> Object:
        """Make the refused object."""
        made = copy.deepcopy(GOOD)
        self.change(made)
        return made


def _set(path: str, value: object) -> Callable[[Object], object]:
    *parents, last = path.split(".")

    def change(made: Object) -> None:
        for part in parents:
            made = made[int(part) if part.isdigit() else part]  # type: ignore[index]
        made[int(last) if last.isdigit() else last] = value  # type: ignore[index]

    return change


def _remove(path: str) -> Callable[[Object], object]:
    *parents, last = path.split(".")

    def change(made: Object) -> None:
        for part in parents:
            made = made[part]
        del made[last]

    return change


_STEPS, _CRITERIA = "spec.strategy.canary.steps", "spec.analysis.criteria"
# The messages of CEL rules are the API server's too.
RULES: dict[str, Refused] = {
    "a path that ends with a slash": Refused(
        _set("spec.route.pathPrefix", "/a/"), "spec.route.pathPrefix", "pathPrefix must not end with a slash"
    ),
    "a path with an empty segment": Refused(
        _set("spec.route.pathPrefix", "/a//b"), "spec.route.pathPrefix", "pathPrefix must not contain an empty segment"
    ),
    "steps that end below 100": Refused(
        _set(_STEPS, [{"weight": 10, "duration": "1s"}]), _STEPS, "the last step must have weight 100"
    ),
    "steps that descend": Refused(
        _set(_STEPS, [{"weight": 50, "duration": "1s"}, {"weight": 10, "duration": "1s"}, {"weight": 100}]),
        _STEPS,
        "the steps' weights must ascend",
    ),
    "a step that stands twice": Refused(
        _set(_STEPS, [{"weight": 10, "duration": "1s"}, {"weight": 10, "duration": "1s"}, {"weight": 100}]),
        _STEPS,
        "the steps' weights must ascend",
    ),
    "a step below 100 without a duration": Refused(
        _set(_STEPS, [{"weight": 10}, {"weight": 100}]),
        _STEPS,
        "each step below 100 needs a duration; the time at 100 is bake",
    ),
    "a duration at 100": Refused(
        _set(_STEPS, [{"weight": 100, "duration": "1s"}]), _STEPS, "the step at 100 has no duration; set bake instead"
    ),
    "an error rate in percent": Refused(
        _set(f"{_CRITERIA}.0.max", "5%"), _CRITERIA, "the max of errorRate is a share between 0 and 1, like 0.05"
    ),
    "an error rate above 1": Refused(
        _set(f"{_CRITERIA}.0.max", "1.5"), _CRITERIA, "the max of errorRate is a share between 0 and 1, like 0.05"
    ),
    "a latency without a unit": Refused(
        _set(f"{_CRITERIA}.1.max", "250"), _CRITERIA, "the max of a latency is a duration, like 250ms"
    ),
    "a query without a limit": Refused(
        _set("spec.analysis.queries", [{"name": "drift", "query": "up"}]),
        "spec.analysis.queries[0]",
        "a query needs max, min or both",
    ),
    "a name of 53 characters": Refused(_set("metadata.name", "m" * 53), "", "the name may have at most 52 characters"),
    "a name with a dot": Refused(
        _set("metadata.name", "a.b"),
        "",
        "the name must be small letters, digits and dashes, beginning with a letter: Services are named after it",
    ),
    "a name that starts with a digit": Refused(
        _set("metadata.name", "1a"),
        "",
        "the name must be small letters, digits and dashes, beginning with a letter: Services are named after it",
    ),
}
# Types and bounds, in our words; the API server has its own.
TYPES: dict[str, Refused] = {
    "a version that is a number": Refused(_set("spec.version", 1.5), "spec.version", "expected text"),
    "a version with a plus": Refused(_set("spec.version", "1.0+a"), "spec.version", "expected letters, digits"),
    "a number in quotes": Refused(_set("spec.replicas", "2"), "spec.replicas", "expected a whole number"),
    "no replicas": Refused(_set("spec.replicas", 0), "spec.replicas", "expected a number that is at least 1"),
    "too many replicas": Refused(
        _set("spec.replicas", 1001), "spec.replicas", "expected a number that is at most 1000"
    ),
    "no image": Refused(_remove("spec.image"), "spec.image", "expected a field image"),
    "no gateway": Refused(_remove("spec.route.gateway"), "spec.route.gateway", "expected a field gateway"),
    "an image with a space": Refused(_set("spec.image", "a b"), "spec.image", "expected an image's name"),
    "a duration in words": Refused(
        _set("spec.strategy.canary.bake", "10 minutes"), "spec.strategy.canary.bake", "expected a duration"
    ),
    "a weight above 100": Refused(
        _set(f"{_STEPS}.2.weight", 101), f"{_STEPS}[2].weight", "expected a number that is at most 100"
    ),
    "a strategy that there is not": Refused(
        _set("spec.strategy.type", "Canari"), "spec.strategy.type", "expected Canary"
    ),
    "a criterion that there is not": Refused(
        _set(f"{_CRITERIA}.0.name", "errors"), f"{_CRITERIA}[0].name", "expected errorRate or latencyP50"
    ),
    "a criterion that stands twice": Refused(
        _set(f"{_CRITERIA}.1", {"name": "errorRate", "max": "0.1"}),
        f"{_CRITERIA}[1].name",
        "expected another name in each entry",
    ),
    "no steps": Refused(_set(_STEPS, []), _STEPS, "expected at least 1 entries"),
    "steps that are no list": Refused(_set(_STEPS, "10,25"), _STEPS, "expected a list"),
    "a route that is no mapping": Refused(_set("spec.route", "/m"), "spec.route", "expected fields"),
    "a model in capitals": Refused(_set("spec.model", "Momentum"), "spec.model", "expected lower-case letters"),
    "a path without its slash": Refused(
        _set("spec.route.pathPrefix", "m"), "spec.route.pathPrefix", "expected a path that begins with /"
    ),
    "a limit that is no number": Refused(
        _set("spec.analysis.queries.0.max", "low"), "spec.analysis.queries[0].max", "expected a number as text"
    ),
}
# Fields that the API server drops or kubectl refuses, and names that only the operator would stumble over.
OURS: dict[str, Refused] = {
    "a field that was mistyped": Refused(_set("spec.replica", 2), "spec.replica", "expected one of model, version"),
    "a field beside the spec": Refused(_set("replicas", 2), "replicas", "expected one of apiVersion, kind"),
    "no name": Refused(_set("metadata", {}), "metadata.name", "expected a name"),
    "no spec": Refused(_remove("spec"), "spec", "expected the fields of a ModelDeployment"),
    "another version of the API": Refused(
        _set("apiVersion", "serving.serin.dev/v1"), "apiVersion", "expected serving.serin.dev/v1alpha1"
    ),
    "a kind that was mistyped": Refused(_set("kind", "modeldeployment"), "kind", "expected ModelDeployment"),
}
