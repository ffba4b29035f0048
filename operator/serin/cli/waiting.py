"""`serin wait`: until a rollout has come where a pipeline wants it, or cannot come there any more."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import typer

from serin.cli import clock, cluster, options, session, views
from serin.cli.errors import CliError, UnreachableError
from serin.core.model import Reason
from serin.core.phases import Phase

_PERIOD_SECONDS = 0.5
# A line at least this often, so that a pipeline's log shows that somebody is still waiting.
_SILENCE_SECONDS = 30.0
_BACKWARD = (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
_PHASES = {phase.value.lower(): phase for phase in Phase}


@dataclass(frozen=True)
class Goal:
    """What is waited for: a word, and the phase where the word is `phase`."""

    word: str
    phase: Phase | None = None

    def __str__(self) -> str:
        return f"phase={self.phase}" if self.phase else self.word


@dataclass(frozen=True)
class Outcome:
    """How a wait ends."""

    reached: bool
    message: str


def read_goal(text: str) -> Goal:
    """Read what `--for` names.

    Raises:
        typer.BadParameter: it is nothing that can be waited for.
    """
    word, _, value = text.partition("=")
    if word in ("promoted", "rolled-back", "ready") and not value:
        return Goal(word)
    if word == "phase" and value.lower() in _PHASES:
        return Goal("phase", _PHASES[value.lower()])
    known = ", ".join(phase.value for phase in Phase)
    raise typer.BadParameter(
        f"{text!r} cannot be waited for; expected promoted, rolled-back, ready or phase=X with X one of {known}",
        param_hint="--for",
    )


def judge(owner: views.Object, goal: Goal, version: str) -> Outcome | None:
    """Tell how the wait ends, or None while it goes on; `version` is what the spec named when it began.

    What the operator has written about an older spec proves nothing about this one, so it is not looked at.
    """
    status = views.status_of(owner)
    if goal.word == "promoted" and owner["spec"].get("version") != version:
        return Outcome(False, f"version {version} was superseded: the spec names {owner['spec'].get('version')} now")
    if status.get("observedGeneration", 0) < owner["metadata"].get("generation", 0):
        return None
    if _is_reached(owner, goal):
        return Outcome(True, _describe_arrival(owner, goal))
    reason = _find_dead_end(owner, goal)
    return Outcome(False, reason) if reason else None


def _is_reached(owner: views.Object, goal: Goal) -> bool:
    phase = views.status_of(owner).get("phase")
    if goal.phase:
        return phase == goal.phase
    if goal.word == "rolled-back":
        return phase == Phase.ROLLED_BACK
    kind = {"promoted": "Promoted", "ready": "Ready"}[goal.word]
    return views.condition_of(owner, kind).get("status") == "True"


def _describe_arrival(owner: views.Object, goal: Goal) -> str:
    if goal.word == "rolled-back":
        return describe_failure(owner)
    if goal.phase:
        return str(views.status_of(owner).get("message") or f"phase {goal.phase}")
    return str(views.condition_of(owner, {"promoted": "Promoted", "ready": "Ready"}[goal.word]).get("message", ""))


def _find_dead_end(owner: views.Object, goal: Goal) -> str:
    """Say why the goal will not be reached without somebody's doing; nothing while it may be."""
    status = views.status_of(owner)
    phase, stalled = status.get("phase"), views.condition_of(owner, "Stalled")
    if goal.word == "rolled-back":
        done = phase == Phase.PRODUCTION and views.condition_of(owner, "Promoted").get("status") == "True"
        return f"nothing was rolled back: {status.get('message', '')}" if done else ""
    if goal.word == "ready" or goal.phase in (*_BACKWARD, Phase.STOPPED, Phase.SUPERSEDED):
        return ""
    if phase in _BACKWARD:
        return f"rolled back: {describe_failure(owner)}"
    if stalled.get("status") == "True" and stalled.get("reason") != Reason.WAITING_FOR_STABLE:
        return f"it cannot go on, {stalled.get('reason')}: {stalled.get('message')}"
    return ""


def describe_failure(owner: views.Object) -> str:
    """Say why a version lost its traffic, with the alert and the numbers."""
    status = views.status_of(owner)
    failure = status.get("failure") or {}
    if not failure:
        return str(status.get("message", ""))
    text = f"version {failure.get('version')}, {failure.get('reason')}: {failure.get('message')}"
    alert = f"; alert {failure['alert']}" if failure.get("alert") else ""
    numbers = "".join(f"; {name}: {number}" for name, number in (failure.get("numbers") or {}).items())
    return text + alert + numbers


class Progress:
    """Decides when a line of progress is due."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._at = 0.0

    def line(self, owner: views.Object, now: datetime, seconds: float) -> str | None:
        """Give the line, if something changed or nothing was said for long; `seconds` is a clock that only goes on."""
        key = views.progress_key(owner)
        if key == self._key and seconds - self._at < _SILENCE_SECONDS:
            return None
        self._key, self._at = key, seconds
        return views.progress_line(owner, now)


def wait(
    name: options.Name,
    goal: Annotated[str, typer.Option("--for", help="promoted, rolled-back, ready or phase=X.")] = "promoted",
    namespace: options.Namespace = None,
    timeout: Annotated[str, typer.Option("--timeout", help="How long at most, like 10m or 72h.")] = "10m",
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Wait until a rollout is somewhere; end with 1 on a rollback or when the time is over, so that CI can use it.

    promoted: the spec's version has all traffic. phase=Production: the bake is over too. ready: some version serves at
    full capacity.

    \b
    Examples:
      serin wait momentum --for promoted --timeout 30m
      serin wait momentum --for phase=Production --timeout 72h
      serin wait momentum -n trading --for rolled-back
    """  # noqa: D301 - \b keeps the lines of the example apart
    wanted, limit = read_goal(goal), options.read_timeout(timeout)
    api = session.connect(kubeconfig, context)
    where = namespace or api.namespace
    outcome = _await(api, where, name, wanted, limit)
    if not outcome.reached:
        raise CliError(
            f"{name}: {outcome.message}", f"`serin status {name} -n {namespace or api.namespace}` shows more"
        )
    typer.echo(f"{name} {wanted}: {outcome.message}")


def _await(api: cluster.Cluster, namespace: str, name: str, goal: Goal, limit: timedelta) -> Outcome:
    owner, progress = api.get(namespace, name), Progress()
    version = str(owner["spec"].get("version"))
    deadline = time.monotonic() + limit.total_seconds()
    while True:
        line = progress.line(owner, clock.now(), time.monotonic())
        if line:
            typer.echo(line, err=True)
        outcome = judge(owner, goal, version)
        if outcome:
            return outcome
        if time.monotonic() >= deadline:
            return Outcome(False, f"not {goal} after {views.describe_duration(limit)}; {describe_state(owner)}")
        time.sleep(_PERIOD_SECONDS)
        try:
            owner = api.get(namespace, name)
        except UnreachableError as error:
            typer.echo(f"{error.problem}; waiting on", err=True)


def describe_state(owner: views.Object) -> str:
    """Say where an object stands, for a wait that ends without a result."""
    status = views.status_of(owner)
    if status.get("observedGeneration", 0) < owner["metadata"].get("generation", 0):
        return "the operator has not seen the newest spec: kubectl get pods -A -l app.kubernetes.io/name=serin"
    return f"it is in phase {status.get('phase')}: {status.get('message', '')}"
