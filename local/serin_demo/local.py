"""The local cluster as the demo's ground: brought up when it is not, images loaded straight into its node."""

import contextlib

from serin_demo import api, ground, story, watch
from serin_local import cluster, errors, installation, plan, progress


def prepare(shown: progress.Progress) -> ground.Ground:
    """Bring the local cluster up and tell what there is.

    Raises:
        errors.ClusterError: it cannot be brought up.
    """
    local = cluster.Cluster(progress=shown)
    local.up()
    try:
        connected = api.Api.connect(local.kubeconfig)
    except api.ApiError as error:
        advice = "`serin local status` says what runs; `serin local down` and `serin local up` start afresh"
        raise errors.ClusterError("reach the local cluster", str(error), advice) from error
    return ground.Ground(
        cluster=connected,
        kubeconfig=local.kubeconfig,
        helm=local.binaries.helm,
        gateway=story.Gateway(plan.GATEWAY_NAMESPACE, plan.GATEWAY_NAME),
        address=f"{local.gateway_address()}:80",
        prometheus=watch.Prometheus(plan.MONITORING_NAMESPACE, "prometheus"),
        engine="buildah",
        publish=local.load,
        reach_registry=lambda: reach_registry(local),
        values={"alertmanagerConfig": {"enabled": True}},
    )


def reach_registry(local: cluster.Cluster) -> contextlib.nullcontext[str]:
    """Give the URL of the registry, and leave a token for whoever looks around afterwards.

    Raises:
        errors.ClusterError: it has no secret.
    """
    installation.write_token(local)
    return contextlib.nullcontext(installation.registry_url(local))


def take_down(shown: progress.Progress) -> None:
    """Take the local cluster down.

    Raises:
        errors.ClusterError: something of it stays.
    """
    cluster.Cluster(progress=shown).down()
