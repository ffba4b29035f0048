"""The real cluster as the tests see it: Serin installed as a user would, real images, a namespace per test, traffic."""

import contextlib
import copy
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serin.api import names
from serin_demo import api, ground, images, install, ledger, local, models, rows, story, traffic
from serin_local import binaries, progress, release
from serin_services.image import engines
from support import corrupt

Object = dict[str, Any]

# Each look costs the API server, the database and the test some milliseconds of the same two cores.
LOOK_SECONDS = 0.1
# Longer than Envoy's default limit of 15 s: what is lost is then lost by the gateway or behind it, and not by impatience.
CLIENT_SECONDS = 20
# A route that the gateway has not got by then does not come.
ROUTE_SECONDS = 60

KINDS = {
    "ModelDeployment": (f"/apis/{names.API_VERSION}", names.PLURAL),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "ControllerRevision": ("/apis/apps/v1", "controllerrevisions"),
    "Service": ("/api/v1", "services"),
    "Pod": ("/api/v1", "pods"),
    "Event": ("/apis/events.k8s.io/v1", "events"),
    "HTTPRoute": ("/apis/gateway.networking.k8s.io/v1", "httproutes"),
    "Gateway": ("/apis/gateway.networking.k8s.io/v1", "gateways"),
    "PrometheusRule": ("/apis/monitoring.coreos.com/v1", "prometheusrules"),
    "Prometheus": ("/apis/monitoring.coreos.com/v1", "prometheuses"),
}


def path_of(kind: str, namespace: str, name: str = "") -> str:
    """Give the API path of an object or of all of a namespace."""
    root, plural = KINDS[kind]
    return "/".join(part for part in (root, "namespaces", namespace, plural, name) if part)


def make_canary(**changes: Any) -> Object:
    """Give a strategy of seconds."""
    canary = {
        "staging": {"duration": "0s"},
        "steps": [
            {"weight": 10, "duration": "5s"},
            {"weight": 25, "duration": "5s"},
            {"weight": 50, "duration": "5s"},
            {"weight": 100},
        ],
        "bake": "5s",
    }
    return {"type": "Canary", "canary": {**canary, **changes}}


def describe_lost(answers: ledger.Ledger, bad: Collection[str] = ()) -> list[str]:
    """Tell of the requests that no version known to be bad lost, one line for each way of losing them."""
    ways: dict[tuple[str, ...], list[float]] = {}
    for answer in answers.lost(bad):
        way = (answer.protocol, answer.status, f"from {answer.version or 'no version'}", answer.detail)
        ways.setdefault(way, []).append(answer.finished)
    return [f"{len(at)} of {len(answers)}: {' '.join(way)} {clock(at[0])}-{clock(at[-1])}" for way, at in ways.items()]


def clock(moment: float) -> str:
    """Give the time of day, in UTC, of a moment in Unix seconds."""
    return f"{datetime.fromtimestamp(moment, UTC):%H:%M:%S.%f}"[:-3]


@dataclass
class Model:
    """One ModelDeployment in a test's namespace."""

    world: "World"
    namespace: str
    name: str = "tumor"
    spec: Object = field(default_factory=dict)

    def apply(self, version: str, image: str | None = None, **changes: Any) -> Object:
        """Apply the object with a version; changes are fields of the spec and stay for later calls."""
        self.spec.update(changes)
        spec = {
            "model": story.NAME,
            "version": version,
            "image": image or self.world.images[version],
            "route": {
                "gateway": {"namespace": self.world.where.gateway.namespace, "name": self.world.where.gateway.name}
            },
            "strategy": make_canary(),
            "progressDeadline": "60s",
            "failedRetention": "60s",
            "analysis": {"minRequests": 50, "criteria": [{"name": "errorRate", "max": "0.05"}]},
            **copy.deepcopy(self.spec),
        }
        resource = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": spec,
        }
        return self.world.apply("ModelDeployment", resource)

    def get(self) -> Object:
        """Read the object."""
        found = self.world.get("ModelDeployment", self.namespace, self.name)
        assert found is not None, f"{self.namespace}/{self.name} is gone"
        return found

    def status(self) -> Object:
        """Read the status."""
        status: Object = self.get().get("status", {})
        return status

    def wait(self, what: str, holds: Callable[[Object], bool], seconds: float = 60) -> Object:
        """Wait until something holds of the status."""
        status: Object = self.world.wait(f"{self.name}: {what}", self.status, holds, seconds)
        return status

    def wait_phase(self, *phases: str, seconds: float = 60) -> Object:
        """Wait for a phase of the generation that was applied last."""
        generation = self.get()["metadata"]["generation"]
        return self.wait(
            f"phase {' or '.join(phases)}",
            lambda s: s.get("phase") in phases and s.get("observedGeneration") == generation,
            seconds,
        )

    def wait_stable(self, version: str, seconds: float = 60) -> Object:
        """Wait until a version is in production."""
        return self.wait(
            f"version {version} in production",
            lambda s: (
                s.get("phase") == "Production"
                and s["stable"]["version"] == version
                and any(c["type"] == "Ready" and c["status"] == "True" for c in s["conditions"])
            ),
            seconds,
        )

    def wait_weight(self, weight: int, seconds: float = 60) -> Object:
        """Wait until a step is in place on the route."""
        return self.wait(f"weight {weight}", lambda s: s.get("weight") == weight and bool(s.get("since")), seconds)

    def condition(self, kind: str) -> Object:
        """Read one condition."""
        return next((c for c in self.status().get("conditions", []) if c["type"] == kind), {})

    def ask(self, verb: str) -> str:
        """Ask for something; give the request's id."""
        identity = uuid.uuid4().hex[:8]
        patch = {"metadata": {"annotations": {names.REQUEST_ANNOTATION: f"{verb}:{identity}"}}}
        self.world.patch("ModelDeployment", self.namespace, self.name, patch)
        return identity

    def route_weights(self) -> dict[str, int]:
        """Read the route's weights by slot."""
        route = self.world.get("HTTPRoute", self.namespace, self.name)
        assert route is not None
        return {b["name"].rpartition("-")[2]: b["weight"] for b in route["spec"]["rules"][0]["backendRefs"]}

    def pods(self, version: str) -> list[Object]:
        """List the pods of a version that are not on their way out."""
        selector = f"{names.MODELDEPLOYMENT_LABEL}={self.name},{names.VERSION_LABEL}={version}"
        listed = self.world.where.cluster.get(path_of("Pod", self.namespace), labelSelector=selector) or {}
        return [pod for pod in listed.get("items", []) if "deletionTimestamp" not in pod["metadata"]]

    def weight(self, slot: str = "b") -> int:
        """Read a slot's weight on the route; 0 while there is no route."""
        route = self.world.get("HTTPRoute", self.namespace, self.name)
        rules = route["spec"]["rules"] if route else []
        return (
            next((b["weight"] for b in rules[0]["backendRefs"] if b["name"] == f"{self.name}-{slot}"), 0)
            if rules
            else 0
        )

    def metric(self, name: str, **labels: str) -> float:
        """Read the sum of a metric of this object at Prometheus; 0 when there is none."""
        pairs = {"namespace": self.namespace, "modeldeployment": self.name, **labels}
        selector = ",".join(f'{label}="{value}"' for label, value in pairs.items())
        found = self.world.query(f"sum({name}{{{selector}}})")
        return float(found[0]["value"][1]) if found else 0.0

    def wait_metric(self, name: str, value: float, seconds: float = 20, **labels: str) -> None:
        """Wait until Prometheus has a value of a metric of this object."""
        self.world.wait(f"{name}{labels} = {value}", lambda: self.metric(name, **labels), lambda v: v == value, seconds)

    def events(self) -> list[tuple[str, str]]:
        """List reasons and notes of the events about the object."""
        listed = self.world.where.cluster.get(path_of("Event", self.namespace)) or {}
        about = [e for e in listed.get("items", []) if e.get("regarding", {}).get("name") == self.name]
        return [(e["reason"], e.get("note", "")) for e in about]

    @contextlib.contextmanager
    def traffic(
        self, rate: float = 100, grpc_share: float = 0.3, samples: list[traffic.Sample] | None = None
    ) -> Iterator[traffic.BackgroundReplay]:
        """Replay rows at a steady rate over both protocols, from the first good answer of each on.

        The gateway tells that it has accepted a route some 50 ms before it has brought it to its proxy; on a machine that
        starts many pods at once it may take longer, and an answer over one protocol says nothing of the other.
        """
        address = self.world.where.address
        key = f"{self.namespace}/{self.name}"
        target = traffic.Target(f"http://{address}/{key}/predict", address, key)
        pace = traffic.Pace(rate, grpc_share, CLIENT_SECONDS, patience=ROUTE_SECONDS)
        with traffic.BackgroundReplay(target, samples or self.world.samples, pace) as replay:
            self.world.wait("an answer that counts", lambda: len(replay.ledger), bool, ROUTE_SECONDS)
            yield replay


@dataclass
class World:
    """The cluster with Serin installed."""

    where: ground.Ground
    images: Mapping[str, str]
    samples: list[traffic.Sample]
    # The images of what the chart installs.
    parts: Mapping[str, str]

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Read an object; None when there is none."""
        return self.where.cluster.get(path_of(kind, namespace, name))

    def apply(self, kind: str, resource: Object) -> Object:
        """Apply an object."""
        metadata = resource["metadata"]
        return self.where.cluster.apply(path_of(kind, metadata["namespace"], metadata["name"]), resource)

    def patch(self, kind: str, namespace: str, name: str, patch: Object, subresource: str = "") -> Object:
        """Merge a patch into an object."""
        path = path_of(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        return self.where.cluster.merge(path, patch)

    def wait(self, what: str, look: Callable[[], Any], holds: Callable[[Any], bool], seconds: float = 60) -> Any:
        """Look until something holds; fail with what was last seen."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                seen = look()
                if holds(seen):
                    return seen
            except api.ApiError as error:
                seen = error
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}; last seen: {seen}"
            time.sleep(LOOK_SECONDS)

    def hold(self, what: str, look: Callable[[], Any], holds: Callable[[Any], bool], seconds: float) -> None:
        """Watch for a while that something never stops holding."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen = look()
            assert holds(seen), f"did not hold: {what}; seen: {seen}"
            time.sleep(0.1)

    @contextlib.contextmanager
    def namespace(self) -> Iterator[str]:
        """Make a namespace under the restricted pod security profile, and remove it afterwards."""
        name = f"test-{uuid.uuid4().hex[:8]}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        resource = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        self.where.cluster.apply(f"/api/v1/namespaces/{name}", resource)
        try:
            yield name
        finally:
            # Routes go before the pods, and before the operator could make them again: the gateway would lay a route
            # without pods out anew, perhaps just when it does so for a test that counts its answers (decision 10).
            self.kubectl("-n", name, "delete", "modeldeployments", "--all", "--cascade=orphan", code=None)
            self.kubectl("-n", name, "delete", "httproutes", "--all", "--wait=false", code=None)
            self.where.cluster.delete(f"/api/v1/namespaces/{name}")

    def find(self, kind: str, namespace: str, selector: str = "") -> list[Object]:
        """List the objects of a kind in a namespace."""
        query = {"labelSelector": selector} if selector else {}
        found = self.where.cluster.get(path_of(kind, namespace), **query) or {}
        return list(found.get("items", []))

    def delete(self, kind: str, namespace: str, name: str, grace: int | None = None) -> None:
        """Delete an object, a pod with a grace period if one is given."""
        now = [] if grace is None else [f"--grace-period={grace}", *(["--force"] if grace == 0 else [])]
        self.kubectl("-n", namespace, "delete", kind, name, "--wait=false", "--ignore-not-found", *now)

    def kubectl(self, *words: str, code: int | None = 0, given: str | None = None) -> str:
        """Run kubectl as a user does; give what it says, on both channels."""
        argv = [str(binaries.path("kubectl")), "--kubeconfig", str(self.where.kubeconfig), *words]
        done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout=120, check=False)
        said = done.stdout + done.stderr
        assert code is None or done.returncode == code, f"kubectl {' '.join(words)}: {said}"
        return said

    def helm(self, *words: str) -> str:
        """Run helm on the release's namespace; give what it says."""
        argv = [str(self.where.helm), *words, "-n", install.NAMESPACE, "--kubeconfig", str(self.where.kubeconfig)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, f"helm {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def query(self, promql: str) -> list[Object]:
        """Run an instant query at Prometheus."""
        seen = self.where.cluster.query_service(
            self.where.prometheus.namespace,
            self.where.prometheus.service,
            self.where.prometheus.port,
            "/api/v1/query",
            query=promql,
        )
        assert seen["status"] == "success", seen
        return list(seen["data"]["result"])


def make_world() -> World:
    """Bring the cluster up, build what is missing, install Serin."""
    shown = progress.Progress()
    where = local.prepare(shown)
    data = models.load_data()
    trained = models.train(data)
    engine = engines.find_engine(where.engine)
    with tempfile.TemporaryDirectory(prefix="serin-test-") as scratch:
        packages = {m.version: images.make_package(data, m, Path(scratch)) for m in trained}
        built = {version: images.build_version(package, engine, shown.say) for version, package in packages.items()}
        good, folder = built["1.1.0"], packages["1.1.0"].path
        built |= {name: corrupt.build(good, folder, name, engine) for name in corrupt.CORRUPTIONS}
    own = {part.image: release.build(part, engine, shown.say) for part in (release.OPERATOR, release.REGISTRY)}
    published = {version: where.publish(image) for version, image in built.items()}
    parts = {name: where.publish(image) for name, image in own.items()}
    install.install(where, parts, shown)
    return World(where, published, rows.make_samples(data, trained), parts)
