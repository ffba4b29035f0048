"""Runs everything that must pass: the checks and the tests of whole servers beside those on the cluster, which mostly wait.

What the cluster is made of is built first, where its progress is seen, no test's time limit runs, and no test starves beside a
compiler: a quarter of an hour on a machine that has nothing of it. The cluster's tests are shown as they run, the others once
they have ended. Arguments go to both kinds of tests.
"""

import subprocess
import sys
import tempfile
from concurrent import futures
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# The cluster's tests measure times, so they go first where all want the processor.
BESIDE = ("nice", "-n", "10")


def run_in_turn(commands: list[list[str]], said: IO[str] | None = None) -> int:
    """Run commands until one fails, and give its exit code, or 0; what they say goes to the terminal or into a file."""
    for command in commands:
        done = subprocess.run(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT if said else None, check=False)
        if done.returncode:
            return done.returncode
    return 0


def main(arguments: list[str]) -> int:
    """Run all, and give the exit code of what failed, if anything did."""
    tests = [str(BIN / "pytest"), *arguments]
    if code := run_in_turn([[str(BIN / "serin"), "local", "prepare"]]):
        return code
    # The checks, which take all processors, come when the cluster no longer goes down and up.
    two = ["-n", "2", "--dist", "loadfile"]
    others = [[*BESIDE, *tests, *two, "tests/system"], [*BESIDE, sys.executable, "tools/check.py"]]
    with tempfile.TemporaryFile("w+") as said, futures.ThreadPoolExecutor(1) as pool:
        beside = pool.submit(run_in_turn, others, said)
        codes = [run_in_turn([[*tests, "tests/cluster"]]), beside.result()]
        said.seek(0)
        print(said.read())
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
