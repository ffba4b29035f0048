"""What `serin local up` gives the chart, and how it sees that there is nothing to do."""

import pathlib
from typing import Any

import pytest
import yaml

import chart
from serin_local import api, cluster, installation, layout, release

IMAGES = {"serin-operator": "localhost/serin-operator:aaa", "serin-registry": "localhost/serin-registry:bbb"}


def test_the_chart_takes_the_values(tmp_path: pathlib.Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(installation.make_values(IMAGES, "chart-hash")))
    rendered = {
        (one["kind"], one["metadata"]["name"]): one for one in chart.render("--values", str(values)) if one["metadata"]
    }
    pods = [rendered["Deployment", name]["spec"]["template"] for name in ("serin", "serin-registry")]
    assert [pod["spec"]["containers"][0]["image"] for pod in pods] == list(IMAGES.values())
    assert [pod["metadata"]["annotations"][installation.CHART_ANNOTATION] for pod in pods] == ["chart-hash"] * 2
    assert not [kind for kind, _ in rendered if kind == "PersistentVolumeClaim"]


def deployment(image: str, mark: str) -> dict[str, Any]:
    metadata = {"annotations": {installation.CHART_ANNOTATION: mark}}
    return {"spec": {"template": {"metadata": metadata, "spec": {"containers": [{"image": image}]}}}}


@pytest.mark.parametrize(
    ("found", "known"),
    [
        pytest.param(
            [deployment(image, "x") for image in IMAGES.values()],
            ({"serin-operator": "aaa", "serin-registry": "bbb"}, "x"),
            id="both run",
        ),
        pytest.param(
            [deployment(image, mark) for image, mark in zip(IMAGES.values(), "xy", strict=True)],
            ({"serin-operator": "aaa", "serin-registry": "bbb"}, ""),
            id="of two charts",
        ),
        pytest.param([], ({}, ""), id="nothing runs"),
    ],
)
def test_what_is_installed_is_read_from_what_runs(
    found: list[dict[str, Any]], known: object, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "get", lambda *_: {"items": found})
    local = cluster.Cluster(layout.Layout(tmp_path))
    assert installation._find_installed(local) == known


def test_without_a_checkout_nothing_is_installed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "ROOT", tmp_path)
    installation.ensure(cluster.Cluster(layout.Layout(tmp_path)), "")
    assert "installed from a checkout or with its chart" in capsys.readouterr().err
