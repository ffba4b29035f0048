"""The manifest of a model package: what a version is, what goes in, what comes out, and which files it is made of."""

import collections
import json
import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

import pydantic

FILE_NAME = "manifest.json"

Family = Literal["xgboost", "lightgbm"]
Task = Literal["binary", "multiclass", "regression"]
DataType = Literal["float32", "float64", "int64", "bool"]

# A name ends in object names with a revision and a slot behind it, and in a label value: a DNS label of at most 52.
NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$"
# A Kubernetes label value; it has no `+`, so a version's build metadata cannot be part of it.
VERSION_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"

MAX_FEATURES = 20_000
MAX_CLASSES = 1_000
MAX_FILES = 64
# Of the file on disk, in bytes, checked before anything reads it.
MAX_MANIFEST_BYTES = 8 * 1024 * 1024

ModelName = Annotated[str, pydantic.StringConstraints(pattern=NAME_PATTERN)]
Version = Annotated[str, pydantic.StringConstraints(pattern=VERSION_PATTERN)]
Text = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=253)]
Sha256 = Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Strict(pydantic.BaseModel):
    """A part of the manifest that cannot be changed and knows no other fields than its own."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Feature(Strict):
    """One input column; its position in the list is its position in a row."""

    name: Text
    dtype: DataType = "float64"
    unit: Text | None = None
    allow_nan: bool = False


class Outputs(Strict):
    """What comes out: for a classification the label of each class, in the order of the model's own class numbers."""

    classes: tuple[Text, ...] = pydantic.Field(default=(), max_length=MAX_CLASSES)


class File(Strict):
    """One file of the package, by its path inside the folder, with the size in bytes and the digest of its content."""

    path: Text
    role: Literal["artifact", "project"]
    size: int = pydantic.Field(ge=0)
    sha256: Sha256

    @pydantic.field_validator("path")
    @classmethod
    def stays_inside(cls, path: str) -> str:
        """Refuse a path that leaves the folder, on any platform's reading of it."""
        parts = PurePosixPath(path).parts
        if path.startswith("/") or "\\" in path or "\0" in path or ".." in parts or str(PurePosixPath(path)) != path:
            raise ValueError(f"must be a plain relative path inside the package, got {path!r}")
        return path


class Manifest(Strict):
    """Everything a server and an operator need to know of a model version besides the artifact itself."""

    schema_: Literal["serin.dev/package/v1"] = pydantic.Field(default="serin.dev/package/v1", alias="schema")
    model: ModelName
    version: Version
    family: Family
    task: Task
    inputs: tuple[Feature, ...] = pydantic.Field(min_length=1, max_length=MAX_FEATURES)
    outputs: Outputs = Outputs()
    metrics: dict[Text, float] = {}
    lineage: dict[Text, str] = {}
    files: tuple[File, ...] = pydantic.Field(min_length=1, max_length=MAX_FILES)

    @pydantic.model_validator(mode="after")
    def fits_together(self) -> Self:
        """Refuse doubled names, and classes that do not fit the task."""
        for what, names in {
            "inputs": [feature.name for feature in self.inputs],
            "outputs.classes": list(self.outputs.classes),
            "files": [file.path for file in self.files],
        }.items():
            if doubled := [name for name, count in collections.Counter(names).items() if count > 1]:
                raise ValueError(f"{what}: each name stands once, but these stand more often: {', '.join(doubled[:5])}")
        expected = {"binary": (2, 2), "multiclass": (2, MAX_CLASSES), "regression": (0, 0)}[self.task]
        if not expected[0] <= len(self.outputs.classes) <= expected[1]:
            raise ValueError(
                f"outputs.classes: a {self.task} model has {' to '.join(map(str, sorted(set(expected))))} classes, "
                f"got {len(self.outputs.classes)}"
            )
        if sum(file.role == "artifact" for file in self.files) != 1:
            raise ValueError("files: exactly one file must have the role artifact")
        return self

    @property
    def artifact(self) -> File:
        """The one file that holds the trained model."""
        return next(file for file in self.files if file.role == "artifact")

    @property
    def feature_names(self) -> list[str]:
        """The names of the inputs in the order of a row."""
        return [feature.name for feature in self.inputs]

    def to_json(self) -> bytes:
        """Write the manifest the same way each time, because its digest is the package's digest."""
        document = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def describe(error: pydantic.ValidationError) -> str:
    """Put what pydantic found into sentences: where, what was expected, what came."""
    found = []
    for item in error.errors(include_url=False)[:5]:
        where = ".".join(str(part) for part in item["loc"]) or "manifest"
        came = "" if item["type"] in {"missing", "value_error"} else f", got {_short(item.get('input'))}"
        found.append(f"{where}: {item['msg']}{came}")
    return "; ".join(found)


def name_problem(name: str) -> str | None:
    """Say what is wrong with a model's name, or nothing."""
    if re.fullmatch(NAME_PATTERN, name):
        return None
    return f"a model's name has at most 52 characters, of a-z, 0-9 and -, with no - at either end; got {name!r}"


def version_problem(version: str) -> str | None:
    """Say what is wrong with a version, or nothing."""
    if re.fullmatch(VERSION_PATTERN, version):
        return None
    hint = f"; write {version.replace('+', '-')!r} instead" if "+" in version else ""
    return (
        "a version has at most 63 characters, of letters, digits, '.', '_' and '-' (no '+', it becomes a label), "
        f"with a letter or digit at both ends; got {version!r}{hint}"
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
