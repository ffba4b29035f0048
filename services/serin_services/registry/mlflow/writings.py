"""What the registry's versions are in MLflow's words: parameters, tags and aliases. Pure."""

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from serin_services.registry.client.results import Version, VersionSummary
from serin_services.registry.core.stages import Stage
from serin_services.registry.mlflow.readings import OURS, PREFIX, VERSION_ID

# MLflow's own stages are deprecated in favour of aliases.
ALIASES = {Stage.STAGING: "staging", Stage.CANARY: "canary", Stage.PRODUCTION: "production"}
# As much as MLflow keeps of a parameter and of a key.
MAX_PARAMETER = 6000
MAX_KEY = 250


def choose_aliases(versions: Iterable[VersionSummary]) -> dict[str, str]:
    """Say which version each alias names: of several in a stage, the one that came there last."""
    chosen: dict[str, VersionSummary] = {}
    for version in versions:
        alias = ALIASES.get(Stage(version.stage))
        if alias and (alias not in chosen or chosen[alias].stage_since < version.stage_since):
            chosen[alias] = version
    return {alias: version.version for alias, version in chosen.items()}


def make_params(version: Version) -> dict[str, str]:
    """Give the hyperparameters and the architecture as MLflow's parameters, which are flat texts."""
    return dict(_flatten({**version.hyperparameters, "architecture": version.architecture}))


def _flatten(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{path}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            yield name_key(f"{path}{key}"), text[:MAX_PARAMETER]


def make_tags(version: VersionSummary) -> dict[str, str]:
    """Say in tags what it is here; labels that came from MLflow are not told back to it."""
    own = {key: text for key, text in version.labels.items() if not key.startswith(PREFIX)}
    return {
        VERSION_ID: str(version.id),
        f"{OURS}version": version.version,
        f"{OURS}stage": str(version.stage),
        f"{OURS}family": version.family,
        **{name_key(f"{OURS}label.{key}"): str(text) for key, text in own.items()},
    }


def name_key(text: str) -> str:
    """Write a key as MLflow takes one: with its characters, and as a path that could not be written shorter."""
    plain = re.sub(r"[^\w./ :-]", "_", text)[:MAX_KEY]
    is_path = plain == posixpath.normpath(plain) and not plain.startswith(("..", "/")) and plain != "."
    return plain if is_path else re.sub(r"^\.*$|^\.\.|/", "_", plain)
