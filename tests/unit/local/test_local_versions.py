"""Every version stands in one file, and the committed modules agree with it."""

import pathlib
import re

import pytest

from serin_local import builds, versions

PINS = versions.load()
MODULES = {
    "kube": PINS.kubernetes,
    "helm": PINS.helm,
    "coredns": PINS.coredns,
    "envoy-gateway": PINS.envoy_gateway,
    "prometheus": PINS.prometheus,
    "prometheus-operator": PINS.prometheus_operator,
}


def go_mod(folder: str) -> str:
    return (builds.SOURCES / folder / "go.mod").read_text()


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: f"{folder}/go.mod requires the pinned version")
def test_module_version(folder: str) -> None:
    part = MODULES[folder]

    assert re.search(rf"^(require )?\s*{re.escape(part.module)} {re.escape(part.required)}\b", go_mod(folder), re.M)


def test_kubernetes_staging_modules_follow_its_version() -> None:
    staging = set(re.findall(r"k8s\.io/\S+ => k8s\.io/\S+ (\S+)", go_mod("kube")))

    assert staging == {"v0." + PINS.kubernetes.version.removeprefix("1.")}


def test_go_minimum_is_enough_for_every_module() -> None:
    asked = [re.search(r"^go (\S+)", go_mod(build.folder), re.M) for build in builds.make_builds(PINS)]
    numbers = [tuple(int(part) for part in match[1].split(".")) for match in asked if match]

    assert max(numbers) == tuple(int(part) for part in PINS.go_minimum.split("."))


@pytest.mark.parametrize(
    "folder", sorted({build.folder for build in builds.make_builds(PINS)}), ids=lambda f: f"{f} has committed hashes"
)
def test_hashes_are_committed(folder: str) -> None:
    assert (builds.SOURCES / folder / "go.sum").is_file()
    assert ("require" not in go_mod(folder)) or (builds.SOURCES / folder / "go.sum").stat().st_size > 0


def test_no_image_is_taken_from_a_registry() -> None:
    texts = [file.read_text() for file in (versions.ROOT / "manifests").glob("*.yaml")]

    references = [line.split("image:")[1].strip() for text in texts for line in text.splitlines() if "image: " in line]

    assert references
    assert all("${" in reference for reference in references)


def test_versions_are_nowhere_else() -> None:
    sources = [file for file in pathlib.Path(versions.ROOT).glob("*.py") if file.name != "versions.py"]
    numbers = [PINS.kubernetes.version, PINS.helm.version, PINS.envoy_gateway.version, PINS.envoy, PINS.alertmanager]

    assert [(file.name, number) for file in sources for number in numbers if number in file.read_text()] == []
