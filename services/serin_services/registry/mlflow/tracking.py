"""Import from MLflow and mirror to it, model by model; either may be broken off and run again."""

from collections.abc import Callable, Iterator, Sequence

from serin_services.registry import errors
from serin_services.registry.client import Client
from serin_services.registry.mlflow import imports, mirrors
from serin_services.registry.mlflow.reports import Report
from serin_services.registry.mlflow.server import Server

__all__ = ["Report", "import_models", "mirror_models"]


def import_models(
    registry: Client, names: Sequence[str] = (), *, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Report]:
    """Bring registered models of MLflow into the registry: those named, or all.

    Raises:
        errors.NotFoundError: MLflow has no model of that name.
        errors.RegistryError: MLflow or the registry does not answer, or refuses.
    """
    server = Server()
    for name in names or server.names():
        registered = server.model(name)
        if registered is None:
            raise errors.NotFoundError(
                f"MLflow has no registered model {name!r}; it has {', '.join(server.names()) or 'none'}"
            )
        yield imports.import_model(registry, server, registered, progress)


def mirror_models(
    registry: Client, names: Sequence[str] = (), *, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Report]:
    """Show models of the registry in MLflow: those named, or all that the caller sees.

    Raises:
        errors.RegistryError: MLflow or the registry does not answer, or refuses.
    """
    server = Server()
    for model in map(registry.model, names) if names else registry.models():
        yield mirrors.mirror_model(registry, server, model, progress)
