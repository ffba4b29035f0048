"""Runs everything that must pass: the checks and the tests of whole servers beside those on the cluster, which mostly wait.

The cluster's tests are shown as they run, the others once they have ended. Arguments go to both kinds of tests.
"""

import subprocess
import sys
import tempfile
from concurrent import futures
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
PYTEST = str(Path(sys.executable).parent / "pytest")
# The cluster's tests measure times, so they go first where all want the processor.
BESIDE = ("nice", "-n", "10")


def run_beside(arguments: list[str], said: IO[str]) -> int:
    """Run the checks, then the tests of whole servers; give the exit code of the first that failed."""
    for command in ([sys.executable, "tools/check.py"], [PYTEST, *arguments, "tests/system"]):
        done = subprocess.run([*BESIDE, *command], cwd=ROOT, stdout=said, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            return done.returncode
    return 0


def main(arguments: list[str]) -> int:
    """Run all, and give the exit code of what failed, if anything did."""
    with tempfile.TemporaryFile("w+") as said, futures.ThreadPoolExecutor(1) as pool:
        beside = pool.submit(run_beside, arguments, said)
        cluster = subprocess.run([PYTEST, *arguments, "tests/cluster"], cwd=ROOT, check=False).returncode
        others = beside.result()
        said.seek(0)
        print(said.read())
    return cluster or others


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
