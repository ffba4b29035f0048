"""Real images of every family take over from each other, and each answers what its model says."""

from pathlib import Path

from serin_demo import models, rows
from serin_local import progress
from serin_services.image import builds, engines
from serin_services.package import folder
from support import handed_over
from support import world as worlds

NETWORK = "2.0.0"


def publish(world: worlds.World, package: folder.Package) -> str:
    """Build the image of a package and bring it into the cluster."""
    name = f"tumor:{package.manifest.version}-{package.manifest.identity()[:8]}"
    engine = engines.find_engine(world.where.engine)
    builds.build(package, name, engine.program, progress.Progress().say)
    return world.where.publish(name)


def test_versions_of_every_family_take_over_from_each_other(model: worlds.Model, tmp_path: Path) -> None:
    data = models.load_data()
    network = handed_over.save_network(data, tmp_path / "network.onnx", NETWORK)
    package = handed_over.make_package(data, tmp_path / "network.onnx", NETWORK, tmp_path / "package")
    image = publish(model.world, package)
    samples = rows.make_samples(data, [*models.train(data), network])

    model.apply("1.0.0")
    model.wait_stable("1.0.0")
    with model.traffic(rate=60, grpc_share=0.5, samples=samples) as replay:
        for version, given in (("1.1.0", None), (NETWORK, image)):
            model.apply(version, image=given)
            model.wait_stable(version, 120)

    print("\n".join(worlds.describe_lost(replay.ledger)))
    total = replay.ledger.total()
    assert package.manifest.family == "onnx"
    assert set(total.answers) == {"1.0.0", "1.1.0", NETWORK}
    assert min(total.answers.values()) > 100
    assert total.failed == 0
