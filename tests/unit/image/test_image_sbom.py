"""The bill of materials: valid CycloneDX 1.6, with the model and what is installed, and the same each time."""

import importlib.metadata
import json
import platform
import subprocess
import sys

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from serin_services.image import engines, inventory, sbom
from serin_services.package import errors, folder
from support import layouts


@pytest.fixture(scope="module")
def bill(package: folder.Package) -> dict[str, object]:
    return dict(json.loads(sbom.write(package, layouts.INSTALLED, 1_700_000_000)))


def test_the_bill_is_valid(package: folder.Package) -> None:
    text = sbom.write(package, layouts.INSTALLED, 0).decode()

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == sbom.write(package, layouts.INSTALLED, 0).decode()


def test_the_bill_has_the_model_with_its_digests(bill, package: folder.Package) -> None:
    model = next(one for one in bill["components"] if one["type"] == "machine-learning-model")

    artifact = package.manifest.artifact
    assert (model["name"], model["version"]) == ("momentum", "1.2.0")
    assert model["hashes"] == [{"alg": "SHA-256", "content": artifact.sha256}]
    assert {file["name"] for file in model["components"]} == {f"package/{file.path}" for file in package.manifest.files}
    assert {"name": "dev.serin:family", "value": "xgboost"} in model["properties"]
    assert {"name": "dev.serin:metric:auc", "value": "0.9"} in model["properties"]
    about = bill["metadata"]["component"]["properties"]
    assert {"name": "dev.serin:lineage:commit", "value": "1a2b3c"} in about
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"


def test_the_bill_has_what_is_installed(bill) -> None:
    names = {one.get("purl") for one in bill["components"]}

    assert {"pkg:pypi/numpy@2.4.6", "pkg:pypi/pyyaml@6.0.3", "pkg:deb/debian/libc6@2.36-9?arch=amd64"} <= names
    licenses = {one["name"]: one.get("licenses") for one in bill["components"]}
    assert licenses["numpy"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert licenses["PyYAML"] == [{"license": {"name": "my own words"}}]
    assert licenses["xgboost-cpu"] is None


def test_what_an_image_lists_in_another_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines.Engine, "run_python", lambda *_: '{"python": "3.11"}')

    with pytest.raises(errors.PackageError, match="expected a list of what is installed in it"):
        inventory.read(engines.Engine("buildah"), "image")


def test_the_listing_finds_what_is_installed_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_here(_engine: engines.Engine, _image: str, code: str) -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    monkeypatch.setattr(engines.Engine, "run_python", run_here)

    found = inventory.read(engines.Engine("buildah"), "image")

    assert found.python == platform.python_version()
    assert importlib.metadata.version("numpy") in {one.version for one in found.packages if one.name == "numpy"}
