"""Writes every generated file of the repository, or, with --check, says which ones differ from what would be written.

A generated file is a row of FILES: its path and the function that makes its text. Add a row to add a file.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import chart
import dashboards
from serin.core import phases
from serin_local import errors

ROOT = Path(__file__).resolve().parent.parent
CRD = chart.CHART / "files" / "crd.yaml"
INSTALL = ROOT / "manifests" / "install.yaml"
README = ROOT / "README.md"
DIAGRAM = ("<!-- rollout diagram -->", "<!-- end -->")

Make = Callable[[], str]


def make_readme() -> str:
    """Make the README with the picture of a rollout as the operator's transition table has it now."""
    text = README.read_text()
    begin, found, rest = text.partition(DIAGRAM[0])
    _, ended, end = rest.partition(DIAGRAM[1])
    if not (found and ended):
        raise ValueError(f"{README} has no {DIAGRAM[0]} … {DIAGRAM[1]} to write the diagram between")
    return f"{begin}{DIAGRAM[0]}\n```mermaid\n{phases.make_diagram().strip()}\n```\n{DIAGRAM[1]}{end}"


# In this order, because install.yaml is rendered from a chart that holds the files above it.
FILES: tuple[tuple[Path, Make], ...] = (
    (CRD, chart.make_crd_file),
    *((chart.CHART / "dashboards" / name, make) for name, make in dashboards.FILES.items()),
    (INSTALL, chart.make_install_file),
    (README, make_readme),
)


def write_all(files: Iterable[tuple[Path, Make]]) -> list[Path]:
    """Write the files that differ and return their paths."""
    changed = []
    for path, make in files:
        text = make()
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            changed.append(path)
    return changed


def find_outdated(files: Iterable[tuple[Path, Make]]) -> list[Path]:
    """Return the paths of the files that are missing or differ from what their functions make."""
    return [path for path, make in files if not path.exists() or path.read_text() != make()]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python tools/generate.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of date")
    options = parser.parse_args(arguments)
    try:
        paths = find_outdated(FILES) if options.check else write_all(FILES)
    except subprocess.CalledProcessError as error:
        print(f"generate: {error.cmd[0]} failed:\n{error.stderr}", file=sys.stderr)
        return 1
    except errors.ClusterError as error:
        print(f"generate: {error}", file=sys.stderr)
        return 1
    for path in paths:
        print(f"{'out of date' if options.check else 'written'}: {path.relative_to(ROOT)}")
    if options.check and paths:
        print("These files are generated, and their sources have changed: run `make generate` and commit the result.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
