"""The MLflow server, by what an import and a mirror ask of it; nothing else here knows MLflow's client."""

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient, entities

from serin_services.registry.mlflow.faults import or_nothing, telling
from serin_services.registry.mlflow.files import Files
from serin_services.registry.mlflow.readings import Published, Registered, Run

# MLflow takes no more at once.
BATCH = 100


class Server:
    """One MLflow server: its registered models, their versions, their runs and their files."""

    def __init__(self) -> None:
        self._client = MlflowClient()
        self._is_remote = self._client.tracking_uri.startswith("http")

    def names(self) -> list[str]:
        """Give the names of all registered models."""
        with telling("the registered models cannot be read"):
            return [str(found.name) for found in _all_pages(self._client.search_registered_models)]

    def model(self, name: str) -> Registered | None:
        """Give a registered model, if there is one."""
        with telling(f"the registered model {name!r} cannot be read"), or_nothing():
            found = self._client.get_registered_model(name)
            aliases = {alias: str(version) for alias, version in found.aliases.items()}
            return Registered(found.name, found.description or "", dict(found.tags), aliases)
        return None

    def versions(self, registered: Registered) -> list[Published]:
        """Give a model's versions, the oldest first."""
        with telling(f"the versions of {registered.name!r} cannot be read"):
            wanted = "name='{}'".format(registered.name.replace("'", "''"))
            found = _all_pages(self._client.search_model_versions, wanted)
        by_version: dict[str, list[str]] = {}
        for alias, number in registered.aliases.items():
            by_version.setdefault(number, []).append(alias)
        versions = [
            Published(each.name, number, each.run_id or "", dict(each.tags), tuple(sorted(by_version.get(number, ()))))
            for each in found
            for number in [str(each.version)]
        ]
        return sorted(versions, key=lambda version: int(version.number))

    def run(self, run_id: str) -> Run:
        """Give a run; an empty one where a version has none, or where it is gone."""
        with telling(f"the run {run_id!r} cannot be read"), or_nothing():
            return _read_run(self._client.get_run(run_id)) if run_id else Run()
        return Run()

    def model_files(self, version: Published) -> Files:
        """Give the files of a version's model."""
        with telling(f"the files of {version.name!r} {version.number} cannot be found"):
            address = self._client.get_model_version_download_uri(version.name, version.number)
            return Files(address, is_remote=self._is_remote)

    def run_files(self, run_id: str) -> Files:
        """Give the files of a run."""
        with telling(f"the files of the run {run_id!r} cannot be found"):
            return Files(self._client.get_run(run_id).info.artifact_uri, is_remote=self._is_remote)

    def make_model(self, name: str, description: str) -> Registered:
        """Make a registered model."""
        with telling(f"the registered model {name!r} cannot be made"):
            self._client.create_registered_model(name, description=description)
        return Registered(name, description)

    def tag_model(self, registered: Registered, tags: Mapping[str, str]) -> bool:
        """Set the tags that differ; give whether any did."""
        changed = {key: value for key, value in tags.items() if registered.tags.get(key) != value}
        with telling(f"the registered model {registered.name!r} cannot be tagged"):
            for key, value in changed.items():
                self._client.set_registered_model_tag(registered.name, key, value)
        return bool(changed)

    def tag_version(self, version: Published, tags: Mapping[str, str], prefix: str) -> bool:
        """Make the tags below a prefix these and no others; give whether any differed."""
        changed = {key: value for key, value in tags.items() if version.tags.get(key) != value}
        gone = [key for key in version.tags if key.startswith(prefix) and key not in tags]
        with telling(f"{version.name!r} {version.number} cannot be tagged"):
            for key, value in changed.items():
                self._client.set_model_version_tag(version.name, version.number, key, value)
            for key in gone:
                self._client.delete_model_version_tag(version.name, version.number, key)
        return bool(changed or gone)

    def point(self, name: str, alias: str, number: str | None) -> None:
        """Make an alias name a version, or none."""
        with telling(f"the alias {alias!r} of {name!r} cannot be changed"):
            if number is None:
                self._client.delete_registered_model_alias(name, alias)
            else:
                self._client.set_registered_model_alias(name, alias, number)

    def make_run(self, experiment: str, name: str, key: tuple[str, str]) -> str:
        """Give the run whose tag `key` says so; it is made where there is none."""
        with telling(f"a run of the experiment {experiment!r} cannot be made"):
            found = self._client.get_experiment_by_name(experiment)
            number = found.experiment_id if found else self._client.create_experiment(experiment)
            runs = self._client.search_runs([number], f"tags.`{key[0]}` = '{key[1]}'", max_results=1)
            run = runs[0] if runs else self._client.create_run(number, tags=dict([key]), run_name=name)
            return str(run.info.run_id)

    def fill_run(self, run_id: str, run: Run, at: dt.datetime, step: int) -> bool:
        """Write the parameters, metrics and tags that the run does not have yet; give whether there were any."""
        before, moment = self.run(run_id), int(at.timestamp() * 1000)
        params = [entities.Param(key, text) for key, text in run.params.items() if key not in before.params]
        metrics = [
            entities.Metric(key, value, moment, step)
            for key, value in run.metrics.items()
            if before.metrics.get(key) != value
        ]
        tags = [entities.RunTag(key, text) for key, text in run.tags.items() if before.tags.get(key) != text]
        with telling(f"the run {run_id!r} cannot be written"):
            for name, values in (("params", params), ("metrics", metrics), ("tags", tags)):
                for begin in range(0, len(values), BATCH):
                    self._client.log_batch(run_id, **{name: values[begin : begin + BATCH]})
        return bool(params or metrics or tags)

    def add_file(self, run_id: str, file: Path, folder: str) -> None:
        """Add a file to a folder of a run."""
        with telling(f"{file.name} cannot be added to the run {run_id!r}"):
            self._client.log_artifact(run_id, str(file), folder)

    def end_run(self, run_id: str) -> None:
        """Say that the run is complete, once."""
        with telling(f"the run {run_id!r} cannot be ended"):
            if self._client.get_run(run_id).info.status == entities.RunStatus.to_string(entities.RunStatus.RUNNING):
                self._client.set_terminated(run_id)

    def publish(self, name: str, run_id: str, folder: str, tags: Mapping[str, str], description: str) -> Published:
        """Make a version of a registered model from a run's folder."""
        with telling(f"a version of {name!r} cannot be made"):
            source = f"runs:/{run_id}/{folder}"
            made = self._client.create_model_version(
                name, source, run_id, dict(tags), description=description, await_creation_for=0
            )
        return Published(name, str(made.version), run_id, dict(tags))


def _all_pages(search: Callable[..., Any], wanted: str | None = None) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = search(filter_string=wanted, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _read_run(found: Any) -> Run:  # noqa: ANN401 - MLflow's own has no types
    ended = found.info.end_time
    return Run(
        id=str(found.info.run_id),
        params=dict(found.data.params),
        metrics=dict(found.data.metrics),
        tags=dict(found.data.tags),
        samples=_count_samples(found.inputs.dataset_inputs if found.inputs else ()),
        ended_at=dt.datetime.fromtimestamp(ended / 1000, dt.UTC) if ended else None,
    )


def _count_samples(inputs: Sequence[Any]) -> dict[str, int]:
    """Count the rows of a run's datasets, by the context that each was logged with, such as training."""
    counts: dict[str, int] = {}
    for each in inputs:
        context = next((tag.value for tag in each.tags if tag.key == "mlflow.data.context"), "training")
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            counts[context] = counts.get(context, 0) + int(json.loads(each.dataset.profile)["num_rows"])
    return counts
