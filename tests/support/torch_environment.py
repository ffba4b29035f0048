"""An environment with PyTorch, which is far too large for the one that the tests run in."""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "torch.txt"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "serin"


def ensure() -> Path:
    """Give the interpreter of the environment of the lock file; made once for each content of it (5 GB, a minute)."""
    key = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    target = CACHE / f"torch-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "torch.lock").open("w") as turn, contextlib.closing(turn):
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (target / ".ready").exists():
            uv = str(Path(sys.executable).parent / "uv")
            environment = {**os.environ, "UV_SYSTEM_CERTS": "1"}
            run = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(target)]
            subprocess.run(run, env=environment, check=True)
            sync = [uv, "pip", "sync", "--quiet", "--python", str(target / "bin" / "python"), "--require-hashes"]
            subprocess.run([*sync, str(LOCK)], env=environment, check=True)
            (target / ".ready").touch()
    return target / "bin" / "python"


def make_environment() -> dict[str, str]:
    """Let the environment's interpreter import this tree."""
    paths = [ROOT / "operator", ROOT / "services", ROOT / "tests"]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
