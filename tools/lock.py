"""Writes the hash-pinned lock files: what each image and the development environment install.

No lock file carries an index address, so that a mirror or a proxy serves as well as the public index.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
COMPILE = [
    str(Path(sys.executable).parent / "uv"),
    "pip",
    "compile",
    "--quiet",
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
]

# The lock files by name, each with the extras of pyproject.toml that it holds.
LOCKS = {
    "operator": ["operator"],
    "registry": ["registry"],
    "server-xgboost": ["server", "tracing", "xgboost"],
    "server-lightgbm": ["server", "tracing", "lightgbm"],
    "server-onnx": ["server", "tracing", "onnx"],
    "server-torch": ["server", "tracing", "torch"],
    # What exports PyTorch networks: an environment of its own, because it is 15 times as large as the development one.
    "torch": ["package", "torch"],
}
DEVELOPMENT_EXTRAS = [
    "operator",
    "cli",
    "server",
    "xgboost",
    "lightgbm",
    "onnx",
    "package",
    "image",
    "registry",
    "mlflow",
    "local",
    "demo",
    "tracing",
]


def lock(output: str, sources: list[str], *options: str) -> None:
    """Resolve the sources for Python 3.11 and write requirements/<output>.txt; existing pins are kept where they still fit."""
    target = REQUIREMENTS / f"{output}.txt"
    command = [
        *COMPILE,
        "--python-version",
        "3.11",
        *options,
        *sources,
        "-o",
        str(target.relative_to(ROOT)),
        *sys.argv[1:],
    ]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "UV_SYSTEM_CERTS": "1"}, check=True)


def extras(names: list[str]) -> list[str]:
    """Give the options that select extras of pyproject.toml."""
    return [word for name in names for word in ("--extra", name)]


lock("bootstrap", ["requirements/bootstrap.in"])
lock("dev", ["pyproject.toml"], *extras(DEVELOPMENT_EXTRAS), "--group", "dev")
for name, chosen in LOCKS.items():
    lock(name, ["pyproject.toml"], *extras(chosen))
# What the model server is measured against: an environment for each, since they do not fit into one.
for source in sorted(REQUIREMENTS.glob("bench-*.in")):
    lock(source.stem, [str(source.relative_to(ROOT))])
# A tracking server of MLflow for the tests: it asks for other versions than ours.
lock("mlflow", ["requirements/mlflow.in"])
