"""The demo's registry: each version is registered with its package, deployed through the API, and its fate is read back."""

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from serin_demo import ground, models, story
from serin_local import errors, release
from serin_services.package import folder
from serin_services.registry import client
from serin_services.registry.client import sources

# The registry hears of what happens from the cluster, a moment after it happened.
_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class Move:
    """One move of a version through its lifecycle; `at` in Unix seconds."""

    at: float
    target: str
    by: str
    why: str


@dataclasses.dataclass(frozen=True)
class Fate:
    """What the registry knows of a version: how its number came about, and what became of it."""

    version: str
    change: str
    """MAJOR, MINOR or PATCH against the version before."""
    reasons: Sequence[str]
    stage: str
    moves: Sequence[Move]


class Record:
    """One connection to the registry that Serin's chart brought into the cluster."""

    def __init__(self, registry: client.Client) -> None:
        self._registry = registry
        self._began = time.time()

    def register(self, package: folder.Package, model: models.Model, image: str) -> None:
        """Register a version with its files, unless an earlier demo did.

        Raises:
            errors.ClusterError: it is registered with another image.
            registry.errors.RegistryError: the registry refuses it.
        """
        body = {"image": image, "hyperparameters": dict(model.settings), "target": "malignant or benign"}
        made = self._registry.register_source(sources.read_package(package.path, body))
        if made.image != image:
            problem = f"version {made.version} is registered with {made.image}, and this would be {image}"
            advice = "a registered version does not change: `serin local down --wipe` forgets what an earlier demo made"
            raise errors.ClusterError("register the versions", problem, advice)

    def deploy(self, act: story.Act, spec: Mapping[str, Any]) -> None:
        """Have a version rolled out.

        Raises:
            registry.errors.RegistryError: it is not.
        """
        self._registry.deploy(story.NAME, act.version, story.NAMESPACE, story.NAME, spec)

    def read(self, wanted: Mapping[str, str]) -> list[Fate]:
        """Give the fates of the versions, once their stages are those that are wanted or it has had time enough."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            fates = [self._read(version) for version in wanted]
            if {fate.version: fate.stage for fate in fates} == wanted or time.monotonic() > deadline:
                return fates
            time.sleep(_POLL_SECONDS)

    def _read(self, version: str) -> Fate:
        found = self._registry.version(story.NAME, version)
        transitions = list(self._registry.transitions(story.NAME, version))
        # An earlier demo's are not of this story.
        moves = [Move(one.at.timestamp(), one.target, one.by, one.why) for one in reversed(transitions)]
        recent = [move for move in moves if move.at >= self._began]
        return Fate(version, found.change, found.change_reasons, found.stage, recent)


@contextmanager
def opened(where: ground.Ground) -> Iterator[Record]:
    """Reach the registry of a cluster, as this machine's user.

    Raises:
        errors.ClusterError: it is not there, or cannot be reached.
    """
    secret = where.cluster.get(f"/api/v1/namespaces/{release.NAMESPACE}/secrets/{release.REGISTRY_SECRET}")
    if secret is None:
        problem = f"there is no Secret {release.REGISTRY_SECRET} in {release.NAMESPACE}"
        raise errors.ClusterError("reach the registry", problem, "`helm uninstall` the release and run it again")
    with where.reach_registry() as url, client.Client(url, release.sign_token(secret)) as registry:
        yield Record(registry)
