"""Environments of their own for what does not fit into the one that the tests run in: one for each content of a lock file."""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "serin"


def ensure(name: str) -> Path:
    """Give the interpreter of the environment that requirements/<name>.txt pins; installed once for each content of it."""
    lock = ROOT / "requirements" / f"{name}.txt"
    target = CACHE / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as turn, contextlib.closing(turn):
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (target / ".ready").exists():
            uv = str(Path(sys.executable).parent / "uv")
            environment = {**os.environ, "UV_SYSTEM_CERTS": "1"}
            run = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(target)]
            subprocess.run(run, env=environment, check=True)
            sync = [uv, "pip", "sync", "--quiet", "--python", str(target / "bin" / "python"), "--require-hashes"]
            subprocess.run([*sync, str(lock)], env=environment, check=True)
            (target / ".ready").touch()
    return target / "bin" / "python"
