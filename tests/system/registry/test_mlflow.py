"""Import from a real MLflow server and mirror to it, through the registry's API."""

import contextlib
import hashlib
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow import MlflowClient, entities
from mlflow.utils import validation
from typer.testing import CliRunner

from bench.registry import cluster
from serin_services.registry import errors
from serin_services.registry.cli import main
from serin_services.registry.client import Client
from serin_services.registry.database.sessions import Database
from serin_services.registry.mlflow import faults, pickles, tracking, writings
from serin_services.registry.mlflow.files import Files
from support import breaker, mlflow_server, registry_process
from support.mlflow_server import MlflowServer
from support.registry_process import RegistryProcess

SIGNATURE = json.dumps([{"type": "double", "name": "close"}, {"type": "long", "name": "volume"}])
MODEL = b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner" + bytes(range(256)) * 4096
MLMODEL = f"""
flavors:
  python_function: {{loader_module: mlflow.xgboost}}
  xgboost: {{data: model.ubj, xgb_version: 3.2.0}}
signature:
  inputs: '{SIGNATURE}'
"""


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("exploded"),))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with mlflow_server.run(tmp_path_factory.mktemp("mlflow")) as running:
        yield running


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryProcess]:
    scratch = tmp_path_factory.mktemp("registry")
    settings = {"DATABASE": f"sqlite:///{scratch / 'registry.db'}", "ARTIFACTS": str(scratch / "artifacts")}
    running = registry_process.make(settings, scratch)
    running.start()
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.fixture
def tenant(request: pytest.FixtureRequest) -> str:
    """Each test has its own."""
    return f"t{abs(hash(request.node.name))}"


@pytest.fixture
def registry(process: RegistryProcess, tenant: str) -> Iterator[Client]:
    with process.client(tenant=tenant) as client:
        yield client


@pytest.fixture
def mlflow(server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return MlflowClient(server.url)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"Model_{abs(hash(request.node.name))}"


def publish(mlflow: MlflowClient, name: str, scratch: Path, *, depth: int = 6, content: bytes = MODEL) -> str:
    """Train, as far as MLflow sees it: a run with a model and a plot, and a version of a registered model."""
    with contextlib.suppress(Exception):
        mlflow.create_registered_model(name, tags={"desk": "fx"}, description="direction of the next bar")
    experiment = mlflow.get_experiment_by_name(name)
    run = mlflow.create_run(
        experiment.experiment_id if experiment else mlflow.create_experiment(name), tags={"team": "a"}
    )
    run_id = run.info.run_id
    mlflow.log_param(run_id, "depth", depth)
    mlflow.log_param(run_id, "objective", "binary:logistic")
    mlflow.log_metric(run_id, "accuracy", 0.8)
    mlflow.log_metric(run_id, "loss", float("nan"))
    dataset = entities.Dataset("bars", "d1", "local", "{}", profile='{"num_rows": 1500}')
    tags = [entities.InputTag("mlflow.data.context", "training")]
    mlflow.log_inputs(run_id, [entities.DatasetInput(dataset, tags)])
    folder = scratch / f"made-{run_id}" / "model"
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "model.ubj").write_bytes(content)
    (folder / "extra.bin").write_bytes(pickle.dumps(Bomb()))
    (folder.parent / "curve.svg").write_text("<svg/>")
    mlflow.log_artifacts(run_id, str(folder), "model")
    mlflow.log_artifact(run_id, str(folder.parent / "curve.svg"), "plots")
    mlflow.set_terminated(run_id)
    made = mlflow.create_model_version(
        name, f"runs:/{run_id}/model", run_id, tags={"reviewed": "yes"}, await_creation_for=0
    )
    return str(made.version)


def bring(registry: Client, name: str) -> tracking.Report:
    (report,) = tracking.import_models(registry, [name])
    return report


def show(registry: Client, model: str) -> tracking.Report:
    (report,) = tracking.mirror_models(registry, [model])
    return report


def everything(registry: Client, model: str) -> list[Any]:
    """All that the registry says of a model's versions."""
    return [
        (version.model_dump(), [artifact.model_dump() for artifact in registry.artifacts(model, version.version)])
        for version in registry.versions(model)
    ]


def everything_there(mlflow: MlflowClient, name: str) -> list[Any]:
    """All that MLflow says of a model's versions and their runs."""
    found = []
    for version in mlflow.search_model_versions(f"name='{name}'"):
        run = mlflow.get_run(version.run_id)
        paths = sorted(file.path for file in mlflow.list_artifacts(version.run_id, "model"))
        found.append((dict(version), run.to_dictionary(), paths))
    return [dict(mlflow.get_registered_model(name).aliases), *found]


def test_a_registered_model_is_imported(mlflow, registry, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    publish(mlflow, name, tmp_path)
    mlflow.set_registered_model_alias(name, "champion", "1")
    report = bring(registry, name)

    model = registry.model(name.lower().replace("_", "-"))
    assert (report.model, report.made, report.changed) == (model.name, ["1.0.0"], [])
    assert model.description == "direction of the next bar"
    assert model.labels == {"mlflow.name": name, "mlflow.tag.desk": "fx"}

    version = registry.version(model.name, "1.0.0")
    assert version.family == "xgboost"
    assert version.hyperparameters == {"depth": 6, "objective": "binary:logistic"}
    assert version.metrics == {"accuracy": 0.8}
    assert [(feature["name"], feature["dtype"]) for feature in version.features] == [
        ("close", "float64"),
        ("volume", "int64"),
    ]
    assert version.data["samples"] == {"training": 1500}
    assert version.run_id == mlflow.get_model_version(name, "1").run_id
    assert version.labels["mlflow.version"] == "1"
    assert version.labels["mlflow.aliases"] == "champion"
    assert version.labels["mlflow.tag.reviewed"] == "yes"
    assert version.labels["mlflow.run.team"] == "a"
    assert version.artifact_sha256 == hashlib.sha256(MODEL).hexdigest()

    files = {artifact.name: artifact for artifact in registry.artifacts(model.name, "1.0.0")}
    assert set(files) == {"model", "opaque/model/MLmodel", "opaque/model/extra.bin", "opaque/run/plots/curve.svg"}
    assert b"".join(registry.read(model.name, "1.0.0", "model")) == MODEL
    assert {name for name, artifact in files.items() if artifact.media_type == pickles.MEDIA_TYPE} == {
        "opaque/model/extra.bin"
    }
    assert "1: the metric loss is no number" in report.notes
    assert any("opaque/model/extra.bin is a pickle, which runs code" in note for note in report.notes)
    assert not Path("exploded").exists()


def test_an_import_again_changes_nothing(mlflow, registry, name, tmp_path):
    publish(mlflow, name, tmp_path)
    publish(mlflow, name, tmp_path, depth=7, content=MODEL + b"2")
    first = bring(registry, name)
    before = everything(registry, first.model)
    again = bring(registry, name)
    assert (len(first.made), again.made, again.changed, again.same) == (2, [], [], first.made)
    assert everything(registry, first.model) == before


def test_an_import_follows_aliases_tags_metrics_and_new_versions(mlflow, registry, name, tmp_path):
    publish(mlflow, name, tmp_path)
    mlflow.set_registered_model_alias(name, "champion", "1")
    first = bring(registry, name)
    (version,) = registry.versions(first.model)
    registry.change_version(
        first.model, version.version, version.revision, {"labels": {**version.labels, "own": "kept"}}
    )

    publish(mlflow, name, tmp_path, depth=7, content=MODEL + b"2")
    mlflow.set_registered_model_alias(name, "champion", "2")
    mlflow.delete_model_version_tag(name, "1", "reviewed")
    mlflow.log_metric(version.run_id, "accuracy", 0.9)
    again = bring(registry, name)

    assert (again.made, again.changed) == (["1.1.0"], ["1.0.0"])
    old, new = registry.version(first.model, "1.0.0"), registry.version(first.model, "1.1.0")
    assert (old.labels["mlflow.aliases"], new.labels["mlflow.aliases"]) == ("", "champion")
    assert "mlflow.tag.reviewed" not in old.labels
    assert old.labels["own"] == "kept"
    assert old.metrics == {"accuracy": 0.9}


def test_the_command_line_says_what_it_did(mlflow, process, tenant, name, tmp_path, monkeypatch):
    publish(mlflow, name, tmp_path)
    monkeypatch.setenv("SERIN_REGISTRY_URL", process.url)
    monkeypatch.setenv("SERIN_REGISTRY_TOKEN", process.token(tenant=tenant))
    model = name.lower().replace("_", "-")
    done = CliRunner().invoke(main.app, ["mlflow", "import", name])
    assert (done.exit_code, done.stdout) == (0, f"{model}: 1 made, 0 changed, 0 as before; 2 notes\n")
    assert "1.0.0: opaque/model/extra.bin is a pickle" in done.stderr
    done = CliRunner().invoke(main.app, ["mlflow", "mirror", model])
    assert (done.exit_code, done.stdout) == (0, f"{model}: 0 made, 1 changed, 0 as before\n")


def test_what_was_signed_off_stays_as_it_was_seen(mlflow, registry, process, tenant, name, tmp_path):
    publish(mlflow, name, tmp_path)
    model = bring(registry, name).model
    with process.client("admin", tenant, ["risk"]) as officer:
        officer.ask_sign_off(tenant, ["risk"])
        officer.approve(model, "1.0.0", "risk", approved=True, why="looked at it")
    run_id = mlflow.get_model_version(name, "1").run_id
    mlflow.log_metric(run_id, "accuracy", 0.99)
    mlflow.log_text(run_id, "late", "late.txt")
    mlflow.set_registered_model_alias(name, "champion", "1")

    report = bring(registry, name)
    version = registry.version(model, "1.0.0")
    assert (version.metrics["accuracy"], version.labels["mlflow.aliases"]) == (0.8, "champion")
    assert report.changed == ["1.0.0"]
    assert sum("has been approved as it is" in note for note in report.notes) == 2


@pytest.mark.usefixtures("mlflow")
def test_a_model_that_mlflow_has_not_is_named(registry, name):
    with pytest.raises(errors.NotFoundError, match=f"MLflow has no registered model '{name}'"):
        bring(registry, name)


def test_two_models_of_one_name_here_are_not_mixed(mlflow, registry, name, tmp_path):
    publish(mlflow, name, tmp_path)
    publish(mlflow, name.replace("_", "."), tmp_path)
    bring(registry, name)
    with pytest.raises(errors.ConflictError, match="rename one of them"):
        bring(registry, name.replace("_", "."))


def register(registry: Client, scratch: Path, model: str) -> None:
    """A model of the registry's own, with a version that has files."""
    registry.create_model(model, description="registered here")
    body = {
        "family": "xgboost",
        "architecture": {"trees": 100},
        "hyperparameters": {"depth": 6, "tree": {"method": "hist"}},
        "metrics": {"accuracy": 0.75},
        "labels": {"team": "b"},
    }
    version = registry.register(model, body)
    for path, content in (("model", MODEL), ("logs/train.txt", b"epoch 1\n")):
        file = scratch / "file"
        file.write_bytes(content)
        registry.upload(model, version.version, path, file)


def test_a_model_is_mirrored(mlflow, registry, name, tmp_path):
    model = name.lower().replace("_", "-")
    register(registry, tmp_path, model)
    assert show(registry, model).made == ["1.0.0"]

    (found,) = mlflow.search_model_versions(f"name='{model}'")
    run = mlflow.get_run(found.run_id)
    assert run.data.params == {"depth": "6", "tree.method": "hist", "architecture.trees": "100"}
    assert run.data.metrics == {"accuracy": 0.75}
    assert run.info.status == "FINISHED"
    assert found.tags["serin.version"] == "1.0.0"
    assert found.tags["serin.stage"] == "DRAFT"
    assert found.tags["serin.label.team"] == "b"
    files = Files(f"models:/{model}/1", is_remote=True)
    assert files.sizes() == {"model": len(MODEL), "logs/train.txt": 8}
    assert files.fetch("model", tmp_path / "fetched").read_bytes() == MODEL


def test_a_mirror_again_changes_nothing(mlflow, registry, name, tmp_path):
    model = name.lower().replace("_", "-")
    register(registry, tmp_path, model)
    show(registry, model)
    before = everything_there(mlflow, model)
    again = show(registry, model)
    assert (again.made, again.changed, again.same) == ([], [], ["1.0.0"])
    assert everything_there(mlflow, model) == before


def test_a_mirror_follows_labels_metrics_and_files(mlflow, registry, name, tmp_path):
    model = name.lower().replace("_", "-")
    register(registry, tmp_path, model)
    show(registry, model)
    version = registry.version(model, "1.0.0")
    registry.change_version(model, "1.0.0", version.revision, {"labels": {"desk": "fx"}, "metrics": {"accuracy": 0.9}})
    (tmp_path / "late").write_bytes(b"late")
    registry.upload(model, "1.0.0", "logs/late.txt", tmp_path / "late")
    assert show(registry, model).changed == ["1.0.0"]
    (found,) = mlflow.search_model_versions(f"name='{model}'")
    assert found.tags["serin.label.desk"] == "fx"
    assert "serin.label.team" not in found.tags
    assert mlflow.get_run(found.run_id).data.metrics == {"accuracy": 0.9}
    assert "logs/late.txt" in Files(f"models:/{model}/1", is_remote=True).sizes()


def test_stages_of_the_cluster_are_aliases(mlflow, registry, process, tenant):
    history = cluster.make_history("mirrored")
    model = history[0]["spec"]["model"]
    canary = next(number for number, seen in enumerate(history) if seen["status"].get("phase") == "Canary")
    database = Database(process.settings["DATABASE"])
    try:
        for resource in history[: canary + 1]:
            cluster.record(database, resource, tenant)
        show(registry, model)
        numbers = {
            found.tags["serin.version"]: found.version for found in mlflow.search_model_versions(f"name='{model}'")
        }
        aliases = dict(mlflow.get_registered_model(model).aliases)
        assert aliases == {"production": numbers["1.0.0"], "canary": numbers["1.1.0"]}
        mlflow.set_registered_model_alias(model, "champion", numbers["1.0.0"])

        for resource in history[canary + 1 :]:
            cluster.record(database, resource, tenant)
        show(registry, model)
        (found,) = (
            each for each in mlflow.search_model_versions(f"name='{model}'") if each.tags["serin.stage"] == "PRODUCTION"
        )
        # What others have set stays.
        aliases = dict(mlflow.get_registered_model(model).aliases)
        assert aliases == {"production": found.version, "champion": numbers["1.0.0"]}
    finally:
        database.close()


def test_what_was_imported_is_not_written_back_as_another_version(mlflow, registry, name, tmp_path):
    publish(mlflow, name, tmp_path)
    report = bring(registry, name)
    mirrored = show(registry, report.model)
    assert (mirrored.made, mirrored.changed) == ([], ["1.0.0"])
    (found,) = mlflow.search_model_versions(f"name='{name}'")
    assert found.tags["serin.version"] == "1.0.0"
    assert bring(registry, name).same == ["1.0.0"]


@pytest.mark.usefixtures("mlflow")
def test_what_was_mirrored_is_not_imported_as_another_version(registry, name, tmp_path):
    model = name.lower().replace("_", "-")
    register(registry, tmp_path, model)
    show(registry, model)
    before = everything(registry, model)
    bring(registry, model)
    assert everything(registry, model) == before


@pytest.mark.parametrize("share", [0.4, 0.95])
def test_a_broken_import_goes_on_where_it_was(server, mlflow, registry, name, tmp_path, monkeypatch, share):
    publish(mlflow, name, tmp_path)
    publish(mlflow, name, tmp_path, depth=7, content=MODEL + b"2")
    with breaker.before(server.port) as between:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{between.port}")
        # As much as two versions are, and a little for what is said about them.
        between.break_after(int(share * 2 * len(MODEL)))
        with pytest.raises(errors.UnavailableError, match="run it again: it goes on where it was"):
            bring(registry, name)
        assert between.broken
        between.mend()
        report = bring(registry, name)
    assert sorted(report.made + report.changed + report.same) == ["1.0.0", "1.1.0"]
    whole = [
        (version["artifact_sha256"], {artifact["name"] for artifact in files})
        for version, files in everything(registry, report.model)
    ]
    names = {"model", "opaque/model/MLmodel", "opaque/model/extra.bin", "opaque/run/plots/curve.svg"}
    digests = [hashlib.sha256(content).hexdigest() for content in (MODEL + b"2", MODEL)]
    assert whole == [(digest, names) for digest in digests]


@pytest.mark.parametrize("count", [2_000, 9_000])
def test_a_broken_mirror_goes_on_where_it_was(server, mlflow, registry, name, tmp_path, monkeypatch, count):
    model = name.lower().replace("_", "-")
    register(registry, tmp_path, model)
    with breaker.before(server.port) as between:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{between.port}")
        between.break_after(count)
        with pytest.raises(errors.UnavailableError, match="run it again: it goes on where it was"):
            show(registry, model)
        assert between.broken
        between.mend()
        show(registry, model)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    (found,) = mlflow.search_model_versions(f"name='{model}'")
    experiment = mlflow.get_experiment_by_name(f"serin/{model}")
    assert [run.info.run_id for run in mlflow.search_runs([experiment.experiment_id])] == [found.run_id]
    assert Files(f"models:/{model}/1", is_remote=True).sizes() == {"model": len(MODEL), "logs/train.txt": 8}
    assert mlflow.get_run(found.run_id).data.metrics == {"accuracy": 0.75}


def test_a_folder_of_this_machine_is_not_a_remote_servers(tmp_path):
    with pytest.raises(errors.InvalidError, match="names a folder of this machine"):
        Files(tmp_path.as_uri(), is_remote=True)


def test_a_password_in_an_address_is_not_shown():
    said = faults.redact("API request to http://ann:secret@mlflow:5000/api failed")
    assert said == "API request to http://mlflow:5000/api failed"


def test_errors_of_the_network_become_unavailable():
    expected = pytest.raises(errors.UnavailableError, match="cannot be read: no route; check MLFLOW_TRACKING_URI")
    with expected, faults.telling("the run cannot be read"):
        raise OSError("no route")


@given(st.text() | st.text("./a_", min_size=1, max_size=8))
@example("..a")
@example("a/../b")
def test_every_key_is_one_that_mlflow_takes(text):
    key = writings.name_key(text)
    assert len(key) <= validation.MAX_ENTITY_KEY_LENGTH
    assert validation.validate_param_and_metric_name(key)
    assert not validation.path_not_unique(key)
