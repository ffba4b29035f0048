"""The faulty layer: around the product's server, not in it."""

import numpy as np
import pytest

from serin_demo import fault, images, models
from support.packages import QUICK


class Steady:
    def predict(self, rows):
        return (rows,)


def test_every_fifth_request_fails_and_the_others_are_answered():
    predictor = fault.Faulty(Steady())
    rows = np.zeros((1, 3))
    failed = 0
    for _ in range(100):
        try:
            assert predictor.predict(rows) == (rows,)
        except RuntimeError:
            failed += 1

    assert failed == 20


class FakeEngine:
    """Keeps what it was asked to build."""

    program = "buildah"

    def __init__(self):
        self.dockerfiles = {}

    def exists(self, _image):
        return False

    def build(self, context, arguments):
        self.dockerfiles[arguments[arguments.index("-t") + 1]] = (context / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    data = models.load_data()
    return [images.make_package(data, model, tmp_path_factory.mktemp("p"), QUICK) for model in models.train(data)]


@pytest.fixture
def engine(monkeypatch):
    """An engine that builds nothing, with runtimes that are there."""
    made = FakeEngine()

    def build(_package, name, _engine, _progress):
        return made.dockerfiles.setdefault(name, "the product's own")

    monkeypatch.setattr(images.builds, "ensure_runtime", lambda *_: "localhost/serin-runtime-xgboost:0123456789ab")
    monkeypatch.setattr(images.builds, "build", build)
    return made


def test_only_the_bad_version_gets_the_layer(packages, engine):
    built = [images.build_version(package, engine, print) for package in packages]

    layered = [name for name in built if "fault.py" in engine.dockerfiles[name]]
    assert layered == [name for name in built if name.startswith("tumor:1.2.0-")]
    assert engine.dockerfiles[layered[0]].startswith("FROM localhost/tumor:1.2.0-")


def test_packages_of_the_same_models_have_the_same_tags(packages, engine):
    first = [images.build_version(package, engine, print) for package in packages]

    assert first == [images.build_version(package, engine, print) for package in packages]
    assert len(set(first)) == 3
