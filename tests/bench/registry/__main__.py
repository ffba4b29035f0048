"""`make bench-registry`: measures the registry on a real PostgreSQL and a real S3 server, and writes docs/benchmarks.md."""

import argparse
import importlib
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from serin_local import layout
from support import report

NAME = "tests/bench/registry"
TITLE = "The registry"
# Each is a module beside this one, with `measure(quick, scratch)` and what is to be said about it as NOTES.
PARTS = ("listing", "uploads", "stores", "outcomes", "crashes")
HOW = """
`make bench-registry`: everything runs on this one machine: the registry's process, Debian's PostgreSQL with `fsync` and
`synchronous_commit`, versitygw, and whoever asks.
"""


@dataclass
class Part:
    """What one module has measured, and in which words."""

    figures: list[report.Figure] = field(default_factory=list)
    notes: str = ""


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = read(words)
    # By default a process that is told to end leaves the servers that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    kept = layout.default().home / "bench" / "registry.json"
    parts = load(kept)
    for name in options.only:
        print(f"== {name}", flush=True)
        parts[name] = measure(name, quick=options.quick)
        for figure in parts[name].figures:
            print(f"{figure.what}: {figure.measured} (asked: {figure.target}) {figure.verdict}", flush=True)
        # A quick run is no measurement to keep.
        if not options.quick:
            save(kept, parts)
    if not options.quick and not options.no_page:
        write(parts)


def read(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.registry", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small and short: does it all work? The page stays as it is"
    )
    parser.add_argument("--only", type=choose, default=PARTS, help=f"only these, by comma: {', '.join(PARTS)}")
    parser.add_argument("--no-page", action="store_true", help="leave docs/benchmarks.md as it is")
    return parser.parse_args(words)


def choose(text: str) -> tuple[str, ...]:
    """Read names of parts."""
    names = tuple(text.split(","))
    if unknown := set(names) - set(PARTS):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    return names


def measure(name: str, *, quick: bool) -> Part:
    """Have one part measured, in a folder of its own."""
    module = importlib.import_module(f"bench.registry.{name}")
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as scratch:
        return Part(module.measure(quick, Path(scratch)), getattr(module, "NOTES", "").strip())


def load(kept: Path) -> dict[str, Part]:
    """Read what earlier runs have measured, so that one part can be measured anew."""
    if not kept.exists():
        return {}
    found = json.loads(kept.read_text())
    return {
        name: Part([report.Figure(**each) for each in part["figures"]], part["notes"]) for name, part in found.items()
    }


def save(kept: Path, parts: dict[str, Part]) -> None:
    """Keep what was measured."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({name: asdict(part) for name, part in parts.items()}, indent=1))


def write(parts: dict[str, Part]) -> None:
    """Write the section, the parts in their order."""
    there = [parts[name] for name in PARTS if name in parts]
    figures = [figure for part in there for figure in part.figures]
    report.write(NAME, TITLE, figures, "\n\n".join([HOW.strip(), *(part.notes for part in there if part.notes)]))


if __name__ == "__main__":
    main()
