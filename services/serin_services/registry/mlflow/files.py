"""Files that MLflow keeps, wherever it keeps them."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from serin_services.registry import errors
from serin_services.registry.mlflow.faults import ADVICE, redact, telling

MODEL_FILE = "MLmodel"


class Files:
    """The files below one address.

    Raises:
        errors.InvalidError: the address is a folder of this machine and the server is another; else a server could have
            any file of this machine brought into the registry.
    """

    def __init__(self, address: str, *, is_remote: bool) -> None:
        self._repository: Any = get_artifact_repository(address)
        inner = self._repository
        while hasattr(inner, "repo"):
            inner = inner.repo
        if is_remote and isinstance(inner, LocalArtifactRepository):
            raise errors.InvalidError(
                f"{redact(address)} names a folder of this machine, and the server is another: expected artifacts that "
                "the server or an object store serves (`mlflow server --artifacts-destination`)"
            )

    def sizes(self, *, beside_models: bool = False) -> dict[str, int]:
        """Give each file's path and size in bytes; of a run, those beside its models alone where that is asked for."""
        with telling("the files cannot be listed"):
            return dict(self._walk(None, beside_models=beside_models))

    def _walk(self, folder: str | None, *, beside_models: bool) -> Iterator[tuple[str, int]]:
        found = self._repository.list_artifacts(folder)
        if beside_models and any(PurePosixPath(each.path).name == MODEL_FILE for each in found):
            return
        for each in found:
            if each.is_dir:
                yield from self._walk(each.path, beside_models=beside_models)
            else:
                yield each.path, int(each.file_size or 0)

    def fetch(self, path: str, folder: Path) -> Path:
        """Bring one file into a folder, in pieces.

        Raises:
            errors.InvalidError: the path leads out of the folder.
            errors.UnavailableError: it does not come whole.
        """
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise errors.InvalidError(f"MLflow names a file {path!r}: expected a path inside the model's folder")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with telling(f"{path} cannot be fetched"):
                return Path(self._repository.download_artifacts(path, dst_path=str(folder)))
        except errors.NotFoundError as error:
            # It was in the list: MLflow's client says so of a connection that breaks, too.
            raise errors.UnavailableError(f"{error.message}; {ADVICE[errors.UnavailableError]}") from None
