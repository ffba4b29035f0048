"""Everything between a cluster and the first act: models, packages, images, the chart, an empty namespace, the registry."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serin.api import names
from serin_demo import api, ground, images, install, models, play, record, rows, story, traffic
from serin_local import errors, progress, release
from serin_services.image import engines
from serin_services.package import errors as package_errors
from serin_services.package import folder

_REMOVAL_SECONDS = 90
_NAMESPACE_PATH = f"/api/v1/namespaces/{story.NAMESPACE}"
_PATH = f"/apis/{names.API_VERSION}/namespaces/{story.NAMESPACE}/{names.PLURAL}/{story.NAME}"


@dataclass(frozen=True)
class Scene:
    """What the play is given."""

    stage: play.Stage
    record: record.Record
    target: traffic.Target
    samples: Sequence[traffic.Sample]
    accuracy: Mapping[str, float]
    """Of each version, on the held-out rows."""


@contextmanager
def prepared(where: ground.Ground, tempo: story.Tempo, shown: progress.Progress) -> Iterator[Scene]:
    """Make everything ready for the first act; the way to the registry is open for as long as the context lasts.

    Raises:
        errors.ClusterError: with the step that failed, why, and what to do.
        registry.errors.RegistryError: the registry refuses a version.
    """
    with shown.step("train three versions"):
        data = models.load_data()
        trained = {model.version: model for model in models.train(data)}
    for model in trained.values():
        trees, right = f"{model.settings['rounds']:.0f} trees", f"{100 * model.accuracy:.1f} %"
        shown.say(f"  {model.version} (XGBoost, {trees}): {right} of held-out rows are right")
    with tempfile.TemporaryDirectory(prefix="serin-demo-") as scratch:
        packages = {version: images.make_package(data, model, Path(scratch)) for version, model in trained.items()}
        built = _build(where, packages, shown)
        with shown.step("bring the images to the cluster"):
            published = {name: where.publish(image) for name, image in built.items()}
        remove(where, shown)
        install.install(where, published, shown)
        where.cluster.apply(_NAMESPACE_PATH, story.make_namespace())
        with record.opened(where) as kept:
            with shown.step("register the versions"):
                for version, package in packages.items():
                    kept.register(package, trained[version], published[version])
            yield Scene(
                stage=play.Stage(
                    where.cluster,
                    where.prometheus,
                    lambda act: kept.deploy(act, story.make_spec(act, where.gateway, tempo)),
                    tempo,
                ),
                record=kept,
                target=make_target(where.address),
                samples=rows.make_samples(data, list(trained.values())),
                accuracy={version: model.accuracy for version, model in trained.items()},
            )


def make_target(address: str) -> traffic.Target:
    """Say where the demo's model is reached behind a Gateway."""
    path = f"{story.NAMESPACE}/{story.NAME}"
    return traffic.Target(f"http://{address}/{path}/predict", address, path)


def _build(where: ground.Ground, packages: Mapping[str, folder.Package], shown: progress.Progress) -> dict[str, str]:
    """Build all images and name them: Serin's own by their names, the models' by version."""
    try:
        engine = engines.find_engine(where.engine)
        with shown.step("build the images"):
            versions = {
                version: images.build_version(package, engine, shown.say) for version, package in packages.items()
            }
            ours = {part.image: release.build(part, engine, shown.say) for part in (release.OPERATOR, release.REGISTRY)}
            return {**ours, **versions}
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
