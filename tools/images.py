"""Builds the operator's image in buildah's store: `python tools/images.py operator [TAG]` prints its name.

The models' images are built by `serin build`.
"""

import sys
import tempfile
import tomllib
from pathlib import Path

from serin_services.package import errors, images

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("Dockerfile", "requirements/bootstrap.txt", "requirements/operator.txt", "operator/serin")


def build_operator_image(tag: str, engine: str = "auto") -> images.Image:
    """Build the operator's image of this source tree; for an unchanged tree the engine's cache gives the same image."""
    builder = images.find_engine(engine)
    images.ensure_base(builder)
    with tempfile.TemporaryDirectory(prefix="serin-operator-") as scratch:
        images.stage(ROOT, SOURCES, Path(scratch))
        builder.build(Path(scratch), ["--target", "operator", "-t", tag, *images.environment_arguments(builder)])
    return images.Image(tag, builder.digest(tag), images.BASE)


def version() -> str:
    """Read the distribution's version."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def main(words: list[str]) -> int:
    """Build what is asked for and say its name."""
    if not 1 <= len(words) <= 2 or words[0] != "operator":
        sys.stderr.write("usage: python tools/images.py operator [TAG]\n")
        return 2
    try:
        image = build_operator_image(words[1] if len(words) == 2 else f"serin-operator:{version()}")
    except errors.PackageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{image.name} {image.digest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
