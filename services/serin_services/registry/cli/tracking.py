"""`serin registry mlflow`: models and runs taken over from an MLflow server, and shown there."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from serin_services.registry.cli import screens, session

if TYPE_CHECKING:
    from serin_services.registry.client import Client
    from serin_services.registry.mlflow.reports import Report

mlflow = typer.Typer(
    help="Import from an MLflow server, or mirror to it; its address and password are MLflow's own variables.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Names = Annotated[list[str] | None, typer.Argument(help="Registered models; default: all.", show_default=False)]


class _Work(Protocol):
    """An import or a mirror."""

    def __call__(
        self, registry: "Client", names: Sequence[str] = (), *, progress: Callable[[str], None]
    ) -> Iterator["Report"]:
        """Do it model by model."""


@mlflow.command("import")
def import_models(names: Names = None) -> None:
    """Take registered models over: versions, runs, metrics, files and aliases. It may be run again.

    \b
    Examples:
      MLFLOW_TRACKING_URI=http://mlflow:5000 serin registry mlflow import
      MLFLOW_TRACKING_URI=http://mlflow:5000 serin registry mlflow import momentum
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from serin_services.registry.mlflow import tracking  # noqa: PLC0415 - MLflow's libraries load when it is called

    _run("importing", tracking.import_models, names)


@mlflow.command("mirror")
def mirror_models(names: Names = None) -> None:
    """Show the registry's models and their stages in MLflow. It may be run again.

    \b
    Examples:
      MLFLOW_TRACKING_URI=http://mlflow:5000 serin registry mlflow mirror momentum
    """  # noqa: D301 - as above
    from serin_services.registry.mlflow import tracking  # noqa: PLC0415 - as above

    _run("mirroring", tracking.mirror_models, names)


def _run(what: str, work: _Work, names: list[str] | None) -> None:
    """Go through the models, say what became of each, and what was not taken as it is."""
    with screens.status(what) as tell, session.connect() as registry:
        for report in work(registry, names or [], progress=tell):
            typer.echo(report.describe())
            for note in report.notes:
                session.tell(f"  {note}")
