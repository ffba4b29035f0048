"""Real images of every family take over, each from one that XGBoost made, and answer what their models say."""

import contextlib
from pathlib import Path

from serin_demo import models, rows, story
from serin_local import progress
from serin_services.image import builds, engines
from serin_services.package import folder
from support import handed_over
from support import world as worlds

TREES, ONNX, TORCH = "2.0.0", "3.0.0", "3.0.1"
QUICK = worlds.make_canary(steps=[{"weight": 25, "duration": "3s"}, {"weight": 100}], bake="2s")


def publish(world: worlds.World, package: folder.Package) -> str:
    """Build the image of a package and bring it into the cluster."""
    name = f"{story.NAME}:{package.manifest.version}-{package.manifest.identity()[:8]}"
    engine = engines.find_engine(world.where.engine)
    builds.build(package, name, engine.program, progress.Progress().say)
    return world.where.publish(name)


def test_a_version_of_every_family_takes_over(world: worlds.World, tmp_path: Path) -> None:
    data = models.load_data()
    trees, trained = handed_over.train_trees(data, TREES)
    network, parameters = handed_over.train(data, ONNX)
    exported, _ = handed_over.train(data, TORCH)
    packages = {
        TREES: handed_over.package_lightgbm(data, trained, TREES, tmp_path),
        ONNX: handed_over.package_onnx(data, parameters, ONNX, tmp_path),
        TORCH: handed_over.package_torch(data, parameters, TORCH, tmp_path),
    }
    images = {version: publish(world, package) for version, package in packages.items()}
    samples = rows.make_samples(data, [*models.train(data), trees, network, exported])

    with world.namespace() as namespace, contextlib.ExitStack() as stack:
        objects = {version: worlds.Model(world, namespace, f"to-{version[0]}{version[-1]}") for version in images}
        for model in objects.values():
            model.apply("1.0.0", strategy=QUICK, analysis={"minRequests": 20})
        for model in objects.values():
            model.wait_stable("1.0.0", 90)
        replays = {
            version: stack.enter_context(model.traffic(rate=40, grpc_share=0.5, samples=samples))
            for version, model in objects.items()
        }
        for version, model in objects.items():
            model.apply(version, image=images[version])
        for version, model in objects.items():
            model.wait_stable(version, 120)

    assert packages[TORCH].manifest.lineage["exported from"] == "support.torch_demo:network"
    for version, replay in replays.items():
        total = replay.ledger.total()
        assert worlds.describe_lost(replay.ledger) == []
        assert total.failed == 0
        assert set(total.answers) == {"1.0.0", version}
        assert min(total.answers.values()) > 50
