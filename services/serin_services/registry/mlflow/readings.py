"""What MLflow's runs and versions are in the registry's words. Pure: it is given what was read, and gives what to write."""

import dataclasses
import datetime as dt
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from serin_services.registry import errors

# The labels that an import writes, and no others; what else a version is labelled with is its owners'.
PREFIX = "mlflow."
NUMBER = f"{PREFIX}version"
ALIASES = f"{PREFIX}aliases"
NAME = f"{PREFIX}name"
# The tags that a mirror writes.
OURS = "serin."
VERSION_ID = f"{OURS}version_id"

MAX_NAME = 52
# As the registry takes them.
MAX_LABELS = 128
MAX_LABEL_KEY = 253
MAX_LABEL = 2048
MAX_PART = 128
MAX_METRICS = 256
# What a label value of Kubernetes may be, which a family is.
NO_FAMILY = r"[^A-Za-z0-9._-]"
# Flavours that say how a model is wrapped, and not what it is.
WRAPPERS = {"python_function", "mlflow_model_schema"}
# The families of ours that MLflow calls otherwise.
FAMILIES = {"pytorch": "torch"}
# Types of columns in MLflow's signatures; texts, dates and binaries are no numbers and no features of ours.
TYPES = {"double": "float64", "float": "float32", "long": "int64", "integer": "int64", "boolean": "bool"}
# What Python shows of what JSON writes otherwise.
WORDS: dict[str, Any] = {"True": True, "False": False, "None": None}
SAFE_INTEGER = 2**53 - 1
# What MLflow notes about its own workings.
WORKINGS = {"mlflow.log-model.history", "mlflow.loggedArtifacts", "mlflow.runColor", "mlflow.note.content"}


@dataclasses.dataclass(frozen=True)
class Run:
    """A run as it was read; one without an id is none. `samples` counts the rows of its datasets by their use."""

    id: str = ""
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    samples: Mapping[str, int] = dataclasses.field(default_factory=dict)
    ended_at: dt.datetime | None = None


@dataclasses.dataclass(frozen=True)
class Published:
    """One version of a registered model as it was read."""

    name: str
    number: str
    run_id: str
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Registered:
    """A registered model as it was read; `aliases` says which version each of its aliases names."""

    name: str
    description: str = ""
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)


def name_model(name: str) -> str:
    """Give the name that a registered model has here: MLflow takes any text, Kubernetes takes a DNS label.

    Raises:
        errors.InvalidError: no letter or digit is left.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:MAX_NAME].strip("-")
    if not plain:
        raise errors.InvalidError(f"MLflow's model {name!r} has no letter from a to z and no digit: rename it there")
    return plain


def name_file(folder: str, path: str) -> str:
    """Give the name of a file in a folder here: what a name cannot hold is replaced, and its digest keeps it apart."""
    return "/".join([folder, *map(_name_part, path.split("/"))])


def _name_part(part: str) -> str:
    plain = re.sub(r"^(?=[^A-Za-z0-9_])", "_", re.sub(r"[^A-Za-z0-9._@+= -]", "_", part))
    if plain == part and len(part) <= MAX_PART:
        return part
    return f"{plain[: MAX_PART - 9]}-{hashlib.sha256(part.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def label_model(registered: Registered) -> dict[str, str]:
    """Give a registered model's labels: the name it has there, and its tags."""
    return {NAME: registered.name, **label("tag", registered.tags)}


def label_version(published: Published, run: Run) -> dict[str, str]:
    """Give a version's labels: its number and aliases there, its tags and its run's."""
    return {
        NUMBER: published.number,
        ALIASES: ",".join(sorted(published.aliases)),
        **label("run", {key: value for key, value in run.tags.items() if key not in WORKINGS}),
        **label("tag", published.tags),
    }


def label(kind: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Make labels of tags, as a label's key and text may be; what a mirror wrote there is no news."""
    news = {key: str(value) for key, value in sorted(tags.items()) if not key.startswith(OURS)}
    return {_name_label(kind, key): text.replace("\0", "")[:MAX_LABEL] for key, text in news.items()}


def _name_label(kind: str, key: str) -> str:
    plain = "".join(char if char.isprintable() and char not in '"\\:' else "_" for char in key.removeprefix(PREFIX))
    return f"{PREFIX}{kind}.{plain}"[:MAX_LABEL_KEY]


def replace_labels(labels: Mapping[str, Any], imported: Mapping[str, str]) -> dict[str, Any]:
    """Put what was imported in the place of what an earlier import wrote."""
    own = {key: value for key, value in labels.items() if not key.startswith(PREFIX)}
    return own | dict(list(imported.items())[: MAX_LABELS - len(own)])


def describe(published: Published, run: Run, model_file: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a version is: the body that registers it. `model_file` is what stands in its MLmodel."""
    return {
        "family": find_family(model_file),
        "hyperparameters": {key: read_value(value) for key, value in run.params.items()},
        "features": read_features(model_file),
        "data": {"samples": dict(run.samples)},
        "metrics": read_metrics(run.metrics),
        "labels": replace_labels({}, label_version(published, run)),
        "run_id": run.id or published.run_id,
        "trained_at": run.ended_at.isoformat() if run.ended_at else None,
    }


def find_flavours(model_file: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Give the flavours that say what a model is."""
    flavours = model_file.get("flavors")
    if not isinstance(flavours, Mapping):
        return {}
    return {str(name): found for name, found in flavours.items() if name not in WRAPPERS and isinstance(found, Mapping)}


def find_family(model_file: Mapping[str, Any]) -> str:
    """Name the family; a model of a library of its own is of that library."""
    name = next(iter(find_flavours(model_file)), "unknown")
    return re.sub(NO_FAMILY, "-", FAMILIES.get(name, name)).strip("-._")[:MAX_NAME] or "unknown"


def find_model_path(model_file: Mapping[str, Any]) -> str:
    """Give the path of the file that holds the model, or nothing where the flavour keeps a folder or does not say."""
    for flavour in find_flavours(model_file).values():
        for key in ("data", "model_data"):
            if isinstance(path := flavour.get(key), str):
                return path
    return ""


def read_features(model_file: Mapping[str, Any]) -> list[dict[str, str]]:
    """Give the named numbers of a model's signature, in their order."""
    signature = model_file.get("signature")
    inputs = signature.get("inputs") if isinstance(signature, Mapping) else None
    try:
        columns = json.loads(inputs) if isinstance(inputs, str) else []
    except ValueError:
        return []
    return list(_read_columns(columns)) if isinstance(columns, list) else []


def _read_columns(columns: Iterable[Any]) -> Iterable[dict[str, str]]:
    for column in columns:
        if isinstance(column, dict) and column.get("type") in TYPES and column.get("name"):
            yield {"name": str(column["name"]), "dtype": TYPES[column["type"]]}


def read_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Give the metrics that can be kept: JSON knows neither infinity nor what is none, and there is room for so many."""
    numbers = {key: value for key, value in sorted(metrics.items()) if math.isfinite(value)}
    return dict(list(numbers.items())[:MAX_METRICS])


def explain_left_out(metrics: Mapping[str, float]) -> list[str]:
    """Say of each metric that cannot be kept why."""
    left = sorted(metrics.keys() - read_metrics(metrics).keys())
    too_many = f"one more than the {MAX_METRICS} there is room for"
    return [f"the metric {key} is {too_many if math.isfinite(metrics[key]) else 'no number'}" for key in left]


def read_value(text: str) -> Any:  # noqa: ANN401 - any value of JSON
    """Read a parameter, which MLflow keeps as the text that Python shows: a number, True, None, or a text as it is."""
    if text in WORDS:
        return WORDS[text]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # A float is sure to hold integers up to there (RFC 8259, section 6); this is also false of what is no number.
    return value if is_number and abs(value) <= SAFE_INTEGER else text
