"""What must not be in the tree: a package `operator` would shadow the standard library's module of that name."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "path", ["operator/__init__.py", "tests/operator/__init__.py", "tests/unit/operator/__init__.py"]
)
def test_operator_is_a_plain_folder(path: str) -> None:
    assert not (ROOT / path).exists()


def test_no_folder_of_tests_is_a_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize("folder", [".", "tests", "tests/unit"])
def test_operator_is_the_standard_librarys_wherever_one_stands(folder: str) -> None:
    """A script started there has the folder first in its path."""
    code = "import collections, operator; print(operator.__file__); operator.itemgetter(0)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / folder, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert Path(found).parent == Path(subprocess.__file__).parent


def test_tests_have_names_of_their_own() -> None:
    """With pytest's importlib mode two files of a name may both run, but people look for them by it."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
