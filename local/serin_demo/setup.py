"""Everything between a cluster and the first act: models, packages, images, the chart, an empty namespace."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from serin.api import names
from serin_demo import api, ground, images, install, models, play, rows, story, traffic
from serin_local import errors, progress
from serin_services.image import engines
from serin_services.package import errors as package_errors

_REMOVAL_SECONDS = 90
_NAMESPACE_PATH = f"/api/v1/namespaces/{story.NAMESPACE}"
_PATH = f"/apis/{names.API_VERSION}/namespaces/{story.NAMESPACE}/{names.PLURAL}/{story.NAME}"


@dataclass(frozen=True)
class Scene:
    """What the play is given."""

    stage: play.Stage
    target: traffic.Target
    samples: Sequence[traffic.Sample]
    accuracy: Mapping[str, float]
    """Of each version, on the held-out rows."""


def prepare(where: ground.Ground, tempo: story.Tempo, shown: progress.Progress) -> Scene:
    """Make everything ready for the first act.

    Raises:
        errors.ClusterError: with the step that failed, why, and what to do.
    """
    with shown.step("train three versions"):
        data = models.load_data()
        trained = models.train(data)
    for model in trained:
        shown.say(f"  {model.version} ({model.family}): {100 * model.accuracy:.1f} % of held-out rows are right")
    built = _build(where, data, trained, shown)
    with shown.step("bring the images to the cluster"):
        published = {name: where.publish(image) for name, image in built.items()}
    remove(where, shown)
    install.install(where, published.pop(install.OPERATOR_IMAGE), shown)
    where.cluster.apply(_NAMESPACE_PATH, story.make_namespace())
    return Scene(
        stage=play.Stage(where.cluster, where.prometheus, where.gateway, published, tempo),
        target=make_target(where.address),
        samples=rows.make_samples(data, trained),
        accuracy={model.version: model.accuracy for model in trained},
    )


def make_target(address: str) -> traffic.Target:
    """Say where the demo's model is reached behind a Gateway."""
    path = f"{story.NAMESPACE}/{story.NAME}"
    return traffic.Target(f"http://{address}/{path}/predict", address, path)


def _build(
    where: ground.Ground, data: models.Data, trained: Sequence[models.Model], shown: progress.Progress
) -> dict[str, str]:
    """Build all images and name them: the operator's by its own name, the models' by version."""
    try:
        engine = engines.find_engine(where.engine)
        with shown.step("build the images"), tempfile.TemporaryDirectory(prefix="serin-demo-") as scratch:
            packages = [images.make_package(data, model, Path(scratch)) for model in trained]
            versions = {
                package.manifest.version: images.build_version(package, engine, shown.say) for package in packages
            }
            return {install.OPERATOR_IMAGE: images.build_operator(engine, shown.say), **versions}
    except package_errors.PackageError as error:
        advice = "the lines above are the builder's own; `serin local down` and `make demo` start afresh"
        raise errors.ClusterError("build the images", str(error), advice) from error


def remove(where: ground.Ground, shown: progress.Progress) -> None:
    """Remove what an earlier demo left, and wait until it is gone.

    Raises:
        errors.ClusterError: it does not go.
    """
    if not _list_remains(where.cluster):
        return
    with shown.step("remove what an earlier demo left"):
        where.cluster.delete(_PATH)
        deadline = time.monotonic() + _REMOVAL_SECONDS
        while remains := _list_remains(where.cluster):
            if time.monotonic() > deadline:
                problem = f"still there after {_REMOVAL_SECONDS} s: {', '.join(remains)}"
                advice = f"look: `kubectl -n {story.NAMESPACE} get pods,modeldeployments`"
                raise errors.ClusterError("remove what an earlier demo left", problem, advice)
            time.sleep(0.5)


def _list_remains(cluster: api.Api) -> list[str]:
    """Name what is in the way of a new demo; a namespace is only while it is being deleted."""
    selector = f"{names.MODELDEPLOYMENT_LABEL}={story.NAME}"
    pods = cluster.get(f"{_NAMESPACE_PATH}/pods", labelSelector=selector) or {}
    namespace = cluster.get(_NAMESPACE_PATH) or {}
    found = [f"pod {pod['metadata']['name']}" for pod in pods.get("items", [])]
    if cluster.get(_PATH) is not None:
        found.append(f"modeldeployment {story.NAME}")
    if "deletionTimestamp" in namespace.get("metadata", {}):
        found.append(f"namespace {story.NAMESPACE}")
    return found
