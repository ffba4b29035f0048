"""`serin promote`, `pause`, `resume`, `rollback`, `retry` and `stop`: a person's request, and the operator's answer.

A request is an annotation with a fresh id. The operator writes the id into the status when it has carried the request
out or refused it, so a request happens once, and the command that made it knows which answer is its own.
"""

import sys
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import typer

from serin.api import names
from serin.cli import cluster, options, session, views
from serin.cli.errors import CliError, UnreachableError
from serin.core.model import Verb

_PERIOD_SECONDS = 0.2

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the operator's answer.")]
Timeout = Annotated[str, typer.Option("--timeout", help="How long to wait for it, like 60s or 2m.")]


@dataclass(frozen=True)
class Asked:
    """A request that was written and awaits its answer."""

    namespace: str
    name: str
    verb: Verb
    id: str

    @property
    def annotation(self) -> str:
        """What stands in the annotation."""
        return f"{self.verb}:{self.id}"


@dataclass(frozen=True)
class Answer:
    """What became of a request; `accepted` is None when it was never looked at."""

    accepted: bool | None
    message: str


def read_answer(owner: views.Object, asked: Asked) -> Answer | None:
    """Read what became of a request from the object, or None while it is still to come."""
    handled = views.status_of(owner).get("request") or {}
    if handled.get("id") == asked.id:
        return Answer(bool(handled.get("accepted")), str(handled.get("message", "")))
    standing = (owner["metadata"].get("annotations") or {}).get(names.REQUEST_ANNOTATION)
    if standing != asked.annotation:
        return Answer(None, f"another request ({standing or 'none'}) took its place before the operator saw it")
    return None


def ask(api: cluster.Cluster, namespace: str, name: str, verb: Verb) -> Asked:
    """Write a request with a fresh id."""
    asked = Asked(namespace, name, verb, uuid.uuid4().hex[:12])
    api.annotate(namespace, name, {names.REQUEST_ANNOTATION: asked.annotation})
    return asked


def await_answer(api: cluster.Cluster, asked: Asked, timeout: timedelta) -> Answer:
    """Wait for the operator's answer; an outage of the cluster is waited out.

    Raises:
        CliError: no answer came in time.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    while True:
        try:
            answer = read_answer(api.get(asked.namespace, asked.name), asked)
        except UnreachableError:
            if time.monotonic() >= deadline:
                raise
            answer = None
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise CliError(
                f"the operator has not answered {asked.verb} of {asked.namespace}/{asked.name} within "
                f"{views.describe_duration(timeout)}; the request stands and is carried out when it does",
                "does it run? kubectl get pods -A -l app.kubernetes.io/name=serin",
            )
        time.sleep(_PERIOD_SECONDS)


def promote(
    name: options.Name,
    namespace: options.Namespace = None,
    wait: Wait = True,
    timeout: Timeout = "60s",
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Give the version under test all traffic now, whatever steps are left; while baking, end the bake.

    \b
    Examples:
      serin promote momentum
      serin promote momentum -n trading --no-wait
    """  # noqa: D301 - \b keeps the lines of the examples apart
    _request(session.connect(kubeconfig, context), namespace, name, Verb.PROMOTE, wait, timeout)


def pause(
    name: options.Name,
    namespace: options.Namespace = None,
    wait: Wait = True,
    timeout: Timeout = "60s",
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Hold a rollout where it is; alerts still roll it back.

    \b
    Examples:
      serin pause momentum
    """  # noqa: D301
    _request(session.connect(kubeconfig, context), namespace, name, Verb.PAUSE, wait, timeout)


def resume(
    name: options.Name,
    namespace: options.Namespace = None,
    wait: Wait = True,
    timeout: Timeout = "60s",
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Go on after a pause or a stop; the time of the pause does not count towards the step.

    \b
    Examples:
      serin resume momentum
    """  # noqa: D301
    _request(session.connect(kubeconfig, context), namespace, name, Verb.RESUME, wait, timeout)


def rollback(
    name: options.Name,
    namespace: options.Namespace = None,
    wait: Wait = True,
    timeout: Timeout = "60s",
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Give all traffic back to the stable version now.

    \b
    Examples:
      serin rollback momentum
      serin rollback momentum && serin wait momentum --for rolled-back
    """  # noqa: D301
    _request(session.connect(kubeconfig, context), namespace, name, Verb.ROLLBACK, wait, timeout)


def retry(
    name: options.Name,
    namespace: options.Namespace = None,
    wait: Wait = True,
    timeout: Timeout = "60s",
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Start a version again that was rolled back.

    \b
    Examples:
      serin retry momentum
    """  # noqa: D301
    _request(session.connect(kubeconfig, context), namespace, name, Verb.RETRY, wait, timeout)


def stop(  # noqa: PLR0913, PLR0917 - one parameter for each option
    name: Annotated[str | None, typer.Argument(help="The ModelDeployment's name.", show_default=False)] = None,
    namespace: options.Namespace = None,
    every: Annotated[bool, typer.Option("--all", help="Stop every one of the namespace.")] = False,
    everywhere: Annotated[bool, typer.Option("-A", "--all-namespaces", help="With --all: of all namespaces.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="With --all: do not ask.")] = False,
    wait: Wait = True,
    timeout: Timeout = "60s",
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Emergency: give all traffic to the stable version and let nothing roll out until `serin resume`.

    \b
    Examples:
      serin stop momentum
      serin stop --all -n trading
      serin stop --all -A --yes
    """  # noqa: D301
    if (name is None) is not every or (everywhere and not every):
        raise typer.BadParameter("give one name, or --all (with -A for all namespaces)", param_hint="NAME")
    api = session.connect(kubeconfig, context)
    if name is not None:
        _request(api, namespace, name, Verb.STOP, wait, timeout)
    else:
        _stop_all(
            api,
            None if everywhere else namespace or api.namespace,
            yes,
            options.read_timeout(timeout) if wait else None,
        )


def _request(api: cluster.Cluster, namespace: str | None, name: str, verb: Verb, wait: bool, timeout: str) -> None:
    limit = options.read_timeout(timeout)
    where = namespace or api.namespace
    api.get(where, name)
    asked = ask(api, where, name, verb)
    if not wait:
        typer.echo(f"{where}/{name}: {verb} is asked for (id {asked.id})")
        return
    answer = await_answer(api, asked, limit)
    if not answer.accepted:
        problem = f"{where}/{name}: {answer.message}"
        raise CliError(problem, f"`serin status {name} -n {where}` shows where it stands")
    typer.echo(f"{where}/{name}: {answer.message}")


def _stop_all(api: cluster.Cluster, scope: str | None, yes: bool, timeout: timedelta | None) -> None:
    owners = [owner for owner in api.find_all(scope) if views.status_of(owner).get("phase") != "Stopped"]
    where = f"namespace {scope}" if scope else "all namespaces"
    if not owners:
        typer.echo(f"there is nothing to stop in {where}", err=True)
        return
    if not yes:
        _confirm(owners, where)
    # All are asked before any answer is awaited: in an emergency the last one must not wait for the first.
    results = [_try_ask(api, owner["metadata"]["namespace"], owner["metadata"]["name"]) for owner in owners]
    failed = 0
    for result in results:
        answer = _conclude(api, result, timeout) if isinstance(result, Asked) else result
        failed += not answer.accepted
        typer.echo(answer.message, err=not answer.accepted)
    if failed:
        raise CliError(f"{failed} of {len(owners)} could not be stopped", "`serin get -A` shows where they stand")


def _try_ask(api: cluster.Cluster, namespace: str, name: str) -> Asked | Answer:
    try:
        return ask(api, namespace, name, Verb.STOP)
    except CliError as error:
        return Answer(None, f"{namespace}/{name}: {error.problem}")


def _conclude(api: cluster.Cluster, asked: Asked, timeout: timedelta | None) -> Answer:
    label = f"{asked.namespace}/{asked.name}"
    if timeout is None:
        return Answer(True, f"{label}: {asked.verb} is asked for (id {asked.id})")
    try:
        answer = await_answer(api, asked, timeout)
    except CliError as error:
        return Answer(None, f"{label}: {error.problem}")
    return Answer(answer.accepted, f"{label}: {answer.message}")


def _confirm(owners: Iterable[cluster.Object], where: str) -> None:
    listed = ", ".join(f"{owner['metadata']['namespace']}/{owner['metadata']['name']}" for owner in owners)
    if not sys.stdin.isatty():
        raise CliError(f"stopping every rollout of {where} ({listed}) needs a confirmation", "say it with --yes", 2)
    typer.confirm(f"Stop every rollout of {where} ({listed})?", abort=True, err=True)
