"""Real images of every family take over from each other, and each answers what its model says."""

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


def test_versions_of_every_family_take_over_from_each_other(model: worlds.Model, tmp_path: Path) -> None:
    data = models.load_data()
    trees, trained = handed_over.train_trees(data, TREES)
    network, parameters = handed_over.train(data, ONNX)
    exported, _ = handed_over.train(data, TORCH)
    packages = {
        TREES: handed_over.package_lightgbm(data, trained, TREES, tmp_path),
        ONNX: handed_over.package_onnx(data, parameters, ONNX, tmp_path),
        TORCH: handed_over.package_torch(data, parameters, TORCH, tmp_path),
    }
    images = {version: publish(model.world, package) for version, package in packages.items()}
    samples = rows.make_samples(data, [*models.train(data), trees, network, exported])

    model.apply("1.0.0", strategy=QUICK)
    model.wait_stable("1.0.0")
    with model.traffic(rate=60, grpc_share=0.5, samples=samples) as replay:
        for version in (TREES, ONNX, TORCH):
            model.apply(version, strategy=QUICK, image=images[version])
            model.wait_stable(version, 120)

    total = replay.ledger.total()
    print("\n".join(worlds.describe_lost(replay.ledger)))
    assert packages[TORCH].manifest.lineage["exported from"] == "support.torch_demo:network"
    assert set(total.answers) == {"1.0.0", TREES, ONNX, TORCH}
    assert min(total.answers.values()) > 100
    assert total.failed == 0
