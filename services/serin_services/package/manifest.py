"""The manifest of a model package: what a version is, what goes in, what comes out, and which files it is made of."""

import collections
import hashlib
import json
import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

import pydantic

FILE_NAME = "manifest.json"

Family = Literal["xgboost", "lightgbm", "onnx", "torch"]
# What the first output means; `tensors` is a model whose outputs are handed on as they are.
Task = Literal["binary", "multiclass", "regression", "quantile", "tensors"]
# How the first output of the artifact becomes the probabilities of the classes, where it does not hold them: logits of
# each class, the logit of the second of two, or its probability.
Activation = Literal["softmax", "sigmoid", "complement"]
# The ways to compute a model: by its family's own library, or by ONNX Runtime.
FormName = Literal["native", "onnx"]
DataType = Literal["float32", "float64", "int64", "bool"]
# numpy's names of what an input or output tensor may hold.
TensorType = Literal[
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64"
]

# A name ends in object names with a revision and a slot behind it, and in a label value: a DNS label of at most 52.
NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$"
# A Kubernetes label value; it has no `+`, so a version's build metadata cannot be part of it.
VERSION_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"

MAX_FEATURES = 20_000
MAX_CLASSES = 1_000
MAX_FILES = 64
MAX_TENSORS = 64
MAX_RANK = 8
# The size of an axis that each request chooses; a tensor's first axis is always one of these: the batch.
ANY = -1
# Of the file on disk, in bytes, checked before anything reads it.
MAX_MANIFEST_BYTES = 8 * 1024 * 1024

ModelName = Annotated[str, pydantic.StringConstraints(pattern=NAME_PATTERN)]
Version = Annotated[str, pydantic.StringConstraints(pattern=VERSION_PATTERN)]
Text = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=253)]
Quantile = Annotated[float, pydantic.Field(gt=0, lt=1)]
Number = Annotated[float, pydantic.Field(allow_inf_nan=False)]
NotNegative = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]
Sha256 = Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{64}$")]


# What a measurement may make another of.
MEASURED = {"microseconds"}


class Strict(pydantic.BaseModel):
    """A part of the manifest that cannot be changed and knows no other fields than its own."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Feature(Strict):
    """One input column; its position in the list is its position in a row."""

    name: Text
    dtype: DataType = "float64"
    unit: Text | None = None
    allow_nan: bool = False


class Tensor(Strict):
    """One input or output of the model: its shape with the batch first, and names for the positions of its last axis.

    A model of rows has one input of shape [-1, n] with n features; a sequence has [-1, time, n].
    """

    name: Text
    dtype: TensorType
    shape: tuple[int, ...] = pydantic.Field(min_length=1, max_length=MAX_RANK)
    features: tuple[Feature, ...] = pydantic.Field(default=(), max_length=MAX_FEATURES)

    @pydantic.model_validator(mode="after")
    def fits_together(self) -> Self:
        """Refuse a shape without a batch, and features that are not as many as the last axis is long."""
        if self.shape[0] != ANY or any(size != ANY and size < 1 for size in self.shape):
            raise ValueError(
                f"{self.name}.shape: expected {ANY} for the batch and then sizes from 1 or {ANY}, got {list(self.shape)}"
            )
        if self.features and (len(self.shape) < 2 or self.shape[-1] != len(self.features)):
            raise ValueError(
                f"{self.name}.features: {len(self.features)} features do not fit the shape {list(self.shape)}"
            )
        check_names(f"{self.name}.features", [feature.name for feature in self.features])
        return self


class File(Strict):
    """One file of the package, by its path inside the folder, with the size in bytes and the digest of its content."""

    path: Text
    role: Literal["artifact", "form", "project"]
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


class Scaler(Strict):
    """What is done to an input before the model sees it: (value - offset) / scale, for each position of its last axis."""

    input: Text
    offset: tuple[Number, ...] = pydantic.Field(min_length=1, max_length=MAX_FEATURES)
    scale: tuple[Number, ...] = pydantic.Field(min_length=1, max_length=MAX_FEATURES)

    @pydantic.model_validator(mode="after")
    def fits_together(self) -> Self:
        """Refuse lists of different lengths, and a scale of nothing, which would make infinities."""
        if len(self.offset) != len(self.scale):
            raise ValueError(f"scaler: {len(self.offset)} offsets do not fit {len(self.scale)} scales")
        if 0 in self.scale:
            raise ValueError(f"scaler.scale.{self.scale.index(0)}: expected a number other than 0")
        return self


class Form(Strict):
    """One way to compute the model: from which file, how far from the original, and how long a call took.

    A form that may not be used has the reason instead of a file.
    """

    name: FormName
    path: Text | None = None
    # The largest difference of any output from the original's over the sample: absolute, and relative beyond 1.
    difference: NotNegative | None = None
    refused: Text | None = None
    # The median of a call on one thread, by its number of rows, on the machine that made the package.
    microseconds: dict[int, NotNegative] = {}

    @pydantic.model_validator(mode="after")
    def fits_together(self) -> Self:
        """Refuse a form with neither a file nor a reason, or with both."""
        if (self.path is None) == (self.refused is None):
            raise ValueError(f"forms.{self.name}: expected either a path or the reason why it is refused")
        return self


class Step(Strict):
    """Calls of up to this many rows are computed by this form; the last step has no limit."""

    rows: int | None = pydantic.Field(default=None, ge=1)
    form: FormName


class Manifest(Strict):
    """Everything a server and an operator need to know of a model version besides the artifact itself."""

    schema_: Literal["serin.dev/package/v1"] = pydantic.Field(default="serin.dev/package/v1", alias="schema")
    model: ModelName
    version: Version
    family: Family
    task: Task
    inputs: tuple[Tensor, ...] = pydantic.Field(min_length=1, max_length=MAX_TENSORS)
    outputs: tuple[Tensor, ...] = pydantic.Field(min_length=1, max_length=MAX_TENSORS)
    # The label of each class, in the order of the first output's last axis.
    classes: tuple[Text, ...] = pydantic.Field(default=(), max_length=MAX_CLASSES)
    # The quantile that each position of the first output's last axis stands for, ascending.
    quantiles: tuple[Quantile, ...] = ()
    activation: Activation | None = None
    scaler: Scaler | None = None
    forms: tuple[Form, ...] = pydantic.Field(default=(), max_length=2)
    # Which form computes a call, by its number of rows; without one, the artifact itself does.
    plan: tuple[Step, ...] = pydantic.Field(default=(), max_length=8)
    metrics: dict[Text, float] = {}
    lineage: dict[Text, str] = {}
    files: tuple[File, ...] = pydantic.Field(min_length=1, max_length=MAX_FILES)

    @pydantic.model_validator(mode="after")
    def fits_together(self) -> Self:
        """Refuse doubled names, and classes or quantiles that fit neither the task nor the first output."""
        check_names("inputs", [tensor.name for tensor in self.inputs])
        check_names("outputs", [tensor.name for tensor in self.outputs])
        check_names("classes", list(self.classes))
        check_names("files", [file.path for file in self.files])
        limits = {"binary": (2, 2), "multiclass": (2, MAX_CLASSES)}
        self._check_positions("classes", len(self.classes), *limits.get(self.task, (0, 0)))
        self._check_positions(
            "quantiles", len(self.quantiles), *((1, MAX_CLASSES) if self.task == "quantile" else (0, 0))
        )
        if list(self.quantiles) != sorted(set(self.quantiles)):
            raise ValueError(f"quantiles: expected them ascending, got {list(self.quantiles)}")
        if sum(file.role == "artifact" for file in self.files) != 1:
            raise ValueError("files: exactly one file must have the role artifact")
        if self.activation and self.task not in limits:
            raise ValueError(f"activation: a {self.task} model has none, got {self.activation}")
        self._check_scaler()
        self._check_forms()
        return self

    def _check_scaler(self) -> None:
        """Refuse a scaler for an input that there is not, that is no float, or that has another width."""
        if not self.scaler:
            return
        tensor = next((tensor for tensor in self.inputs if tensor.name == self.scaler.input), None)
        if tensor is None or tensor.dtype not in {"float32", "float64"}:
            raise ValueError(f"scaler.input: expected an input of float32 or float64, got {self.scaler.input!r}")
        if len(tensor.shape) < 2 or tensor.shape[-1] not in {ANY, len(self.scaler.offset)}:
            raise ValueError(f"scaler: {len(self.scaler.offset)} numbers do not fit the shape {list(tensor.shape)}")

    def _check_forms(self) -> None:
        """Refuse forms of files that are not there, files of no form, and a plan that does not end or names no form."""
        check_names("forms", [form.name for form in self.forms])
        usable = {form.name: form.path for form in self.forms if form.path}
        roles = {file.path: file.role for file in self.files}
        if strange := [name for name, path in usable.items() if roles.get(path, "project") == "project"]:
            raise ValueError(f"forms.{strange[0]}.path: expected a file with the role artifact or form")
        if spare := {path for path, role in roles.items() if role == "form"} - set(usable.values()):
            raise ValueError(f"files: {min(spare)} has the role form, but no form is made of it")
        if not self.plan:
            return
        if unknown := [step.form for step in self.plan if step.form not in usable]:
            raise ValueError(f"plan: expected forms of {sorted(usable)}, got {unknown[0]!r}")
        limits = [step.rows for step in self.plan]
        if limits.pop() is not None or None in limits or limits != sorted(set(limits), key=lambda rows: rows or 0):
            raise ValueError("plan: expected rows that ascend, and a last step without them")

    def _check_positions(self, what: str, count: int, least: int, most: int) -> None:
        """Hold the number of classes or quantiles against the task and the first output's last axis."""
        if not least <= count <= most:
            expected = " to ".join(map(str, sorted({least, most})))
            raise ValueError(f"{what}: a {self.task} model has {expected} {what}, got {count}")
        if count and self.outputs[0].shape[-1] not in {ANY, count}:
            raise ValueError(f"{what}: {count} do not fit the first output's shape {list(self.outputs[0].shape)}")

    @property
    def artifact(self) -> File:
        """The one file that holds the trained model."""
        return next(file for file in self.files if file.role == "artifact")

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns of a row, for a model of rows; empty for one that takes other tensors."""
        first = self.inputs[0]
        return first.features if len(self.inputs) == 1 and len(first.shape) == 2 else ()

    @property
    def routes(self) -> tuple[tuple[int | None, str], ...]:
        """The plan by files: a call of up to so many rows is computed from this one."""
        paths = {form.name: form.path for form in self.forms if form.path}
        return tuple((step.rows, paths[step.form]) for step in self.plan) or ((None, self.artifact.path),)

    @property
    def feature_names(self) -> list[str]:
        """The names of the features in the order of a row."""
        return [feature.name for feature in self.features]

    def identity(self) -> str:
        """Give the digest of what the version is, apart from what was measured where it was packaged.

        The same model packaged twice has the same identity, while two measurements are never the same.
        """
        document = self.model_dump(mode="json", by_alias=True, exclude={"plan": True, "forms": {"__all__": MEASURED}})
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> bytes:
        """Write the manifest the same way each time, because its digest is the package's digest."""
        document = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def check_names(what: str, names: list[str]) -> None:
    """Refuse a list in which a name stands more than once."""
    if doubled := [name for name, count in collections.Counter(names).items() if count > 1]:
        raise ValueError(f"{what}: each name stands once, but these stand more often: {', '.join(doubled[:5])}")


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
