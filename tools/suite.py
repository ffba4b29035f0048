"""Runs the tests of whole servers beside those on the cluster, which mostly wait: together they take as long as the latter.

The cluster's tests are shown as they run, the others once they have ended. Arguments go to both.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = str(Path(sys.executable).parent / "pytest")
# The cluster's tests measure times, so they go first where both want the processor.
NICENESS = 10


def main(arguments: list[str]) -> int:
    """Run both, and give the exit code of the one that failed, if one did."""
    with tempfile.TemporaryFile("w+") as said:
        command = ["nice", "-n", str(NICENESS), PYTEST, *arguments, "tests/system"]
        beside = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        try:
            cluster = subprocess.run([PYTEST, *arguments, "tests/cluster"], cwd=ROOT, check=False).returncode
            system = beside.wait()
        finally:
            beside.kill()
        said.seek(0)
        print(said.read())
    return cluster or system


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
