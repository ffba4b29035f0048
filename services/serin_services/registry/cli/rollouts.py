"""`serin registry deploy` and `deployments`, and `promote`, `pause`, `rollback`, `stop` and the other requests."""

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serin_services.registry.cli import options, screens, session
from serin_services.registry.cli.options import Format

if TYPE_CHECKING:
    from serin_services.registry.client import results

Deployment = Annotated[str, typer.Argument(help="The deployment: namespace/name, or its id.", show_default=False)]
Seconds = Annotated[float, typer.Option("--timeout", help="Seconds to wait for the operator's answer.", min=0)]


def deploy(
    model: options.Model,
    version: options.Version,
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="Where.", show_default=False)],
    name: Annotated[str, typer.Option("--name", help="The ModelDeployment's name; default: the model's.")] = "",
    spec: Annotated[
        Path | None,
        typer.Option("--spec", help="Fields of the ModelDeployment's spec, in YAML or JSON.", dir_okay=False),
    ] = None,
    output: options.Output = Format.TABLE,
) -> None:
    """Have a version rolled out: its ModelDeployment is made, or the one that is there is changed.

    \b
    Examples:
      serin registry deploy momentum 1.2.0 -n trading
      serin registry deploy momentum 1.2.0 -n trading --spec canary.yaml
    """  # noqa: D301 - \b keeps the lines of the examples apart
    fields = _read_spec(spec) if spec else {}
    with session.connect() as registry:
        placed = registry.deploy(model, version, namespace, name, fields)
    what = "is made" if placed.created else "is changed"
    text = f"{placed.namespace}/{placed.name} {what}: {model} {version}; follow it with serin registry history {model}"
    screens.show(placed, output, lambda: text)


def _read_spec(path: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - only where there is a file

    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--spec") from error
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{path}: expected fields of a ModelDeployment's spec", param_hint="--spec")
    return found


def deployments(
    model: Annotated[str | None, typer.Argument(help="The model; default: all.", show_default=False)] = None,
    namespace: Annotated[str | None, typer.Option("-n", "--namespace", help="Only there.")] = None,
    limit: options.Limit = 50,
    output: options.Output = Format.TABLE,
) -> None:
    """List what runs in the cluster, as the registry last saw it.

    \b
    Examples:
      serin registry deployments
      serin registry deployments momentum -o json
    """  # noqa: D301 - as above
    with session.connect() as registry:
        found = list(itertools.islice(registry.deployments(model=model, namespace=namespace), limit))
    columns = ("DEPLOYMENT", "CLUSTER", "MODEL", "WANTS", "PHASE", "STEP", "WEIGHT", "VERDICT", "SEEN", "MESSAGE")
    lines = (
        (
            f"{d.namespace}/{d.name}",
            d.cluster,
            d.model,
            d.version,
            d.phase,
            d.step,
            d.weight,
            d.verdict,
            d.observed_at,
            d.message,
        )
        for d in found
    )
    screens.show(found, output, lambda: screens.make_table(columns, lines, "no deployments that you may see"))


def promote(deployment: Deployment, timeout: Seconds = 60, output: options.Output = Format.TABLE) -> None:
    """Give the version under test all traffic now, whatever steps are left.

    \b
    Examples:
      serin registry promote trading/momentum
    """  # noqa: D301 - as above
    _request(deployment, "promote", timeout, output)


def pause(deployment: Deployment, timeout: Seconds = 60, output: options.Output = Format.TABLE) -> None:
    """Hold a rollout where it is; alerts still roll it back.

    \b
    Examples:
      serin registry pause trading/momentum
    """  # noqa: D301 - as above
    _request(deployment, "pause", timeout, output)


def resume(deployment: Deployment, timeout: Seconds = 60, output: options.Output = Format.TABLE) -> None:
    """Let a rollout go on that was paused or stopped.

    \b
    Examples:
      serin registry resume trading/momentum
    """  # noqa: D301 - as above
    _request(deployment, "resume", timeout, output)


def rollback(deployment: Deployment, timeout: Seconds = 60, output: options.Output = Format.TABLE) -> None:
    """Give all traffic back to the stable version now.

    \b
    Examples:
      serin registry rollback trading/momentum
    """  # noqa: D301 - as above
    _request(deployment, "rollback", timeout, output)


def retry(deployment: Deployment, timeout: Seconds = 60, output: options.Output = Format.TABLE) -> None:
    """Start a version again that was rolled back.

    \b
    Examples:
      serin registry retry trading/momentum
    """  # noqa: D301 - as above
    _request(deployment, "retry", timeout, output)


def stop(
    deployment: Annotated[str | None, typer.Argument(help="The deployment; default: all of your tenant.")] = None,
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="All of this namespace.")] = "",
    all_: Annotated[bool, typer.Option("--all", help="All of your tenant, everywhere.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    timeout: Seconds = 60,
    output: options.Output = Format.TABLE,
) -> None:
    """Emergency: all traffic to what is stable, and nothing rolls out until `resume`. One, a namespace's, or all.

    \b
    Examples:
      serin registry stop trading/momentum
      serin registry stop -n trading --yes
      serin registry stop --all --yes
    """  # noqa: D301 - as above
    if sum([deployment is not None, bool(namespace), all_]) != 1:
        raise typer.BadParameter("expected one of DEPLOYMENT, --namespace and --all")
    if deployment is not None:
        _request(deployment, "stop", timeout, output)
        return
    where = f"namespace {namespace}" if namespace else "your whole tenant"
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter(f"stopping every rollout of {where} needs a confirmation", param_hint="--yes")
    if not yes:
        typer.confirm(f"Stop every rollout of {where}?", abort=True, err=True)
    with session.connect() as registry:
        stopped = registry.stop(namespace)
    lines = ((f"{one.namespace}/{one.name}", one.problem or "asked to stop") for one in stopped)
    screens.show(stopped, output, lambda: screens.make_table(("DEPLOYMENT", ""), lines, f"nothing runs in {where}"))
    if any(one.request is None for one in stopped):
        raise typer.Exit(1)


def _request(deployment: str, verb: str, timeout: float, output: Format) -> None:
    """Ask, wait for the operator's answer, and print it; a refused or unanswered one ends with 1."""
    with session.connect() as registry:
        found = registry.deployment(deployment)
        answer = registry.request(str(found.id), verb, timeout)
    report(f"{found.namespace}/{found.name}", verb, answer, output)


def report(where: str, verb: str, answer: "results.Answer", output: Format) -> None:
    """Print the operator's answer; one that is refused or still to come ends with 1."""
    if not answer.settled:
        session.fail(
            f"{where}: the operator has not answered {verb} in time; it stands, and is carried out when it does"
        )
    text = f"{where}: {answer.message}"
    screens.show(answer, output, lambda: text)
    if not answer.accepted:
        raise typer.Exit(1)
