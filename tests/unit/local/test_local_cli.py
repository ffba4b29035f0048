"""The command line: help with examples, exit codes, and messages that say what to do."""

import json
import pathlib
from typing import Any

import pytest
from typer.testing import CliRunner

from serin_local import cli, cluster, errors, installation

RUNNER = CliRunner()
REPORT: dict[str, Any] = {
    "up": True,
    "kubeconfig": "/k",
    "binaries": "/b",
    "components": [{"name": "etcd", "pid": 7, "running": True}],
    "memoryBytes": 1_500_000_000,
    "gateway": "http://10.96.0.9",
}


@pytest.mark.parametrize(
    "command", ["up", "down", "status", "load", "env"], ids=lambda name: f"{name} shows an example"
)
def test_help(command: str) -> None:
    answer = RUNNER.invoke(cli.app, [command, "--help"])

    assert answer.exit_code == 0
    assert f"serin local {command}" in answer.output


def test_status_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.Cluster, "status", lambda _: REPORT)

    answer = RUNNER.invoke(cli.app, ["status", "-o", "json"])

    assert answer.exit_code == 0
    assert json.loads(answer.stdout) == REPORT


def test_status_of_a_cluster_that_is_down_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.Cluster, "status", lambda _: {**REPORT, "up": False})

    answer = RUNNER.invoke(cli.app, ["status"])

    assert answer.exit_code == 1
    assert "not up" in answer.stdout


def test_a_failure_ends_with_1_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: cluster.Cluster, wipe: bool = False) -> None:
        raise errors.ClusterError("start etcd", f"it ended by itself (wipe={wipe})", "look at the log")

    monkeypatch.setattr(cluster.Cluster, "up", fail)

    answer = RUNNER.invoke(cli.app, ["up", "--wipe"])

    assert answer.exit_code == 1
    assert "start etcd: it ended by itself (wipe=True)" in answer.stderr
    assert "what to do: look at the log" in answer.stderr


def test_load_without_an_image_is_a_usage_error() -> None:
    assert RUNNER.invoke(cli.app, ["load"]).exit_code == 2


def test_the_environment_names_the_registry_where_there_is_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERIN_HOME", str(tmp_path))
    monkeypatch.setattr(installation, "registry_url", lambda _: "http://10.96.0.7")
    assert "SERIN_REGISTRY" not in RUNNER.invoke(cli.app, ["env"]).stdout

    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "registry-token").write_text("x")
    said = RUNNER.invoke(cli.app, ["env"]).stdout
    assert "export SERIN_REGISTRY_URL=http://10.96.0.7\n" in said
    assert f"export SERIN_REGISTRY_TOKEN_FILE={tmp_path}/cluster/registry-token" in said


@pytest.mark.parametrize(
    ("words", "installed"), [pytest.param([], 1, id="with Serin"), pytest.param(["--bare"], 0, id="without it")]
)
def test_up_installs_serin_unless_it_is_to_be_bare(
    words: list[str], installed: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERIN_HOME", str(tmp_path))
    calls: list[str] = []
    monkeypatch.setattr(cluster.Cluster, "up", lambda _, wipe=False: calls.append(f"up {wipe}") or "")
    monkeypatch.setattr(installation, "ensure", lambda _, since: calls.append(f"install{since}"))

    assert RUNNER.invoke(cli.app, ["up", *words]).exit_code == 0
    assert calls == ["up False", "install"][: 1 + installed]
