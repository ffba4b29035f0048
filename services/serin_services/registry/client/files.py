"""The files of a version: sent and fetched as streams, and held against their digests both ways."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import requests

from serin_services.registry import errors
from serin_services.registry.client import results, transfers
from serin_services.registry.client.connection import Connection
from serin_services.registry.client.versions import version_path
from serin_services.registry.core import digests

OCTETS = "application/octet-stream"


class Files(Connection):
    """The part of the client for artifacts."""

    def artifacts(self, model: str, version: str) -> list[results.Artifact]:
        """Give the files of a version, by name."""
        return self.get(results.ArtifactList, version_path(model, version, "artifacts")).items

    def upload(
        self,
        model: str,
        version: str,
        name: str,
        source: Path | IO[bytes],
        *,
        media_type: str = OCTETS,
        progress: transfers.Progress = transfers.ignore,
    ) -> results.Artifact:
        """Send a file of a version; sent again, it is the same one.

        Args:
            model: the model's name or id.
            version: the version's number.
            name: what it is called there.
            source: the file, or its path; one that is open must be seekable, and is read from its beginning.
            media_type: what it is.
            progress: is told how many bytes of how many are sent.
        """
        with source.open("rb") if isinstance(source, Path) else contextlib.nullcontext(source) as file:
            sha256, size = transfers.measure(file)
            headers = {digests.FIELD: digests.write(sha256), "Content-Type": media_type}
            answer = self.transport.ask(
                "PUT",
                artifact_path(model, version, name),
                content=transfers.Outgoing(file, size, progress),
                headers=headers,
            )
        return results.Artifact.model_validate(answer.json())

    def read(self, model: str, version: str, name: str) -> Iterator[bytes]:
        """Give the content of a file of a version; what was given must not be used before it has ended without an error.

        Raises:
            errors.UnavailableError: the connection broke, or the content's digest is not the artifact's.
        """
        sha256 = self._find_artifact(model, version, name).sha256
        return transfers.verified(self._stream(model, version, name), sha256, name)

    def download(
        self, model: str, version: str, name: str, target: Path, progress: transfers.Progress = transfers.ignore
    ) -> None:
        """Fetch a file of a version; it has its name when it is there and has the right digest, and never before."""
        artifact = self._find_artifact(model, version, name)
        for attempt in range(1, self.attempts + 1):
            chunks = transfers.verified(self._stream(model, version, name), artifact.sha256, name)
            try:
                transfers.keep(chunks, target, lambda done: progress(done, artifact.size))
            except errors.UnavailableError:
                if attempt == self.attempts:
                    raise
            else:
                return

    def _find_artifact(self, model: str, version: str, name: str) -> results.Artifact:
        found = next((one for one in self.artifacts(model, version) if one.name == name), None)
        if found is None:
            raise errors.NotFoundError(f"version {version} of {model} has no artifact {name!r}")
        return found

    def _stream(self, model: str, version: str, name: str) -> Iterator[bytes]:
        headers = {"Accept-Encoding": "identity"}
        answer = self.transport.ask("GET", artifact_path(model, version, name), headers=headers, stream=True)
        with answer:
            try:
                yield from answer.iter_content(transfers.CHUNK)
            except requests.RequestException as error:
                raise self.transport.explain(error) from error


def artifact_path(model: str, version: str, name: str) -> str:
    """Give the path of a file of a version."""
    return version_path(model, version, "artifacts", *name.split("/"))
