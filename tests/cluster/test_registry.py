"""The registry beside a real cluster: what it deploys, and what anybody else does, is on record, also when it was killed."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serin_demo import story
from serin_services.registry import errors
from serin_services.registry.client import Client
from support import registry_process
from support import world as worlds
from support.registry_process import RegistryProcess

# Quick, and in need of some evidence.
SPEC = {
    "strategy": worlds.make_canary(steps=[{"weight": 25, "duration": "3s"}, {"weight": 100}], bake="2s"),
    "analysis": {"minRequests": 30, "criteria": [{"name": "errorRate", "max": "0.05"}]},
    "progressDeadline": "60s",
    "failedRetention": "10s",
}


@pytest.fixture(scope="module")
def registry(world: worlds.World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryProcess]:
    """Give a registry of SQLite and a folder that follows the cluster, as a process that can be killed."""
    folder = tmp_path_factory.mktemp("registry")
    settings = {
        "DATABASE": f"sqlite:///{folder}/registry.db",
        "ARTIFACTS": str(folder / "artifacts"),
        "CLUSTER": str(world.where.kubeconfig),
        "GATEWAY": f"{world.where.gateway.namespace}/{world.where.gateway.name}",
    }
    made = registry_process.make(settings, folder)
    made.start()
    made.wait()
    yield made
    assert made.stop() == 0
    assert "Traceback" not in made.log.read_text()


@pytest.fixture
def desk(registry: RegistryProcess, model: worlds.Model) -> "Desk":
    """Give a tenant whose namespace is the test's, with the demo's model."""
    model.world.kubectl("label", "namespace", model.namespace, f"serin.dev/tenant={model.namespace}")
    return Desk(registry, model)


class Desk:
    """A team: its namespace, and clients of its roles."""

    def __init__(self, registry: RegistryProcess, model: worlds.Model) -> None:
        self.registry, self.model, self.tenant = registry, model, model.namespace
        self.developer = self.client("developer")

    def client(self, role: str) -> Client:
        return self.registry.client(role, self.tenant)

    def register(self, *versions: str) -> None:
        self.developer.create_model(story.NAME)
        for version in versions:
            body = {"version": version, "family": "xgboost", "image": self.model.world.images[version]}
            self.developer.register(story.NAME, {**body, "features": [{"name": "radius"}]})

    def deploy(self, version: str, **spec: Any) -> None:
        self.developer.deploy(story.NAME, version, self.tenant, spec=spec)

    def stage(self, version: str) -> str:
        return str(self.developer.version(story.NAME, version).stage)

    def wait_stage(self, version: str, stage: str, seconds: float = 60) -> None:
        self.wait(f"version {version} in {stage}", lambda: self.stage(version), lambda seen: seen == stage, seconds)

    def wait(self, what: str, look: Callable[[], Any], holds: Callable[[Any], bool], seconds: float = 30) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            try:
                seen = look()
            except errors.RegistryError as error:
                seen = error
            else:
                if holds(seen):
                    return seen
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}; last seen: {seen}"
            time.sleep(0.1)

    def deployment(self) -> Any:
        return self.wait(
            "the deployment to be seen",
            lambda: list(self.developer.deployments(namespace=self.tenant)),
            lambda found: len(found) == 1,
        )[0]

    def moves(self, version: str) -> list[tuple[str, str]]:
        found = [(move.source, move.target) for move in self.developer.transitions(story.NAME, version)]
        return found[::-1]


def test_a_version_goes_to_production_through_the_api_though_the_registry_is_killed_on_the_way(desk: Desk) -> None:
    desk.register("1.0.0", "1.1.0")
    desk.deploy("1.0.0", **SPEC)
    desk.model.wait_stable("1.0.0")
    desk.wait_stage("1.0.0", "PRODUCTION")

    with desk.model.traffic(rate=60) as replay:
        desk.model.wait("requests", lambda _: len(replay.ledger) > 60)
        desk.deploy("1.1.0")
        desk.wait_stage("1.1.0", "CANARY")
        desk.registry.kill()
        desk.model.wait_stable("1.1.0")
        desk.registry.start()
        desk.registry.wait()
        desk.wait_stage("1.1.0", "PRODUCTION")

    assert worlds.describe_lost(replay.ledger) == []
    assert desk.moves("1.0.0") == [("DRAFT", "STAGING"), ("STAGING", "PRODUCTION"), ("PRODUCTION", "ARCHIVED")]
    assert desk.moves("1.1.0") == [("DRAFT", "STAGING"), ("STAGING", "CANARY"), ("CANARY", "PRODUCTION")]
    assert {move.by for move in desk.developer.transitions(story.NAME, "1.1.0")} == {"ann"}
    history = list(desk.developer.deployment_history(str(desk.deployment().id)))
    told = [(event.kind, event.message) for event in history if event.version == "1.1.0"]
    assert len(set(told)) == len(told), "nothing is told twice"
    # What happened while it was dead is told, too.
    assert any("has all traffic" in message for _, message in told)
    assert desk.client("admin").verify_audit().ok


def test_what_people_do_with_kubectl_is_on_record_and_can_be_stopped_at_once(desk: Desk) -> None:
    holding = worlds.make_canary(steps=[{"weight": 25, "duration": "10m"}, {"weight": 100}])
    spec = {
        "model": story.NAME,
        "version": "1.0.0",
        "image": desk.model.world.images["1.0.0"],
        "route": {"gateway": vars(desk.model.world.where.gateway)},
        "strategy": holding,
    }
    metadata = {"name": story.NAME, "namespace": desk.tenant}
    resource = {"apiVersion": "serving.serin.dev/v1alpha1", "kind": "ModelDeployment", "metadata": metadata}

    def apply(version: str) -> None:
        changed = {**spec, "version": version, "image": desk.model.world.images[version]}
        desk.model.world.kubectl("apply", "-f", "-", given=json.dumps({**resource, "spec": changed}))

    apply("1.0.0")
    desk.wait_stage("1.0.0", "PRODUCTION")
    found = desk.developer.version(story.NAME, "1.0.0")
    assert (found.image, found.created_by) == (spec["image"], "kubectl-client-side-apply")
    with desk.model.traffic(rate=30):
        apply("1.1.0")
        desk.wait_stage("1.1.0", "CANARY")
        approver, deployment = desk.client("approver"), str(desk.deployment().id)
        assert approver.request(deployment, "pause", 20).accepted
        refused = approver.request(deployment, "retry", 20)
        assert (refused.accepted, "retry has nothing to do" in refused.message) == (False, True)
        [stopped] = desk.developer.stop()
        assert (stopped.namespace, stopped.name, stopped.problem) == (desk.tenant, story.NAME, "")
        desk.model.wait_phase("Stopped")
        desk.wait_stage("1.1.0", "DRAFT")
        assert desk.developer.stop(namespace=desk.tenant) == [], "there is nothing left to stop"
    asked = [event for event in desk.developer.deployment_history(deployment) if event.kind == "request"]
    assert [(event.details["verb"], event.details["by"]) for event in asked] == [
        ("stop", "ann"),
        ("retry", "ann"),
        ("pause", "ann"),
    ]
    desk.model.world.delete("ModelDeployment", desk.tenant, story.NAME)
    desk.wait_stage("1.0.0", "ARCHIVED")
    assert list(desk.developer.deployments(namespace=desk.tenant)) == []


def test_what_cannot_be_deployed_is_refused_with_a_sentence(desk: Desk) -> None:
    desk.register("1.0.0")
    with pytest.raises(errors.InvalidError, match="the last step must have weight 100"):
        desk.deploy("1.0.0", strategy={"type": "Canary", "canary": {"steps": [{"weight": 50, "duration": "1s"}]}})
    with pytest.raises(errors.InvalidError, match="template"):
        desk.deploy("1.0.0", template={"spec": {"serviceAccountName": "admin"}})
    with pytest.raises(errors.NotFoundError, match="there is no namespace 'serin-system' of tenant"):
        desk.developer.deploy(story.NAME, "1.0.0", "serin-system")
    with pytest.raises(errors.ForbiddenError):
        desk.client("viewer").deploy(story.NAME, "1.0.0", desk.tenant)
    desk.client("admin").ask_sign_off(desk.tenant, ["risk-manager"])
    with pytest.raises(errors.ConflictError, match="risk-manager has not approved it"):
        desk.deploy("1.0.0", **SPEC)
    assert desk.model.world.get("ModelDeployment", desk.tenant, story.NAME) is None


def test_a_deployment_is_touched_by_its_tenant_and_for_its_model_alone(desk: Desk) -> None:
    desk.register("1.0.0")
    desk.deploy("1.0.0", **SPEC)
    deployment = str(desk.deployment().id)
    rival = desk.registry.client("admin", "rivals")
    assert list(rival.deployments()) == []
    with pytest.raises(errors.NotFoundError):
        rival.request(deployment, "stop", 1)
    with pytest.raises(errors.NotFoundError):
        rival.deployment(deployment)
    assert rival.stop() == []
    assert rival.stop(namespace=desk.tenant) == []
    assert desk.model.status().get("request") is None

    desk.developer.create_model("another")
    body = {"version": "1.0.0", "family": "xgboost", "image": desk.model.world.images["1.0.0"]}
    desk.developer.register("another", body)
    with pytest.raises(errors.ConflictError, match="serves another model; take another name"):
        desk.developer.deploy("another", "1.0.0", desk.tenant, name=story.NAME)
