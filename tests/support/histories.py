"""Histories of a ModelDeployment: what the operator's own decisions make of a list of actions, status by status."""

from collections.abc import Sequence
from typing import Any

from serin.core import conditions, decision, recovery
from serin.core.evidence import Verdict
from serin.core.model import Alert, Plan, Pods, Request, Slot, State, Target
from serin.render import statuses
from support.rollouts import GONE, PLAN, READY, V1, V2, V3, analysis, at, observe, pods, revision, seconds

V4 = revision("1.3.0", Slot.A)
# The first version with other pod settings.
V1_AGAIN = Target("r100-again", V1.version, V1.image)
TARGETS = {"v1": V1.target, "v2": V2.target, "v3": V3.target, "v4": V4.target, "v1 again": V1_AGAIN}


def wrap(status: dict[str, Any], uid: str = "u-1", version: str = "1", **metadata: Any) -> dict[str, Any]:
    """A ModelDeployment with a status, as the API server gives it."""
    usual = {"uid": uid, "namespace": "trading", "name": "momentum", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": usual | metadata, "spec": {"model": "momentum", "version": version}, "status": status}


class World:
    """A ModelDeployment whose operator looks on demand; every status that it writes is kept."""

    def __init__(self) -> None:
        self.now, self.target, self.plan = at(0), TARGETS["v1"], PLAN
        self.state: State = recovery.begin_anew(self.target, None, self.now)
        self.status: dict[str, Any] = {}
        self.alerts: tuple[Alert, ...] = ()
        self.request: Request | None = None
        self.verdict, self.pods = Verdict.PASS, READY
        self.requests = 0
        self.written: list[dict[str, Any]] = []
        self.wanted: list[str] = []
        self.look()

    def look(self) -> None:
        """Time passes, so that no two statuses have the same time."""
        self.now += seconds(1)
        plan: Plan = self.plan
        names = [found.revision for found in (self.state.stable, self.state.candidate, self.state.leaving) if found]
        all_pods: dict[str, Pods] = {**pods(), **dict.fromkeys(names, READY)}
        if self.state.candidate:
            is_new = self.now - (self.state.started or self.now) < seconds(5)
            all_pods[self.state.candidate.revision] = GONE if is_new else self.pods
        seen = observe(
            self.state,
            target=self.target,
            plan=plan,
            pods=all_pods,
            analysis=analysis(self.state, self.verdict),
            alerts=self.alerts,
            request=self.request,
        )
        made = decision.decide(self.state, seen, self.now)
        self.state = made.state
        found = statuses.make_status(made, seen, conditions.make_conditions(made, seen), self.status, 1, self.now)
        self.status = {
            name: value for name, value in found.model_dump(by_alias=True, mode="json").items() if value is not None
        }
        self.written.append(self.status)
        self.wanted.append(self.target.version)

    def do(self, action: str) -> None:
        """Carry out one action by its name, and let the operator look."""
        verb, _, about = action.partition(" ")
        match verb:
            case "apply":
                self.target = TARGETS[about]
            case "ask":
                self.requests += 1
                self.request = Request(f"id-{self.requests}", about)
            case "wait":
                self.now += seconds(float(about))
            case "alert":
                current = self.state.candidate.revision if self.state.candidate else ""
                self.alerts = (Alert("TooManyErrors", current, "13 of 100", self.now),) if about == "fires" else ()
            case "verdict":
                self.verdict = Verdict(about)
            case "pods":
                self.pods = {"gone": GONE, "back": READY}[about]
        self.look()

    def go_on(self, looks: int) -> None:
        """Each time the route is seen in place, and then the step's time is up."""
        for _ in range(looks):
            self.look()
            self.do("wait 61")


def play(*actions: str) -> list[dict[str, Any]]:
    """Give the objects of a history; `… *n` means n healthy looks with time between."""
    world = World()
    for action in actions:
        world.go_on(int(action[1:])) if action.startswith("*") else world.do(action)
    return [wrap(status, version=version) for status, version in zip(world.written, world.wanted, strict=True)]


def number(objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the objects the resource versions that the API server would."""
    return [
        {**found, "metadata": {**found["metadata"], "resourceVersion": str(version)}}
        for version, found in enumerate(objects, start=1)
    ]


def thin(objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what shows nothing but that time has passed."""
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for found in objects:
        status = found["status"]
        key = (status["phase"], status["step"], found["spec"]["version"], (status.get("stable") or {}).get("version"))
        kept[key] = found
    return list(kept.values())
