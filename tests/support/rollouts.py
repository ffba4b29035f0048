"""Revisions, states and observations of one rollout, each as healthy as can be until a test says otherwise."""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from serin.core.evidence import Verdict
from serin.core.model import (
    Alert,
    Analysis,
    Failure,
    Observation,
    Plan,
    Pods,
    Reason,
    Request,
    Revision,
    Route,
    Slot,
    State,
    Step,
)
from serin.core.phases import Phase

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A time, counted from the tests' start."""
    return START + timedelta(seconds=seconds)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def image(version: str, digest: str = "") -> str:
    return f"registry.example/momentum:{version}@sha256:{digest or version.replace('.', '') * 16}"


def revision(version: str, slot: Slot) -> Revision:
    return Revision(f"r{version.replace('.', '')}", version, image(version), slot)


V1 = revision("1.0.0", Slot.A)
V2 = revision("1.1.0", Slot.B)
V3 = revision("1.2.0", Slot.B)

PLAN = Plan(
    steps=(Step(10, seconds(60)), Step(25, seconds(30)), Step(50, seconds(30)), Step(100)),
    staging=seconds(20),
    bake=seconds(40),
    progress_deadline=seconds(600),
    failed_retention=seconds(3600),
)
READY = Pods(wanted=1, ready=1, endpoints=1)
GONE = Pods(wanted=1, ready=0, endpoints=0)


def state(phase: Phase, **changes: Any) -> State:
    """V2 after V1 in a phase that began at second 100 of a rollout that began at 0."""
    weights = {Phase.CANARY: 10, Phase.BAKING: 100}
    usual: dict[str, Any] = {
        "stable": V1,
        "candidate": V2,
        "weight": weights.get(phase, 0),
        "started": at(0),
        "entered": at(100),
        "since": at(100),
    }
    if phase is Phase.PAUSED:
        usual |= {"resume": Phase.CANARY, "paused_at": at(110), "weight": 10}
    if phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
        usual["failure"] = failure()
    if phase in (Phase.PRODUCTION, Phase.ROLLED_BACK, Phase.SUPERSEDED, Phase.STOPPED):
        usual["candidate"] = None
    if phase in (Phase.SUPERSEDED, Phase.STOPPED):
        usual["leaving"] = V2
    return State(phase, **(usual | changes))


def first(**changes: Any) -> State:
    """The first version, which has nothing to return to."""
    return state(Phase.PENDING, **({"stable": None, "candidate": V1} | changes))


def failure(reason: Reason = Reason.ALERT, when: datetime = START + timedelta(seconds=90), **changes: Any) -> Failure:
    usual = Failure(V2.revision, V2.version, reason, "alert TooManyErrors is firing", when, "TooManyErrors")
    return dataclasses.replace(usual, **changes)


def route(of: State, **changes: Any) -> Route:
    """The route as it should be for a state, accepted by its gateway."""
    mirror = of.candidate.slot if of.mirrors and of.candidate else None
    return Route(**({"weights": of.weights(), "mirror": mirror, "accepted": True} | changes))


def analysis(of: State, verdict: Verdict = Verdict.PASS, **changes: Any) -> Analysis:
    """Measurements of the state's step that leave nothing to wish for."""
    usual: dict[str, Any] = {
        "verdict": verdict,
        "message": "12 of 1000 requests failed",
        "sampled": True,
        "since": of.since,
        "share": of.weight / 100,
        "verified": True,
        "traffic_message": "the answers follow the weight",
        "drained": True,
        "drain_message": "the withdrawn version answers nothing any more",
    }
    return Analysis(**(usual | changes))


def pods(**changes: Pods) -> Mapping[str, Pods]:
    """All revisions ready, but for those given by version, like v2=GONE."""
    named = {"v1": V1, "v2": V2, "v3": V3}
    return {found.revision: changes.get(name, READY) for name, found in named.items()}


def observe(of: State, **changes: Any) -> Observation:
    """A healthy world around a state; the spec names the candidate, or else the stable version."""
    wanted = of.candidate or of.stable
    usual: dict[str, Any] = {
        "target": wanted.target if wanted else V1.target,
        "plan": PLAN,
        "pods": pods(),
        "route": route(of),
        "analysis": analysis(of),
    }
    return Observation(**(usual | changes))


def alert(name: str = "TooManyErrors", about: str = V2.revision, since: float = 105) -> Alert:
    return Alert(name, about, "13 of 100 requests failed", at(since))


def request(verb: str, identity: str = "id-1") -> Request:
    return Request(identity, verb)
