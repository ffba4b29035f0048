"""The tools that build images, buildah and docker, behind one set of verbs."""

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

from serin_services.package import errors

# Where packages come from and whom to trust, handed on from this machine to the build, and to no image.
BUILD_ENVIRONMENT = ("SSL_CERT_FILE", "PIP_CERT", "PIP_INDEX_URL", "UV_INDEX_URL")
CERTIFICATES = Path("/etc/ssl/certs")
PYTHON = "/opt/venv/bin/python"


@dataclasses.dataclass(frozen=True)
class Engine:
    """A tool that builds images, with the forms of its commands that differ."""

    program: str

    def exists(self, image: str) -> bool:
        """Whether the image is in the engine's own store."""
        return self._run("inspect", "--type", "image", image).returncode == 0

    def build(self, context: Path, arguments: list[str], *, cached: bool = True) -> None:
        """Build from a folder; with buildah the same folder gives the same image, byte for byte.

        Raises:
            errors.PackageError: with the last lines that the engine wrote.
        """
        if self.program == "buildah":
            # A build that fails leaves no container either.
            own = ["bud", "--isolation", "chroot", "--pull-never", "--force-rm", f"--layers={str(cached).lower()}"]
            own += ["--identity-label=false", "--timestamp", str(epoch())]
        else:
            own = ["build", "--build-arg", f"SOURCE_DATE_EPOCH={epoch()}"]
        ended = subprocess.run(
            [self.program, *own, *arguments, "."],
            cwd=context,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if ended.returncode:
            last = "\n".join(ended.stdout.splitlines()[-15:])
            raise errors.PackageError(
                "BuildFailed", f"{self.program} ended with {ended.returncode}; its last lines:\n{last}"
            )

    def digest(self, image: str) -> str:
        """The digest by which the engine knows the image."""
        form = "{{.FromImageDigest}}" if self.program == "buildah" else "{{.Id}}"
        return self._say("inspect", "--type", "image", "--format", form, image)

    def run_python(self, image: str, code: str) -> str:
        """Give what a piece of Python prints inside an image.

        Raises:
            errors.PackageError: it ended with an error.
        """
        if self.program != "buildah":
            return self._say("run", "--rm", "--entrypoint", PYTHON, image, "-c", code)
        container = self._say("from", "--pull-never", image)
        try:
            return self._say("run", "--isolation", "chroot", container, "--", PYTHON, "-c", code)
        finally:
            self._run("rm", container)

    def export(self, image: str, target: Path) -> None:
        """Write an image of the engine's store to a folder or file, in the form that `layouts` reads.

        Raises:
            errors.PackageError: there is no such image.
        """
        if self.program == "buildah":
            # Of buildah's targets only `dir:` takes layers as they are, and so keeps the digest.
            self._say("push", "-q", "--disable-compression", image, f"dir:{target}")
        else:
            self._say("save", "-o", str(target), image)

    def environment_arguments(self) -> list[str]:
        """Let a build reach the package index as this machine does."""
        given = [word for name in BUILD_ENVIRONMENT if name in os.environ for word in ("--build-arg", name)]
        trusts = self.program == "buildah" and CERTIFICATES.is_dir()
        return [*given, *(["-v", f"{CERTIFICATES}:{CERTIFICATES}:ro"] if trusts else [])]

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.program, *words], capture_output=True, text=True, check=False)

    def _say(self, *words: str) -> str:
        ended = self._run(*words)
        if ended.returncode:
            said = "\n".join(ended.stderr.splitlines()[-5:])
            raise errors.PackageError(
                "EngineFailed", f"`{self.program} {words[0]}` ended with {ended.returncode}: {said}"
            )
        return ended.stdout.strip()


def find_engine(wanted: str) -> Engine:
    """Take the engine asked for, or the first that works.

    Raises:
        errors.PackageError: there is none.
    """
    if wanted not in {"auto", "buildah", "docker"}:
        raise errors.PackageError("UnknownEngine", f"--engine: expected auto, buildah or docker, got {wanted!r}")
    for program in ("buildah", "docker") if wanted == "auto" else (wanted,):
        probe = "info" if program == "docker" else "version"
        if shutil.which(program) and subprocess.run([program, probe], capture_output=True, check=False).returncode == 0:
            return Engine(program)
    asked = "buildah or docker" if wanted == "auto" else wanted
    raise errors.PackageError(
        "NoEngine",
        f"expected {asked} to be installed and to work, found neither; install buildah, or start docker's service"
        if wanted == "auto"
        else f"expected {asked} to be installed and to work; install it, or use --engine auto",
    )


def epoch() -> int:
    """Give the Unix time, in seconds, that an image says it was made at: SOURCE_DATE_EPOCH, else 0.

    A build that says the real time is another image each time (reproducible-builds.org, SOURCE_DATE_EPOCH).

    Raises:
        errors.PackageError: the environment has something else than a time.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not given.isdecimal():
        raise errors.PackageError(
            "BadEpoch", f"SOURCE_DATE_EPOCH: expected seconds since 1970 in digits, got {given!r}; correct or unset it"
        )
    return int(given)
