"""An environment with PyTorch, which is far too large for the one that the tests run in."""

import os
from pathlib import Path

from support import environments


def ensure() -> Path:
    """Give the interpreter of the environment (5 GB, a minute)."""
    return environments.ensure("torch")


def make_environment() -> dict[str, str]:
    """Let the environment's interpreter import this tree, and keep what it compiles: PyTorch is thousands of modules."""
    paths = [environments.ROOT / "operator", environments.ROOT / "services", environments.ROOT / "tests"]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": ""}
