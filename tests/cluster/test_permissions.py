"""What the operator may do on the real API server, and that its own namespace could be held to the strictest profile."""

import pytest

from serin_demo import install
from support import operating
from support import world as worlds

ACCOUNT = f"system:serviceaccount:{install.NAMESPACE}:serin"
FORBIDDEN = (
    ("get", "secrets", "default"),
    ("list", "secrets", "kube-system"),
    ("get", "secrets", install.NAMESPACE),
    ("create", "pods", "default"),
    ("create", "pods --subresource=exec", "default"),
    ("get", "configmaps", "kube-system"),
    ("create", "clusterrolebindings.rbac.authorization.k8s.io", ""),
    ("escalate", "clusterroles.rbac.authorization.k8s.io", ""),
    ("impersonate", "users", ""),
    ("update", "nodes", ""),
    ("delete", "namespaces", ""),
    ("delete", "modeldeployments.serving.serin.dev", "default"),
    ("update", "modeldeployments.serving.serin.dev", "default"),
    ("*", "*", "default"),
)
ALLOWED = (
    ("watch", "modeldeployments.serving.serin.dev", "default"),
    ("patch", "modeldeployments.serving.serin.dev --subresource=status", "default"),
    ("patch", "httproutes.gateway.networking.k8s.io", "default"),
    ("patch", "deployments.apps", "default"),
    ("create", "events.events.k8s.io", "default"),
)


def may(world: worlds.World, verb: str, resource: str, namespace: str) -> bool:
    """Ask the API server whether the operator's account may do something."""
    where = ["-n", namespace] if namespace else ["--all-namespaces"]
    said = world.kubectl("auth", "can-i", verb, *resource.split(), *where, f"--as={ACCOUNT}", code=None)
    assert said.split()[-1] in ("yes", "no"), said
    return said.split()[-1] == "yes"


@pytest.mark.parametrize(("verb", "resource", "namespace"), FORBIDDEN)
def test_the_operator_may_not(world: worlds.World, verb: str, resource: str, namespace: str) -> None:
    assert not may(world, verb, resource, namespace)


@pytest.mark.parametrize(("verb", "resource", "namespace"), ALLOWED)
def test_the_operator_may(world: worlds.World, verb: str, resource: str, namespace: str) -> None:
    assert may(world, verb, resource, namespace)


def test_the_operator_fits_the_restricted_profile_of_its_namespace(world: worlds.World) -> None:
    operating.Operator(world).wait_ready()
    label = "pod-security.kubernetes.io/enforce=restricted"
    said = world.kubectl("label", "--overwrite", "--dry-run=server", "namespace", install.NAMESPACE, label)

    assert "violate" not in said


def test_a_privileged_pod_is_refused_in_a_namespace_of_models(model: worlds.Model) -> None:
    said = model.world.kubectl(
        "-n", model.namespace, "run", "intruder", "--image=registry.invalid/x", "--privileged", code=1
    )

    assert 'violates PodSecurity "restricted' in said
