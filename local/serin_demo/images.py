"""The demo's images: each version as a package and an image, one of them with a faulty layer."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from serin_demo import fault, models, story
from serin_services.image import builds, engines
from serin_services.package import folder, make, measuring

# The layer starts the server by way of the fault; everything else is what `serin build` made.
_FAULTY_DOCKERFILE = """\
FROM {image}
COPY fault.py /opt/demo/fault.py
ENTRYPOINT ["/opt/venv/bin/python", "/opt/demo/fault.py"]
"""


def make_package(
    data: models.Data, model: models.Model, scratch: Path, effort: measuring.Effort = measuring.FULL
) -> folder.Package:
    """Save the model in its library's own format and make a package of it."""
    saved = scratch / f"{model.version}.ubj"
    model.booster.save_model(saved)
    recipe = make.Recipe(
        source=saved,
        model=story.NAME,
        version=model.version,
        labels=tuple(data.classes),
        metrics={"accuracy": model.accuracy},
        lineage={"data": "scikit-learn breast cancer, 569 rows"},
    )
    return make.make(recipe, scratch / f"package-{model.version}", effort=effort)


def build_version(package: folder.Package, engine: engines.Engine, progress: builds.Progress) -> str:
    """Build the image of a version and give its name.

    The tag changes with everything that makes a difference, so a node that pulls an image only once never has an old one.
    """
    version = package.manifest.version
    runtime = builds.ensure_runtime(engine, package.manifest.family, progress).rpartition(":")[2]
    name = f"{story.NAME}:{version}-{package.manifest.identity()[:8]}-{runtime[:8]}"
    if not engine.exists(_full_name(name, engine)):
        builds.build(package, name, engine.program, progress)
    return _add_fault(name, engine) if version in story.BAD_VERSIONS else name


def _add_fault(image: str, engine: engines.Engine) -> str:
    name = f"{image}-{hashlib.sha256(Path(fault.__file__).read_bytes()).hexdigest()[:8]}"
    with tempfile.TemporaryDirectory(prefix="serin-demo-") as scratch:
        context = Path(scratch)
        shutil.copyfile(fault.__file__, context / "fault.py")
        (context / "fault.py").chmod(0o644)
        (context / builds.DOCKERFILE).write_text(_FAULTY_DOCKERFILE.format(image=_full_name(image, engine)))
        engine.build(context, ["-t", name])
    return name


def _full_name(image: str, engine: engines.Engine) -> str:
    """Name an image so that a build finds it in the engine's own store and asks no registry."""
    return f"localhost/{image}" if engine.program == "buildah" else image
