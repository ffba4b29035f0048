"""Import of registered models: their versions with what their runs say, and their files.

What was imported is found again by the version's number and its run, so that nothing is doubled and whatever an
interrupted import left out is brought by the next one. Files are written once; labels and metrics follow MLflow's.
"""

import functools
import hashlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from serin_services.registry import errors
from serin_services.registry.client import Client
from serin_services.registry.client.results import VersionSummary
from serin_services.registry.mlflow import pickles, readings
from serin_services.registry.mlflow.files import MODEL_FILE, Files
from serin_services.registry.mlflow.readings import Published, Registered
from serin_services.registry.mlflow.reports import Report
from serin_services.registry.mlflow.server import Server

# Where the files lie that come along: a model's, and those of its run that belong to no model, such as plots.
MODEL_FOLDER = f"{pickles.FOLDER}/model"
RUN_FOLDER = f"{pickles.FOLDER}/run"
# The trained model itself, where it is in a format that a server reads.
MODEL = "model"
SERVED = {"xgboost", "lightgbm", "onnx"}
# It is parsed as a whole.
MAX_MODEL_FILE = 4 * 1024 * 1024


def import_model(registry: Client, server: Server, registered: Registered, say: Callable[[str], None]) -> Report:
    """Bring one registered model into the registry, or up to date there."""
    model = _ensure_model(registry, registered)
    known: dict[tuple[str, str], VersionSummary] = {}
    ours = set()
    for version in registry.versions(model):
        known[version.labels.get(readings.NUMBER, ""), version.run_id] = version
        ours.add(str(version.id))
    report = Report(model)
    for published in server.versions(registered):
        # What a mirror has written there came from here.
        if published.tags.get(readings.VERSION_ID) in ours and (published.number, published.run_id) not in known:
            continue
        say(f"{registered.name} {published.number}")
        with tempfile.TemporaryDirectory(prefix="serin-mlflow-") as scratch:
            transfer = _Transfer(registry, server, model, published, report, Path(scratch))
            transfer.bring(known.get((published.number, published.run_id)))
    return report


def _ensure_model(registry: Client, registered: Registered) -> str:
    name, labels = readings.name_model(registered.name), readings.label_model(registered)
    try:
        found = registry.model(name)
    except errors.NotFoundError:
        return str(registry.create_model(name, description=registered.description, labels=labels).name)
    before = found.labels.get(readings.NAME, registered.name)
    if before != registered.name:
        raise errors.ConflictError(
            f"MLflow's models {before!r} and {registered.name!r} would both be {name!r} here: rename one of them there"
        )
    wanted = readings.replace_labels(found.labels, labels)
    if wanted != found.labels:
        registry.change_model(name, found.revision, {"labels": wanted})
    return name


class _Transfer:
    """The way of one version from there to here."""

    def __init__(
        self, registry: Client, server: Server, model: str, published: Published, report: Report, scratch: Path
    ) -> None:
        self.registry, self.server, self.model, self.published = registry, server, model, published
        self.report, self.scratch = report, scratch
        self.run = server.run(published.run_id)

    def bring(self, version: VersionSummary | None) -> None:
        """Register the version or follow its changes, then bring the files that are missing."""
        if version is None:
            made = self.registry.register(self.model, self._describe())
            self._bring_files(made.version)
            self.report.made.append(made.version)
            return
        is_changed = self._follow(version)
        is_changed |= self._bring_files(version.version)
        (self.report.changed if is_changed else self.report.same).append(version.version)

    @functools.cached_property
    def files(self) -> dict[str, tuple[Files, str]]:
        """The files of the model, and of its run those that belong to no model, by the names that they get here."""
        model_files = self.server.model_files(self.published)
        found = {readings.name_file(MODEL_FOLDER, path): (model_files, path) for path in model_files.sizes()}
        if self.run.id:
            run_files = self.server.run_files(self.run.id)
            beside = run_files.sizes(beside_models=True)
            found |= {readings.name_file(RUN_FOLDER, path): (run_files, path) for path in beside}
        return found

    @functools.cached_property
    def model_file(self) -> dict[str, Any]:
        """What stands in the model's MLmodel."""
        name = readings.name_file(MODEL_FOLDER, MODEL_FILE)
        if name not in self.files:
            return {}
        file, where = self._fetch(name), f"{self.published.name} {self.published.number}: {MODEL_FILE}"
        if file.stat().st_size > MAX_MODEL_FILE:
            raise errors.TooLargeError(f"{where}: expected at most {MAX_MODEL_FILE} bytes, got {file.stat().st_size}")
        try:
            found = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise errors.InvalidError(f"{where}: cannot be read: {error}") from None
        return found if isinstance(found, dict) else {}

    def _describe(self) -> dict[str, Any]:
        """Say what the version is, with the digest of its model: retrained is another digest."""
        body = readings.describe(self.published, self.run, self.model_file)
        left_out = readings.explain_left_out(self.run.metrics)
        self.report.notes += [f"{self.published.number}: {sentence}" for sentence in left_out]
        name = self._name_of_model()
        if name and not pickles.find_reason(file := self._fetch(name)):
            with file.open("rb") as opened:
                body["artifact_sha256"] = hashlib.file_digest(opened, "sha256").hexdigest()
        return body

    def _name_of_model(self) -> str:
        """Give the name of the file that a server could read, if there is one."""
        path = readings.find_model_path(self.model_file)
        name = readings.name_file(MODEL_FOLDER, path)
        return name if path and name in self.files and readings.find_family(self.model_file) in SERVED else ""

    def _fetch(self, name: str) -> Path:
        """Bring a file to this machine, unless it is here already."""
        files, path = self.files[name]
        folder = self.scratch / hashlib.sha256(name.encode()).hexdigest()
        file = folder / path
        return file if file.exists() else files.fetch(path, folder)

    def _follow(self, version: VersionSummary) -> bool:
        """Write what changed of labels and metrics; give whether anything did."""
        is_changed = False
        metrics = {**version.metrics, **readings.read_metrics(self.run.metrics)}
        if metrics != version.metrics:
            try:
                version = self._change(version, "metrics", metrics)
            except errors.ConflictError as error:
                # What somebody signed off stays as they saw it; labels say nothing of what it is.
                self.report.notes.append(f"{version.version}: its metrics changed in MLflow, but {error.message}")
            else:
                is_changed = True
        labels = readings.replace_labels(version.labels, readings.label_version(self.published, self.run))
        if labels != version.labels:
            self._change(version, "labels", labels)
            is_changed = True
        return is_changed

    def _change(self, version: VersionSummary, name: str, value: Mapping[str, Any]) -> VersionSummary:
        return self.registry.change_version(self.model, version.version, version.revision, {name: value})

    def _bring_files(self, version: str) -> bool:
        """Bring the files that are not there yet, one at a time; give whether there were any."""
        there = {artifact.name for artifact in self.registry.artifacts(self.model, version)}
        model = self._name_of_model()
        missing = [name for name in self.files if name not in there and not (name == model and MODEL in there)]
        for number, name in enumerate(missing):
            try:
                self._bring_file(version, name, model)
            except errors.ConflictError as error:
                self.report.notes.append(f"{version}: {len(missing) - number} files are missing, but {error.message}")
                return number > 0
        return bool(missing)

    def _bring_file(self, version: str, name: str, model: str) -> None:
        file = self._fetch(name)
        reason = pickles.find_reason(file)
        if reason:
            self.report.notes.append(f"{version}: {name} is {reason}")
        kept = MODEL if name == model and not reason else name
        media_type = pickles.MEDIA_TYPE if reason else "application/octet-stream"
        self.registry.upload(self.model, version, kept, file, media_type=media_type)
        file.unlink()
