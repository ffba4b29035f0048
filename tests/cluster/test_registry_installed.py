"""The registry that the chart installs: servers report to it, and what came of their answers takes a version back."""

import datetime as dt
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from serin_demo import existing, install, story
from serin_local import binaries, release
from serin_services.registry.client import Client
from support import outcome_criteria
from support import world as worlds

SECRET = "registry"
# Outcomes are what the rollout waits for; how many the guide's query asks for, and a step that is over long before.
OUTCOMES = 100
STEPS = [{"weight": 50, "duration": "1s"}, {"weight": 100}]


class Installed:
    """The registry in the cluster, at which this machine calls."""

    def __init__(self, url: str, secret: Mapping[str, Any]) -> None:
        self.url, self._secret = url, secret

    def sign(self, tenant: str) -> str:
        return release.sign_token(self._secret, "ann", tenant, "developer")


@pytest.fixture(scope="module")
def registry(world: worlds.World) -> Iterator[Installed]:
    path = f"/api/v1/namespaces/{install.NAMESPACE}/secrets/{release.REGISTRY_SECRET}"
    secret = world.where.cluster.get(path)
    assert secret is not None
    # What a counter showed before its first scrape is no increase. Prometheus gets its list of targets within a minute.
    world.wait("the first scrape", lambda: world.query('up{job="serin-registry"} == 1'), bool, 120)
    with world.where.reach_registry() as url:
        yield Installed(url, secret)


def test_everything_that_the_registry_needs_is_there(world: worlds.World, registry: Installed) -> None:
    with Client(registry.url, registry.sign("default")) as client:
        health = client.health()
    assert {name for name, part in health.dependencies.items() if part.state == "up"} >= {
        "database",
        "artifacts",
        "cluster",
    }
    said = world.kubectl("-n", install.NAMESPACE, "logs", "deploy/serin-registry")
    assert "following cluster default" in said


def test_the_demo_reaches_it_on_a_cluster_of_ones_own(
    world: worlds.World, registry: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(binaries.path("kubectl").parent), prepend=os.pathsep)
    with existing.forward_registry(world.where.kubeconfig) as url, Client(url, registry.sign("default")) as client:
        assert client.me().subject == "ann"


def make_server() -> dict[str, object]:
    """Give the server's container, which reports what it answers as the guide says."""
    service = f"http://serin-registry.{install.NAMESPACE}.svc/api/v1/predictions"
    reference = {"secretKeyRef": {"name": SECRET, "key": "authorization"}}
    env = [
        {"name": "SERIN_PREDICTION_LOG", "value": f"{service}#authorization=env:LOG_TOKEN"},
        {"name": "LOG_TOKEN", "valueFrom": reference},
    ]
    return {"name": "server", "env": env}


def make_queries(tenant: str) -> list[dict[str, str]]:
    """Give the guide's criterion of accuracy, about this tenant's model."""
    [accuracy] = [query for query in outcome_criteria.read_queries() if query["name"] == "accuracy"]
    text = accuracy["query"].replace(f'"{outcome_criteria.TENANT}"', f'"{tenant}"')
    return [{**accuracy, "query": text.replace(f'"{outcome_criteria.MODEL}"', f'"{story.NAME}"')}]


def test_a_version_waits_for_its_outcomes_and_is_a_draft_again_when_they_show_it_wrong(
    registry: Installed, model: worlds.Model
) -> None:
    tenant, token = model.namespace, registry.sign(model.namespace)
    model.world.kubectl("label", "namespace", tenant, f"serin.dev/tenant={tenant}")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": tenant}}
    secret["stringData"] = {"authorization": f"Bearer {token}"}
    model.world.kubectl("apply", "-f", "-", given=json.dumps(secret))

    with Client(registry.url, token) as client:
        model.apply(
            "1.0.0",
            strategy=worlds.make_canary(steps=STEPS),
            template={"spec": {"containers": [make_server()]}},
            analysis={"minRequests": 20, "queries": make_queries(tenant)},
        )
        model.wait_stable("1.0.0")
        with model.traffic(rate=60, grpc_share=0.5) as replay:
            model.apply("1.1.0")
            model.wait_weight(50)
            model.world.wait(
                "enough predictions on record",
                lambda: list(client.predictions(story.NAME, version="1.1.0")),
                lambda found: len(found) > OUTCOMES,
            )
            waiting = model.status()
            client.push_outcomes(make_wrong(client))
            model.wait_phase("RolledBack")
        model.world.wait("the end on record", lambda: read_stages(client), lambda stages: stages["1.1.0"] == "DRAFT")
        [back, *_] = client.transitions(story.NAME, "1.1.0")
        [seen] = [one for one in client.performance(story.NAME) if one.version == "1.1.0"]
        assert read_stages(client)["1.0.0"] == "PRODUCTION"

    failure = model.status()["failure"]
    assert (waiting["phase"], waiting["verdict"]) == ("Canary", "Insufficient")
    assert (failure["version"], failure["reason"]) == ("1.1.0", "CriterionFailed")
    assert "accuracy" in failure["message"]
    assert (back.source, back.target, back.by, back.why) == ("CANARY", "DRAFT", "serin", failure["message"])
    assert worlds.describe_lost(replay.ledger) == []
    assert seen.figures.accuracy is not None
    assert (seen.figures.accuracy.value, seen.figures.accuracy.count > OUTCOMES) == (0, True)


def make_wrong(client: Client) -> Iterator[dict[str, str]]:
    """Report of every prediction of the new version that it was wrong."""
    now = dt.datetime.now(dt.UTC).isoformat()
    for made in client.predictions(story.NAME, version="1.1.0"):
        yield {"model": story.NAME, "id": made.id, "at": now, "label": f"not {made.label}"}


def read_stages(client: Client) -> dict[str, str]:
    """Give the stage of each version."""
    return {version.version: version.stage for version in client.versions(story.NAME)}
