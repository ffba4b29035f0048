"""Mirror of the registry's models: each version as a run and a version of a registered model, stages as aliases.

A version is found again by its id, which stands in a tag, so that nothing is doubled. What was imported from the same
server is not written a second time: its own version there gets the tags.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from serin_services.registry.client import Client
from serin_services.registry.client.results import Model, Version, VersionSummary
from serin_services.registry.mlflow import readings, writings
from serin_services.registry.mlflow.readings import OURS, VERSION_ID, Published, Registered, Run
from serin_services.registry.mlflow.reports import Report
from serin_services.registry.mlflow.server import Server

# Which aliases the mirror has set: those alone does it take away.
ALIASES_TAG = f"{OURS}aliases"
EXPERIMENT = "serin/{}"
FOLDER = "model"


def mirror_model(registry: Client, server: Server, model: Model, say: Callable[[str], None]) -> Report:
    """Show one model in MLflow, or bring it up to date there."""
    name = model.labels.get(readings.NAME, model.name)
    registered = server.model(name) or server.make_model(name, model.description)
    published = server.versions(registered)
    by_id = {each.tags[VERSION_ID]: each for each in published if VERSION_ID in each.tags}
    by_number = {(each.number, each.run_id): each for each in published}
    report, numbers = Report(model.name), {}
    versions = sorted(registry.versions(model.name), key=lambda version: version.created_at)
    for version in versions:
        say(f"{model.name} {version.version}")
        imported = by_number.get((version.labels.get(readings.NUMBER, ""), version.run_id))
        there = imported or by_id.get(str(version.id))
        is_changed = not imported and _fill(registry, server, model.name, registry.version(model.name, version.version))
        if there is None:
            there = _publish(server, name, model.name, version)
            report.made.append(version.version)
        else:
            is_changed |= server.tag_version(there, writings.make_tags(version), OURS)
            (report.changed if is_changed else report.same).append(version.version)
        numbers[version.version] = there.number
    _point(server, registered, versions, numbers, report)
    return report


def _fill(registry: Client, server: Server, model: str, version: Version) -> bool:
    """Write the version's run, as far as it is not there yet; give whether anything was missing."""
    run_id = _make_run(server, model, version)
    metrics = {writings.name_key(key): value for key, value in version.metrics.items()}
    shown = Run(run_id, params=writings.make_params(version), metrics=metrics, tags=writings.make_tags(version))
    is_changed = server.fill_run(run_id, shown, version.created_at, version.revision)
    there = server.run_files(run_id).sizes()
    with tempfile.TemporaryDirectory(prefix="serin-mlflow-") as scratch:
        for artifact in registry.artifacts(model, version.version):
            path = PurePosixPath(FOLDER) / artifact.name
            # An upload that broke off is of another size.
            if there.get(str(path)) == artifact.size:
                continue
            file = Path(scratch) / path.name
            registry.download(model, version.version, artifact.name, file)
            server.add_file(run_id, file, str(path.parent))
            file.unlink()
            is_changed = True
    server.end_run(run_id)
    return is_changed


def _make_run(server: Server, model: str, version: VersionSummary) -> str:
    return server.make_run(EXPERIMENT.format(model), f"{model} {version.version}", (VERSION_ID, str(version.id)))


def _publish(server: Server, name: str, model: str, version: VersionSummary) -> Published:
    run_id = _make_run(server, model, version)
    return server.publish(name, run_id, FOLDER, writings.make_tags(version), f"{model} {version.version}")


def _point(
    server: Server, registered: Registered, versions: list[VersionSummary], numbers: Mapping[str, str], report: Report
) -> None:
    """Set the aliases, and take away those that an earlier mirror set and that name nothing now."""
    wanted = {alias: numbers[name] for alias, name in writings.choose_aliases(versions).items()}
    earlier = set(filter(None, registered.tags.get(ALIASES_TAG, "").split(",")))
    # Said first: what is set and not told would stay for ever.
    server.tag_model(registered, {ALIASES_TAG: ",".join(sorted(earlier | wanted.keys()))})
    for alias in sorted(wanted.keys() | earlier):
        if registered.aliases.get(alias) != wanted.get(alias):
            server.point(registered.name, alias, wanted.get(alias))
            report.notes.append(f"{alias} names {wanted.get(alias, 'nothing')} in MLflow")
