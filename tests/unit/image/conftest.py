"""One package, and images of it as layouts, for all tests of images."""

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from serin_services.package import folder
from support import layouts, packages


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> folder.Package:
    made = tmp_path_factory.mktemp("image") / "package"
    packages.make_package(made, lineage={"commit": "1a2b3c", "source": "https://git.example/ml"}, metrics={"auc": 0.9})
    return folder.read(made)


@pytest.fixture(scope="session")
def intact(package: folder.Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("layout")
    layouts.write_layout(root, package)
    return root


@pytest.fixture
def layout(intact: Path, tmp_path: Path) -> Path:
    """A layout of the test's own, to be changed."""
    return Path(shutil.copytree(intact, tmp_path / "layout"))


def write_key(target: Path, key: ec.EllipticCurvePrivateKey) -> None:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    target.with_suffix(".pem").write_bytes(private)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    target.with_suffix(".pub").write_bytes(public)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two pairs of keys: ours.pem, ours.pub, others.pem, others.pub."""
    root = tmp_path_factory.mktemp("keys")
    for name in ("ours", "others"):
        write_key(root / name, ec.generate_private_key(ec.SECP256R1()))
    return root
