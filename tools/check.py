"""Runs every check that needs no cluster, two at a time, and says of each whether it passed and how long it took.

One place for what a change must pass: `make check`, the pre-commit hook and CI all run this.
"""

import concurrent.futures
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Check:
    """One check: what it is called, and what is run from the repository's root."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """How a check ended."""

    check: Check
    code: int
    output: str
    seconds: float


# The slowest first, so that two workers end together.
CHECKS = (
    Check("tests", ("pytest", "-q", "-n", "2", "--dist", "worksteal", "tests/unit", "tests/contract")),
    Check("types", ("mypy",)),
    Check("generated files", ("python", "tools/generate.py", "--check")),
    Check("chart", ("python", "tools/chart.py", "lint")),
    Check("import rules", ("lint-imports",)),
    Check("lint", ("ruff", "check", ".")),
    Check("format", ("ruff", "format", "--check", ".")),
)


def run(check: Check) -> Outcome:
    """Run a check and keep what it printed."""
    started = time.perf_counter()
    command = [str(BIN / check.command[0]), *check.command[1:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return Outcome(check, done.returncode, done.stdout + done.stderr, time.perf_counter() - started)


def main() -> int:
    """Run all checks; show the output of those that failed, and the tests' closing line."""
    started = time.perf_counter()
    failed = []
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as workers:
        for future in concurrent.futures.as_completed([workers.submit(run, check) for check in CHECKS]):
            outcome = future.result()
            print(
                f"{'ok    ' if outcome.code == 0 else 'FAILED'} {outcome.check.name} ({outcome.seconds:.1f} s)",
                flush=True,
            )
            if outcome.code != 0:
                failed.append(outcome)
            elif outcome.check.name == "tests":
                print(f"       {outcome.output.strip().splitlines()[-1]}")
    for outcome in failed:
        print(f"\n--- {outcome.check.name}: {' '.join(outcome.check.command)}\n{outcome.output}")
    print(f"{len(CHECKS) - len(failed)} of {len(CHECKS)} checks passed in {time.perf_counter() - started:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
