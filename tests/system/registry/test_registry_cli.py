"""`serin registry` against a real server: what people type, what they see, and how it ends."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
import requests
import sqlalchemy as sa
import typer.testing

from serin_services.registry import errors
from serin_services.registry.cli import home
from serin_services.registry.cli.main import app
from serin_services.registry.client import transport
from serin_services.registry.core.access import SYSTEM
from serin_services.registry.database import tables
from support import packages, registry_server, server_process
from support.registry_served import served, tenant

__all__ = ["served", "tenant"]

Run = Callable[..., typer.testing.Result]
DETAILS = {"hyperparameters": {"depth": 6}, "features": [{"name": "rsi"}, {"name": "volume"}], "target": "direction"}


@pytest.fixture
def run(served, tenant, monkeypatch, tmp_path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERIN_REGISTRY_URL", served.url)
    monkeypatch.setenv("SERIN_REGISTRY_TOKEN", registry_server.make_token(tenant=tenant, role="admin"))

    def invoke(*words: object, code: int = 0, text: str | None = None) -> typer.testing.Result:
        done = typer.testing.CliRunner().invoke(app, [str(word) for word in words], input=text)
        assert done.exit_code == code, f"{words}: {done.output}"
        return done

    return invoke


def read(done: typer.testing.Result) -> object:
    return json.loads(done.stdout)


@pytest.fixture
def momentum(run, tmp_path) -> None:
    (tmp_path / "model.ubj").write_bytes(b"model" * 1000)
    (tmp_path / "train.log").write_text("epoch 1\n")
    (tmp_path / "details.json").write_text(json.dumps(DETAILS))
    run(
        *("register", "model.ubj", "--model", "momentum", "--family", "xgboost", "--details", "details.json"),
        *("--metric", "accuracy=0.64", "--label", "team=alpha", "--log", "train.log"),
    )


@pytest.mark.usefixtures("momentum")
def test_a_file_becomes_a_version_that_is_listed_shown_and_fetched(run, tmp_path):
    assert "momentum   tenant" in run("models").stdout
    assert "1.0.0     DRAFT   " in run("list", "momentum").stdout
    assert "no versions" in run("list", "--stage", "production").stdout
    assert [one["name"] for one in read(run("models", "--label", "x=y", "-o", "json"))] == []
    shown = run("show", "momentum", "1.0.0").stdout
    for part in ("2: rsi, volume", "depth=6", "accuracy=0.64", "team=alpha", "logs/train.log", "5 kB"):
        assert part in shown
    assert read(run("show", "momentum", "-o", "json"))["versions"][0]["version"] == "1.0.0"
    run("fetch", "momentum", "1.0.0", "there")
    assert (tmp_path / "there" / "model").read_bytes() == b"model" * 1000
    assert (tmp_path / "there" / "logs" / "train.log").read_text() == "epoch 1\n"


def test_a_model_says_who_sees_it(run, tenant, monkeypatch):
    assert "you alone" in run("create", "idea", "--visibility", "user", "--label", "team=alpha").stdout
    assert "only tenant 'platform'" in run("create", "all", "--visibility", "platform", code=1).stderr
    assert "idea" in run("models", "--label", "team=alpha").stdout
    monkeypatch.setenv("SERIN_REGISTRY_TOKEN", registry_server.make_token(tenant=tenant, sub="other"))
    assert "no models" in run("models").stdout


@pytest.mark.usefixtures("momentum")
def test_versions_are_compared_and_their_lineage_drawn(run):
    run("register", "model.ubj", "--model", "momentum", "--family", "xgboost", "--metric", "accuracy=0.66")
    compared = run("compare", "momentum", "1.0.0", "2.0.0").stdout
    for part in ("MAJOR", "rsi, volume", "hyperparameters.depth", "better"):
        assert part in compared
    assert run("lineage", "momentum").stdout == "1.0.0  DRAFT\n└── 2.0.0  DRAFT\n"
    assert run("lineage", "momentum", "2.0.0", "-o", "mermaid").stdout.startswith("flowchart")
    assert read(run("lineage", "momentum", "2.0.0", "-o", "json"))["ancestors"] == ["1.0.0"]


@pytest.mark.usefixtures("momentum")
def test_a_version_is_moved_changed_and_signed_off(run, tenant, monkeypatch):
    run("move", "momentum", "1.0.0", "testing", "--why", "trained")
    assert "trained" in run("history", "momentum", "1.0.0").stdout
    assert "only the cluster" in run("move", "momentum", "1.0.0", "STAGING", "--why", "hurry", code=1).stderr
    assert "reviewed=yes" in run("change", "momentum", "1.0.0", "--label", "reviewed=yes").stdout
    assert "no sign-off" in run("sign-off", tenant).stdout
    run("sign-off", tenant, "--office", "risk-manager")
    run("approve", "momentum", "1.0.0", "--office", "risk-manager", "--why", "fine", code=1)
    token = registry_server.make_token(tenant=tenant, role="approver", offices=["risk-manager"])
    monkeypatch.setenv("SERIN_REGISTRY_TOKEN", token)
    assert (
        "refused it"
        in run("approve", "momentum", "1.0.0", "--office", "risk-manager", "--reject", "--why", "no").stdout
    )
    assert "refused" in run("show", "momentum", "1.0.0").stdout


@pytest.mark.usefixtures("momentum")
def test_outcomes_go_up_from_files_and_pipes_and_give_figures(run, tmp_path):
    rows = [
        {"model": "momentum", "version": "1.0.0", "id": f"r{n}", "at": "2026-11-21T10:00:00Z", "label": "up"}
        for n in range(9)
    ]
    (tmp_path / "predictions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    lines = [f"momentum,r{n},2026-11-21T11:00:00Z,{'up' if n % 3 else 'down'},0.01" for n in range(9)]
    table = "\n".join(["model,id,at,label,returned", *lines, ""])
    assert "9 taken" in run("predictions", "push", "predictions.jsonl").stdout
    assert "9 joined" in run("outcomes", "push", "-", text=table).stdout
    (tmp_path / "outcomes.csv").write_text(table)
    assert "9 were there already" in run("outcomes", "push", "outcomes.csv").stdout
    assert "66.7% (35.4% to 87.9%)" in run("performance", "momentum", "--since", "2026-11-21").stdout
    assert len(read(run("predictions", "list", "momentum", "--limit", "4", "-o", "json"))) == 4
    assert run("export", "--month", "2026-11").stdout.count("momentum") == 1
    run("export", "--month", "2026-11", "--format", "json", "--file", "november.json")
    assert json.loads((tmp_path / "november.json").read_text())["month"] == "2026-11"
    run("register", "model.ubj", "--model", "momentum", "--family", "xgboost", "--parent", "1.0.0")
    assert "rows of both" in run("shadow", "compare", "momentum", "2.0.0", "--champion", "1.0.0", "--keep").stdout
    assert len(read(run("shadow", "history", "momentum", "2.0.0", "-o", "json"))) == 1
    assert "not in the shadow" in run("shadow", "status", "momentum", "2.0.0").stdout


@pytest.mark.usefixtures("momentum")
def test_trainings_are_asked_for_and_reported_on_and_drift_is_kept(run):
    asked = read(run("jobs", "submit", "momentum", "--parameters", '{"days": 90}', "-o", "json"))
    run("jobs", "report", asked["id"], "running")
    told = run("jobs", "report", asked["id"], "completed", "--version", "1.0.0").stdout
    assert ("COMPLETED" in told, "days=90" in told) == (True, True)
    anew = read(run("jobs", "submit", "momentum", "--retraining", "--trigger", "drift", "-o", "json"))
    assert [one["id"] for one in read(run("jobs", "list", "momentum", "-o", "json"))] == [asked["id"]]
    assert [one["id"] for one in read(run("jobs", "list", "--retraining", "--state", "pending", "-o", "json"))] == [
        anew["id"]
    ]
    run("jobs", "submit", "momentum", "--parameters", "{", code=2)
    found = ("--feature", "rsi", "--statistic", 0.3, "--p", 0.003)
    run("drift", "report", "momentum", *found, "--severity", "high")
    assert "rsi" in run("drift", "list", "momentum", "--severity", "high").stdout
    assert "no drift" in run("drift", "list", "momentum", "--severity", "low").stdout


@pytest.mark.usefixtures("momentum")
def test_a_row_that_is_wrong_is_named_with_its_place(run, tmp_path):
    (tmp_path / "outcomes.jsonl").write_text('{"model": "momentum", "id": "r1", "at": "then"}\n')
    told = run("outcomes", "push", "outcomes.jsonl", code=1).stderr
    assert "lines.0.at" in told


def test_a_package_becomes_a_version_and_registering_it_again_goes_on(run, tmp_path):
    packages.make_package(tmp_path / "package")
    first = read(run("register", "package", "-o", "json"))
    files = {
        one["name"]: one["sha256"]
        for one in read(run("show", first["model"], first["version"], "-o", "json"))["artifacts"]
    }
    assert files["model"] == first["artifact_sha256"]
    assert "package/manifest.json" in files
    assert [feature["name"] for feature in first["features"]] == list(packages.NAMES)
    assert read(run("register", "package", "-o", "json")) == first
    (tmp_path / "package" / "manifest.json").write_text("{}")
    assert "ManifestInvalid" in run("register", "package", code=1).stderr
    run("register", "package", "--model", "other", code=1)


@pytest.mark.usefixtures("momentum")
def test_a_dry_run_says_which_number_it_would_get_and_registers_nothing(run, tmp_path):
    (tmp_path / "model.ubj").write_bytes(b"trees")
    before = read(run("list", "momentum", "-o", "json"))
    again = ("register", "model.ubj", "--model", "momentum", "--family", "lightgbm", "--dry-run")
    assert "momentum would get 2.0.0, against 1.0.0 (MAJOR: " in run(*again).stdout
    assert read(run(*again, "-o", "json"))["version"] == "2.0.0"
    assert read(run("list", "momentum", "-o", "json")) == before


@pytest.mark.usefixtures("momentum")
def test_the_audit_log_is_listed_and_a_broken_one_ends_with_1(run, served, tenant):
    assert "version.register" in run("audit", "list").stdout
    assert "each as it was written" in run("audit", "verify").stdout
    with served.services.database.open(SYSTEM) as session:
        head = sa.update(tables.AuditHead).where(tables.AuditHead.tenant_id == tenant)
        session.execute(head.values(hash="0" * 64))
    told = run("audit", "verify", code=1).stdout
    assert "broken at entry" in told


def test_without_a_cluster_it_is_said_so(run, monkeypatch):
    # Nothing changes by waiting.
    monkeypatch.setattr(transport.Retry, "RETRY_AFTER_STATUS_CODES", frozenset())
    monkeypatch.setattr(transport, "_FOR_NOW", ())
    assert "no cluster" in run("stop", "--all", "--yes", code=1).stderr
    assert "no deployments" in run("deployments").stdout
    assert "no deployment trading/momentum" in run("promote", "trading/momentum", code=1).stderr
    assert run("stop", "--all", code=2).stderr.count("--yes")


def test_health_tells_each_part_and_ends_with_1_where_one_is_down(run, served, monkeypatch):
    assert "sqlite" in run("health").stdout

    def fail() -> None:
        raise errors.UnavailableError("the disk is gone")

    monkeypatch.setattr(served.services.artifacts, "health", fail)
    assert "the disk is gone" in run("health", code=1).stdout


def test_nobody_there_and_no_token_are_told_in_a_sentence(run, monkeypatch):
    assert "does not answer" in run("--url", "http://127.0.0.1:9", "models", code=1).stderr
    monkeypatch.delenv("SERIN_REGISTRY_TOKEN")
    assert "SERIN_REGISTRY_TOKEN" in run("models", code=1).stderr


def await_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.ConnectionError):
            requests.get(url, timeout=5).raise_for_status()
            return
        time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


def test_a_registry_of_ones_own_is_served_backed_up_and_restored(monkeypatch, tmp_path):
    """As a newcomer does it, who sets nothing but the folder."""
    port, metrics_port = server_process.free_ports(2)
    for name in [name for name in os.environ if name.startswith("SERIN_REGISTRY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(home.VARIABLE, str(tmp_path / "home"))
    monkeypatch.setenv("SERIN_REGISTRY_METRICS_PORT", str(metrics_port))
    monkeypatch.setenv("SERIN_REGISTRY_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))

    def call(*words: object) -> str:
        done = typer.testing.CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        return done.output

    (tmp_path / "model.onnx").write_bytes(b"model")
    call("keygen", tmp_path / "keys.txt")
    monkeypatch.setenv("SERIN_REGISTRY_ARTIFACTS_KEY_FILE", str(tmp_path / "keys.txt"))
    program = [sys.executable, "-c", "from serin_services.registry.cli.main import app; app()"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*program, "serve", "--port", str(port)], stdout=log, stderr=log)
    try:
        await_ready(f"http://127.0.0.1:{port}/readyz")
        monkeypatch.setenv("SERIN_REGISTRY_TOKEN", call("token").strip())
        call("register", tmp_path / "model.onnx", "--model", "momentum", "--family", "onnx")
        assert "1 of its artifacts are encrypted" in call("backup", tmp_path / "backup.tar")
        assert "archived after 180 days" in call("maintain")
        call("fetch", "momentum", "1.0.0", tmp_path / "fetched")
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) in {0, -signal.SIGTERM}
    assert (tmp_path / "fetched" / "model").read_bytes() == b"model"
    monkeypatch.setenv(home.VARIABLE, str(tmp_path / "other"))
    call("restore", tmp_path / "backup.tar")
    assert next((tmp_path / "other" / "artifacts").rglob("model")).read_bytes().startswith(b"age-encryption.org/v1")
