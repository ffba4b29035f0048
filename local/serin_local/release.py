"""Serin itself in a cluster: its images, built from this checkout and named by what they are built from, and its chart."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import getpass
import hashlib
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from serin_services.image import engines

from . import errors

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "serin"
RELEASE = "serin"
NAMESPACE = "serin-system"
REGISTRY_SERVICE = f"{RELEASE}-registry"
REGISTRY_SECRET = f"{REGISTRY_SERVICE}-jwt"
# How long the token of the person who installed it is good.
_TOKEN_DAYS = 30


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of Serin that runs in a pod of its own: its image, and what that is built from."""

    image: str
    target: str
    sources: tuple[str, ...]


OPERATOR = Part(
    "serin-operator",
    "operator",
    ("Dockerfile", "requirements/bootstrap.txt", "requirements/operator.txt", "operator/serin"),
)
REGISTRY = Part(
    "serin-registry",
    "registry",
    (
        "Dockerfile",
        "requirements/bootstrap.txt",
        "requirements/registry.txt",
        "operator/serin/__init__.py",
        "operator/serin/api",
        "services/serin_services/__init__.py",
        "services/serin_services/package",
        "services/serin_services/registry",
    ),
)


def is_checkout() -> bool:
    """Whether this runs from a checkout, which has the chart and the Dockerfile that a wheel has not."""
    return (ROOT / "Dockerfile").is_file() and CHART.is_dir()


def make_tag(part: Part) -> str:
    """Name a part's image by the content that it is built from."""
    digest = hashlib.sha256()
    for file in sorted(file for source in part.sources for file in _list_files(ROOT / source)):
        digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _list_files(path: pathlib.Path) -> Iterator[pathlib.Path]:
    if not path.is_dir():
        yield path
        return
    yield from (file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def build(part: Part, engine: engines.Engine, say: Callable[[str], None]) -> str:
    """Build a part's image, unless the one of this source is there, and give its name.

    Raises:
        package.errors.PackageError: the build failed, with its last lines.
    """
    name = f"{part.image}:{make_tag(part)}"
    if engine.exists(f"localhost/{name}" if engine.program == "buildah" else name):
        return name
    say(f"building {name}")
    with tempfile.TemporaryDirectory(prefix=f"{part.image}-") as scratch:
        context = pathlib.Path(scratch)
        _stage(part.sources, context)
        engine.build(context, ["--target", part.target, "-t", name, *engine.environment_arguments()])
    return name


def _stage(sources: Sequence[str], context: pathlib.Path) -> None:
    for source in sources:
        origin, target = ROOT / source, context / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(origin, target)


def make_image_values(image: str) -> dict[str, str]:
    """Give an image's name as the chart's values have it."""
    repository, _, tag = image.rpartition(":")
    return {"repository": repository, "tag": tag}


def make_registry_values(image: str, gateway_namespace: str, gateway: str) -> dict[str, Any]:
    """Make the values of a registry for a trial: SQLite and a folder, both in its pod."""
    return {
        "enabled": True,
        "image": make_image_values(image),
        "gateway": f"{gateway_namespace}/{gateway}",
        # The local cluster has no storage class.
        "persistence": {"enabled": False},
    }


def sign_token(secret: Mapping[str, Any], subject: str = "", tenant: str = "default", role: str = "admin") -> str:
    """Sign a token with the Secret that the chart drew for the registry; by default this machine's user as an administrator."""
    from serin_services.registry import tokens  # noqa: PLC0415 - half of what such a command takes to start

    return tokens.sign(
        base64.b64decode(secret["data"]["secret"]).decode(),
        issuer="serin",
        audience="serin-registry",
        subject=subject or getpass.getuser(),
        tenant=tenant,
        role=role,
        now=dt.datetime.now(dt.UTC),
        days=_TOKEN_DAYS,
    )


@dataclasses.dataclass(frozen=True)
class Helm:
    """Helm on one cluster; without a kubeconfig, on the user's own."""

    program: pathlib.Path
    kubeconfig: pathlib.Path | None

    def install(self, values: Mapping[str, Any]) -> None:
        """Install or upgrade the chart and wait until all of it is ready.

        Raises:
            errors.ClusterError: Helm failed; with the end of what it said.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(dict(values), file)
            file.flush()
            flags = ["--create-namespace", "--values", file.name, "--wait", "--timeout", "90s"]
            self.run(["upgrade", "--install", RELEASE, str(CHART), *flags])

    def uninstall(self) -> None:
        """Remove the release; its CRD stays, as Helm's do.

        Raises:
            errors.ClusterError: Helm failed.
        """
        self.run(["uninstall", RELEASE, "--ignore-not-found", "--wait"])

    def run(self, words: Sequence[str]) -> None:
        """Run one command on the release's namespace.

        Raises:
            errors.ClusterError: it failed; with the end of what it said.
        """
        kubeconfig = ["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []
        argv = [str(self.program), *words, "--namespace", NAMESPACE, *kubeconfig]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-1500:]
            advice = f"look at its pods: `kubectl -n {NAMESPACE} get pods` and `kubectl -n {NAMESPACE} logs deploy/{RELEASE}`"
            raise errors.ClusterError(f"helm {words[0]}", said, advice)
