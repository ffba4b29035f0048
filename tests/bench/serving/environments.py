"""What the benchmark runs with, made once and kept by content: an environment for each lock, the generator, the models."""

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from serin_local import downloads, images, layout, progress, store, versions
from serin_services.image import builds, engines
from serin_services.package import errors

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
APPS, GENERATOR, CONTROL = HERE / "apps", HERE / "load", HERE / "control"
UV_ADVICE = "check the network and the disk; `uv` says above what it could not install; then run it again"
GO_ADVICE = "check that Go is installed (`go version`) and reaches its modules (`go env GOPROXY`); then run it again"
TRAIN_ADVICE = "the end of its output says what is wrong with tests/bench/serving/apps/train.py"


@dataclass(frozen=True)
class Workshop:
    """Makes what is not there yet, below `~/.cache/serin` (or SERIN_HOME); each name carries the hash of its inputs."""

    home: layout.Layout
    said: progress.Progress

    def environment(self, lock: str) -> Path:
        """The environment that requirements/<lock>.txt pins. Raises `ClusterError` when it cannot be installed."""
        requirements = ROOT / "requirements" / f"{lock}.txt"
        uv = [str(Path(sys.executable).parent / "uv")]
        key = store.make_key_of_files([requirements], sys.version)
        variables = {**os.environ, "UV_SYSTEM_CERTS": "1"}

        def make(draft: Path) -> None:
            step = f"environment {lock}"
            with self.said.step(step):
                venv = [*uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(draft / "venv")]
                store.execute(self.home, step, venv, UV_ADVICE, env=variables)
                python = str(draft / "venv" / "bin" / "python")
                sync = [
                    *uv,
                    "pip",
                    "sync",
                    "--compile-bytecode",
                    "--require-hashes",
                    "--python",
                    python,
                    str(requirements),
                ]
                store.execute(self.home, step, sync, UV_ADVICE, env=variables)

        return store.ensure(self.home, f"bench-{lock}", key, make) / "venv"

    def generator(self) -> Path:
        """The load generator, built from its pinned modules. Raises `ClusterError` when go fails."""
        return self._build("build the load generator", GENERATOR) / "bin" / "load"

    def control(self) -> Path:
        """The folder of the control, as an environment has its programs. Raises `ClusterError` when go fails."""
        return self._build("build the control", CONTROL)

    def engine(self) -> engines.Engine:
        """What builds images; where there is none, or none with a base, buildah is installed and its base made.

        Raises:
            serin_local.errors.ClusterError: it cannot be installed, or its base cannot be made.
            errors.PackageError: it is there and does not work.
        """
        with contextlib.suppress(errors.PackageError):
            found = engines.find_engine("auto")
            builds.ensure_base(found)
            return found
        downloads.ensure_tools(self.home, versions.load(), self.said)
        images.base(self.said, self.home)
        return engines.find_engine("buildah")

    def _build(self, step: str, source: Path) -> Path:
        def make(draft: Path) -> None:
            argv = ["go", "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w"]
            argv += ["-o", str(draft / "bin" / source.name), "."]
            with self.said.step(step):
                store.execute(self.home, step, argv, GO_ADVICE, cwd=source, env={**os.environ, "CGO_ENABLED": "0"})

        key = store.make_key_of_files(source.iterdir(), "bin")
        return store.ensure(self.home, f"bench-{source.name}", key, make)

    def artifacts(self) -> Path:
        """The folder of trained models and sample inputs. Raises `ClusterError` when they cannot be made."""
        scripts = [APPS / "train.py", APPS / "network.py", APPS / "perceptron.py"]

        def make(draft: Path) -> None:
            step = "train the models"
            with self.said.step(step):
                store.execute(self.home, step, [sys.executable, str(APPS / "train.py"), str(draft)], TRAIN_ADVICE)

        return store.ensure(self.home, "bench-artifacts", store.make_key_of_files(scripts), make)


def open_workshop() -> Workshop:
    """The workshop of this user."""
    return Workshop(layout.default(), progress.Progress())
