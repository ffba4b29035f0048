"""Last of all: uninstalled, Serin leaves its definition and what serves, and nobody is kept from deleting anything."""

import functools

import yaml

from serin_demo import install
from support import world as worlds

KEPT = ("CustomResourceDefinition", "modeldeployments.serving.serin.dev")


def list_release(world: worlds.World) -> list[tuple[str, str, str]]:
    """List kind, namespace and name of everything that the release made."""
    manifest = world.helm("get", "manifest", install.RELEASE)
    made = [item for item in yaml.safe_load_all(manifest) if item]
    return [(m["kind"], m["metadata"].get("namespace", install.NAMESPACE), m["metadata"]["name"]) for m in made]


def test_uninstalled_it_leaves_the_definition_and_what_serves_and_blocks_no_deletion(model: worlds.Model) -> None:
    world = model.world
    model.apply("1.0.0")
    model.wait_stable("1.0.0")
    made = list_release(world)
    assert len(made) > 8

    with model.traffic(rate=50) as replay:
        world.helm("uninstall", install.RELEASE, "--wait")
        gone = len(replay.ledger)
        model.wait("answers without an operator", lambda _: len(replay.ledger) > gone + 100)
    assert worlds.describe_lost(replay.ledger) == []

    left = [
        (kind, name)
        for kind, namespace, name in made
        if world.kubectl("-n", namespace, "get", kind, name, "--ignore-not-found", "-o", "name").strip()
    ]
    assert left == [KEPT]
    labelled = "all,secrets,configmaps,roles,rolebindings,networkpolicies,servicemonitors,podmonitors,prometheusrules"
    search = ("get", labelled, "-A", "-l", "app.kubernetes.io/name=serin", "-o", "name")
    world.wait("nothing of Serin's", lambda: world.kubectl(*search).strip(), lambda found: not found, 30)

    assert model.get()["metadata"].get("finalizers", []) == []
    world.kubectl("-n", model.namespace, "delete", "mdep", model.name, "--timeout=30s")
    ours = f"serin.dev/modeldeployment={model.name}"
    for kind in ("HTTPRoute", "Service", "Deployment", "ControllerRevision", "Pod"):
        look = functools.partial(world.find, kind, model.namespace, ours)
        world.wait(f"no {kind}", look, lambda found: not found, 60)
