"""Makes a package of a trained model, and fills in what the model itself knows."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from serin_services.package import errors, families, folder, forms, manifest, measuring, sources, tasks
from serin_services.package.conversion import form as conversion

# BentoML's own file, so that the folder is a project that `bentoml build` takes.
BENTOFILE = """\
service: serin_services.server.bento:ModelServer
name: {model}
labels:
  model: "{model}"
  version: "{version}"
include:
{files}
python:
  packages:
  - serin[server,{family}]
  lock_packages: false
envs:
- name: BENTOML_DO_NOT_TRACK
  value: "1"
"""
FORM_FILE = "form.onnx"
# Of the inputs that a network is measured with.
POOL_BYTES, POOL_ROWS = 64 * 1024 * 1024, 2048


Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a package is made of; what is not given is taken from the model, or found by trying it.

    The source is a file, or `module:function` of a function that makes a PyTorch network.
    """

    source: Path | str
    model: str
    version: str
    features: tuple[manifest.Feature, ...] | None = None
    labels: tuple[str, ...] | None = None
    task: manifest.Task | None = None
    quantiles: tuple[float, ...] = ()
    scaler: dict[str, Any] | None = None
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    lineage: dict[str, str] = dataclasses.field(default_factory=dict)
    allow_nan: bool = False


@dataclasses.dataclass(frozen=True)
class Forms:
    """The forms that a package gets, the plan made of their measurement, and the files that they need."""

    forms: tuple[manifest.Form, ...]
    plan: tuple[manifest.Step, ...]
    contents: dict[str, bytes]


def make(
    recipe: Recipe,
    target: Path,
    *,
    replace: bool = False,
    effort: measuring.Effort = measuring.FULL,
    progress: Progress = lambda _line: None,
) -> folder.Package:
    """Make the folder, read it back with every check, and open the model from it.

    Tells by `progress` what it is at.

    Raises:
        errors.PackageError: the recipe does not fit the model, or the target cannot be written.
    """
    check_target(target, replace=replace)
    for problem in (manifest.name_problem(recipe.model), manifest.version_problem(recipe.version)):
        if problem:
            raise errors.PackageError("InvalidName", problem)
    source = sources.read(recipe.source, progress)
    family = families.recognise(source.artifact, source.where)
    progress(f"opening {source.where} with {family.library}")
    opened = families.open_model(family, source.artifact, source.where)
    progress("making, comparing and measuring its forms")
    document, contents = describe(recipe, source, family, opened, effort)
    progress("checking the package")
    for file in document.files:
        if file.role != "project":
            forms.open_form(document, file.path, contents.__getitem__, source.where)
    folder.write(target, document, contents)
    made = folder.read(target)
    folder.open_package(made)
    return made


def describe(
    recipe: Recipe,
    source: sources.Source,
    family: families.Family,
    opened: families.OpenModel,
    effort: measuring.Effort,
) -> tuple[manifest.Manifest, dict[str, bytes]]:
    """Write the manifest and the files beside it."""
    name = f"model{artifact_suffix(family, source.artifact)}"
    artifact = folder.make_file(name, "artifact", source.artifact)
    inputs = describe_inputs(recipe, opened.inspection)
    purpose = tasks.find(tasks.Wanted(recipe.task, recipe.labels, recipe.quantiles), opened, draw_inputs(inputs, 32))
    made = make_forms(family, opened, artifact, source, inputs, effort)
    contents = {name: source.artifact, **made.contents}
    listed = "\n".join(f"- {path}" for path in sorted([*contents, manifest.FILE_NAME, folder.BENTOFILE]))
    bentofile = BENTOFILE.format(model=recipe.model, version=recipe.version, family=family.name, files=listed).encode()
    files = [artifact, *(folder.make_file(path, "form", content) for path, content in made.contents.items())]
    try:
        document = manifest.Manifest(
            model=recipe.model,
            version=recipe.version,
            family=family.name,
            task=purpose.task,
            inputs=inputs,
            outputs=purpose.outputs,
            classes=purpose.classes,
            quantiles=recipe.quantiles,
            activation=purpose.activation,
            scaler=make_scaler(recipe.scaler, inputs),
            forms=made.forms,
            plan=made.plan,
            metrics=recipe.metrics,
            lineage={**source.lineage, **recipe.lineage},
            files=(*files, folder.make_file(folder.BENTOFILE, "project", bentofile)),
        )
    except pydantic.ValidationError as error:
        raise errors.PackageError("ManifestInvalid", manifest.describe(error)) from error
    families.check_schema(document, opened.inspection)
    return document, {**contents, folder.BENTOFILE: bentofile}


def artifact_suffix(family: families.Family, artifact: bytes) -> str:
    """Give the suffix of the format that the artifact is in: XGBoost's JSON has text behind its first brace."""
    return family.suffixes[-1] if artifact[1:64].lstrip()[:1] == b'"' else family.suffixes[0]


def describe_inputs(recipe: Recipe, found: families.Inspection) -> tuple[manifest.Tensor, ...]:
    """Put the features that the caller names into the model's first input; a network's rows get numbers for names."""
    first, *others = found.inputs
    features = recipe.features or first.features
    width = first.shape[-1]
    is_rows = not others and len(first.shape) == 2 and width != manifest.ANY and first.dtype in {"float32", "float64"}
    if not features and is_rows:
        features = tuple(manifest.Feature(name=f"f{index}") for index in range(width))
    if recipe.allow_nan:
        features = tuple(feature.model_copy(update={"allow_nan": True}) for feature in features)
    if len(features) not in {0, width} and width != manifest.ANY:
        raise errors.PackageError(
            "FeatureSchemaMismatch",
            f"--features: input {first.name!r} has {len(features)} features, but the model takes {width}; "
            "name each of them once, in the model's order",
        )
    shape = (*first.shape[:-1], len(features)) if features else first.shape
    return (first.model_copy(update={"features": features, "shape": shape}), *others)


def make_scaler(given: dict[str, Any] | None, inputs: tuple[manifest.Tensor, ...]) -> manifest.Scaler | None:
    """Make the scaler of the first input, unless it names another."""
    if given is None:
        return None
    return manifest.Scaler.model_validate({"input": inputs[0].name, **given})


def make_forms(
    family: families.Family,
    opened: families.OpenModel,
    artifact: manifest.File,
    source: sources.Source,
    inputs: tuple[manifest.Tensor, ...],
    effort: measuring.Effort,
) -> Forms:
    """Give a tree model its ONNX form, and measure what there is."""
    original = opened.select(())
    if opened.inspection.task is None:
        measured = measuring.measure({family.form: original}, draw_inputs(inputs, POOL_ROWS), effort)
        own = describe_form(family.form, artifact.path, source.difference, measured)
        return Forms((own,), measuring.plan(measured), {})
    allow_nan = [feature.allow_nan for feature in inputs[0].features]
    trial = conversion.make(family, source.artifact, artifact.sha256, opened, allow_nan)
    predictors: dict[manifest.FormName, families.Predictor] = {"native": original}
    if trial.predictor:
        predictors["onnx"] = trial.predictor
    measured = measuring.measure(predictors, (trial.rows,), effort)
    onnx = (
        manifest.Form(name="onnx", difference=trial.difference, refused=trial.refused)
        if trial.refused
        else describe_form("onnx", FORM_FILE, trial.difference, measured)
    )
    return Forms(
        (describe_form("native", artifact.path, 0.0, measured), onnx),
        measuring.plan(measured),
        {FORM_FILE: trial.content} if trial.content else {},
    )


def describe_form(
    name: manifest.FormName, path: str, difference: float | None, measured: dict[str, dict[int, float]]
) -> manifest.Form:
    """Describe a form that may be used."""
    return manifest.Form(name=name, path=path, difference=difference, microseconds=measured[name])


def draw_inputs(inputs: tuple[manifest.Tensor, ...], most: int) -> tuple[np.ndarray[Any, Any], ...]:
    """Make inputs of as many rows as fit into a bounded memory."""
    one = sum(array.nbytes for array in tasks.make_inputs(inputs, 1))
    return tasks.make_inputs(inputs, max(2, min(most, POOL_BYTES // one)))


def check_target(target: Path, *, replace: bool) -> None:
    """Refuse to write over anything but, when asked for, another package."""
    if not target.exists():
        return
    if not replace or not (target / manifest.FILE_NAME).is_file():
        hint = (
            "choose another folder" if replace else "choose another folder, or replace the package there with --force"
        )
        raise errors.PackageError("TargetExists", f"{target}: already exists; {hint}")
