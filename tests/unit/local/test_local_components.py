"""The components as data: complete, in an order that works, and pointing only below the home."""

import pathlib

import pytest
import yaml

from serin_local import components, configs, plan
from serin_local.layout import Layout

HOME = pathlib.Path("/home/somebody/serin")
LAYOUT = Layout(HOME)
BINARIES = components.Binaries(pathlib.Path("/store/kube"), pathlib.Path("/store/debian"), pathlib.Path("/store/cni"))
COMPONENTS = components.make_components(LAYOUT, BINARIES)


def test_every_component_is_there_once() -> None:
    names = [component.name for component in COMPONENTS]

    assert set(names) == components.NAMES
    assert len(names) == len(set(names))


def test_each_comes_after_those_it_needs() -> None:
    seen: set[str] = set()
    for component in COMPONENTS:
        assert set(component.after) <= seen
        seen.add(component.name)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: f"{c.name} shows when it is ready")
def test_readiness(component: components.Component) -> None:
    assert bool(component.ready.url) != bool(component.ready.socket)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: f"{c.name} writes only below the home")
def test_paths(component: components.Component) -> None:
    paths = [
        word.split("=")[-1] for word in component.argv[1:] if "/" in word and "://" not in word and "/16" not in word
    ]

    assert all(path.startswith(str(HOME)) for path in paths if path.startswith("/"))


def test_ports_of_readiness_are_the_ones_that_preflight_looks_at() -> None:
    ports = {int(component.ready.url.split(":")[2].split("/")[0]) for component in COMPONENTS if component.ready.url}

    assert ports <= set(plan.PORTS)


def test_kubelet_never_collects_images_that_no_registry_can_give_back() -> None:
    config = yaml.safe_load(configs.make_kubelet(LAYOUT, pathlib.Path("/etc/resolv.conf")))

    assert config["imageGCHighThresholdPercent"] == 100


def test_containerd_keeps_namespaces_where_down_finds_them() -> None:
    text = configs.make_containerd(LAYOUT, BINARIES, "pause:1")

    assert "netns_mounts_under_state_dir = true" in text
    assert f'state = "{LAYOUT.run}/containerd"' in text


@pytest.mark.parametrize(
    ("text", "systemd", "expected"),
    [
        pytest.param("nameserver 10.0.0.1\n", True, "/etc/resolv.conf", id="a server of the network is used as it is"),
        pytest.param("nameserver 127.0.0.53\n", True, "/run/systemd/resolve/resolv.conf", id="a stub is passed by"),
        pytest.param("nameserver 127.0.0.1\n", False, "/etc/resolv.conf", id="without systemd there is no other"),
        pytest.param("# none\n", True, "/etc/resolv.conf", id="no server at all stays as it is"),
    ],
)
def test_resolver(text: str, systemd: bool, expected: str) -> None:
    assert configs.choose_resolv_conf(text, systemd) == pathlib.Path(expected)
