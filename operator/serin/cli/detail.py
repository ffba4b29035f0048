"""One object in detail: the way it goes, who has which traffic, what was measured, and what is wrong. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from serin.api import names, v1alpha1
from serin.cli import views
from serin.cli.views import Object
from serin.core.model import Plan, Pods
from serin.render import plans, readings, routes

WAY = ("Pending", "Staging", "Canary", "Baking", "Production")
# A condition that says so is shown; all others are as they should be.
TROUBLE = {
    "Ready": "False",
    "Stalled": "True",
    "TrafficVerified": "False",
    "AnalysisAvailable": "False",
    "RouteConflict": "True",
}
_BAR = 20
_EVENTS = 6
# How `core.evidence.follows_weight` tells the observed share; a test holds the two together.
_SHARE = re.compile(r"of (?P<total>\S+) answers \((?P<share>\d+(?:\.\d+)?)%\) came from the candidate")
_MARKS = {"Pass": "✔", "Fail": "✘", "Insufficient": "…", "Unavailable": "?"}


@dataclass(frozen=True)
class Detail:
    """An object with what belongs to it; `missing` says what could not be read and why."""

    owner: Object
    deployments: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    route: Object | None = None
    events: tuple[Object, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def status(self) -> Object:
        """The object's status."""
        return views.status_of(self.owner)

    @property
    def phase(self) -> str:
        """The phase, looked at through a pause."""
        phase = str(self.status.get("phase") or "Pending")
        return str(self.status.get("resume") or phase) if phase == "Paused" else phase


def make_detail(detail: Detail, now: datetime) -> Group:
    """Make the whole view."""
    plan = read_plan(detail.owner)
    parts: list[RenderableType] = [
        _make_title(detail, now),
        make_way(detail, plan),
        Text(str(detail.status.get("message") or "the operator has not written a status yet"), "italic"),
        make_versions(detail, now),
    ]
    if plan and detail.status.get("candidate"):
        parts.append(make_steps(detail, plan, now))
    parts.extend(_make_blocks(detail, now))
    return Group(*parts)


def read_plan(owner: Object) -> Plan | None:
    """Read the object's steps; None where its spec is of a version that this one does not know."""
    try:
        return plans.make_plan(v1alpha1.Spec.model_validate(owner["spec"]))
    except ValueError:
        return None


def _make_title(detail: Detail, now: datetime) -> Text:
    metadata, spec = detail.owner["metadata"], detail.owner["spec"]
    facts = [f"namespace {metadata['namespace']}", f"wants version {spec.get('version')}"]
    if detail.status.get("endpoint"):
        facts.append(f"at {detail.status['endpoint']}")
    facts.append(f"age {views.describe_age(metadata.get('creationTimestamp'), now)}")
    return Text.assemble((metadata["name"], "bold"), "  ", (" · ".join(facts), "dim"))


def make_way(detail: Detail, plan: Plan | None) -> Text:
    """Draw the phases as a way, with the one that it is in marked; phases beside the way follow it."""
    text = Text()
    here = detail.phase
    way = [phase for phase in WAY if phase != "Staging" or plan is None or plan.staging]
    passed = way.index(here) if here in way else -1
    for index, phase in enumerate(way):
        if index:
            text.append(" ─ ", "dim")
        if phase == here:
            text.append(f"● {phase}", f"bold {views.style_phase(phase).style}")
        else:
            text.append(f"{'✔' if index < passed else '○'} {phase}", "green" if index < passed else "dim")
    stated = str(detail.status.get("phase") or "Pending")
    if stated not in WAY:
        text.append("   ")
        text.append(f"● {stated}", f"bold {views.style_phase(stated).style}")
    return text


# Versions and their traffic.


def make_versions(detail: Detail, now: datetime) -> RenderableType:
    """Draw the versions that run, each with its traffic, its pods and what is wrong with them."""
    tree = Tree("versions", guide_style="dim")
    for role in ("stable", "candidate", "leaving"):
        revision = detail.status.get(role)
        if revision:
            _add_version(tree, detail, role, revision)
    for kept in detail.status.get("retained") or []:
        node = tree.add(_make_retained(kept, now))
        _add_problems(node, detail, kept["revision"]["revision"])
    return tree if tree.children else Text("no version runs yet", "yellow")


def _make_retained(kept: Object, now: datetime) -> Text:
    until = views.parse_time(kept.get("until"))
    left = f" for {views.describe_duration(until - now)} more" if until and until > now else ""
    revision = kept["revision"]
    return Text(f"failed     {revision['version']}  kept for inspection{left}, revision {revision['revision']}", "dim")


def _add_version(tree: Tree, detail: Detail, role: str, revision: Object) -> None:
    pods = read_pods(detail, revision["revision"])
    style = "green" if pods.ready >= pods.wanted else "red"
    line = Text.assemble(
        (f"{role:<10} ", "cyan" if role == "candidate" else ""),
        (f"{revision['version']}  ", "bold"),
        (f"{pods.ready}/{pods.wanted} pods ready", style),
        (f"  revision {revision['revision']}, slot {revision['slot']}", "dim"),
    )
    node = tree.add(line)
    if role != "leaving" or detail.route:
        _add_traffic(node, detail, role, revision)
    _add_problems(node, detail, revision["revision"])


def _add_traffic(node: Tree, detail: Detail, role: str, revision: Object) -> None:
    weight = int(detail.status.get("weight") or 0)
    intended = {"stable": 100 - weight, "candidate": weight}.get(role, 0)
    if role == "stable" and not detail.status.get("candidate"):
        intended = 100
    routed = read_routed(detail, revision)
    seen = seen_share(detail.owner)
    node.add(Text.assemble("intended ", make_bar(intended)))
    if routed is not None and routed != intended:
        node.add(Text.assemble("route    ", make_bar(routed), ("  differs from what is intended", "yellow")))
    if seen is not None and role != "leaving":
        node.add(Text.assemble("observed ", make_bar(seen if role == "candidate" else 100 - seen)))
    if role == "candidate" and detail.phase == "Staging":
        node.add(Text("is shown mirrored traffic; nobody gets its answers", "dim"))


def make_bar(percent: float) -> Text:
    """Draw a share of the traffic."""
    filled = round(max(0.0, min(100.0, percent)) / 100 * _BAR)
    return Text.assemble(("█" * filled, "cyan"), ("░" * (_BAR - filled), "dim"), f" {percent:g} %")


def seen_share(owner: Object) -> float | None:
    """Read the candidate's share of the answers, in percent, from the condition that tells it; None without answers."""
    found = _SHARE.search(str(views.condition_of(owner, "TrafficVerified").get("message") or ""))
    return float(found["share"]) if found and found["total"] != "0" else None


def read_routed(detail: Detail, revision: Object) -> int | None:
    """Read the weight that the route gives a version's slot, in percent."""
    if detail.route is None:
        return None
    weights = routes.read_weights(detail.route, detail.owner["metadata"]["name"])
    total = sum(weights.values())
    own = next((weight for slot, weight in weights.items() if slot.value == revision["slot"]), None)
    return None if own is None or not total else round(100 * own / total)


def read_pods(detail: Detail, revision: str) -> Pods:
    """Read how many pods of a revision are ready, and what is wrong with the others."""
    deployment = next((found for found in detail.deployments if readings.revision_of(found) == revision), None)
    return readings.read_pods(deployment, _pods_of(detail, revision), ())


def _pods_of(detail: Detail, revision: str) -> list[Object]:
    return [pod for pod in detail.pods if readings.revision_of(pod) == revision]


def find_problems(detail: Detail, revision: str) -> Iterator[tuple[str, str, str]]:
    """Name each pod of a revision that does not serve, with the reason and the message."""
    found = 0
    for pod in _pods_of(detail, revision):
        problem = readings.read_pods(None, [pod], ())
        if problem.problem:
            found += 1
            yield pod["metadata"]["name"], problem.problem, problem.message
    whole = read_pods(detail, revision)
    if whole.problem and not found:
        yield names.revision_object(detail.owner["metadata"]["name"], revision), whole.problem, whole.message


def _add_problems(node: Tree, detail: Detail, revision: str) -> None:
    for name, reason, message in find_problems(detail, revision):
        node.add(Text.assemble((f"✘ {name} ", "red"), (f"{reason}: ", "bold red"), message))


# Steps.


def make_steps(detail: Detail, plan: Plan, now: datetime) -> RenderableType:
    """List staging, the steps and the bake; mark where it is and how long that still lasts at least."""
    tree = Tree("steps", guide_style="dim")
    weight = int(detail.status.get("weight") or 0)
    rows: list[tuple[str, bool, bool, timedelta]] = []
    if plan.staging:
        label = f"staging, {plan.mirror_percent} % mirrored"
        rows.append((label, detail.phase == "Staging", detail.phase in WAY[2:], plan.staging))
    for step in plan.steps:
        last = step.weight == plan.steps[-1].weight
        here = step.weight == weight and detail.phase in ("Canary", "Baking")
        label = f"{step.weight} %, then bake" if last else f"{step.weight} %"
        rows.append((label, here, step.weight < weight, plan.bake if last else step.duration))
    for label, here, done, duration in rows:
        tree.add(_make_step(detail, label, here=here, done=done, duration=duration, now=now))
    return tree


def _make_step(detail: Detail, label: str, *, here: bool, done: bool, duration: timedelta, now: datetime) -> Text:
    lasts = f" for {views.describe_duration(duration)}" if duration else ""
    if here:
        return Text.assemble((f"▶ {label}{lasts}", "bold cyan"), "  ", describe_time_left(detail, duration, now))
    return Text(f"{'✔' if done else '·'} {label}{lasts}", "green" if done else "dim")


def describe_time_left(detail: Detail, duration: timedelta, now: datetime) -> str:
    """Say how long a step still lasts at least; its time counts from when the route was seen to carry it."""
    since = views.parse_time(detail.status.get("since"))
    if since is None:
        return "its time has not begun: the route does not carry it yet"
    if detail.status.get("phase") == "Paused":
        now = views.parse_time(detail.status.get("pausedAt")) or now
    left = since + duration - now
    text = f"{views.describe_duration(left)} left" if left > timedelta() else "its time is up; it waits for the verdict"
    return f"{text}, paused" if detail.status.get("phase") == "Paused" else text


# Measurements, failure, conditions, events.


def _make_blocks(detail: Detail, now: datetime) -> Iterator[RenderableType]:
    assessments = detail.status.get("assessments") or []
    if assessments:
        yield _make_block("criteria", [_make_assessment(found) for found in assessments])
    failure = detail.status.get("failure")
    if failure:
        yield _make_block("failure", list(_make_failure(failure, now)))
    conditions = list(_make_conditions(detail))
    if conditions:
        yield _make_block("not as it should be", conditions)
    if detail.events:
        yield _make_events(detail.events[-_EVENTS:], now)
    for text in detail.missing:
        yield Text(f"not shown: {text}", "yellow")


def _make_block(title: str, lines: Iterable[Text]) -> Tree:
    tree = Tree(title, guide_style="dim")
    for line in lines:
        tree.add(line)
    return tree


def _make_assessment(found: Object) -> Text:
    verdict = str(found.get("verdict", ""))
    style = str(views.style_verdict(verdict).style)
    mark = _MARKS.get(verdict, " ")
    return Text.assemble((f"{mark} {found.get('name')} {verdict}  ", style), str(found.get("message", "")))


def _make_failure(failure: Object, now: datetime) -> Iterator[Text]:
    age = views.describe_age(failure.get("at"), now)
    yield Text.assemble(
        (f"✘ version {failure.get('version')} {failure.get('reason')}: ", "bold red"),
        f"{failure.get('message')}",
        (f"  {age} ago", "dim"),
    )
    if failure.get("alert"):
        yield Text.assemble("alert ", (str(failure["alert"]), "bold"))
    for name, number in (failure.get("numbers") or {}).items():
        yield Text.assemble((f"{name} ", "bold"), str(number))


def _make_conditions(detail: Detail) -> Iterator[Text]:
    """Name the conditions that are not as they should be, but for what the message above has said already."""
    for kind, wrong in TROUBLE.items():
        found = views.condition_of(detail.owner, kind)
        if found.get("status") == wrong and found.get("message") != detail.status.get("message"):
            head = f"✘ {kind} is {wrong}, {found.get('reason')}: "
            yield Text.assemble((head, "red"), str(found.get("message", "")))


def _make_events(events: Iterable[Object], now: datetime) -> RenderableType:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for event in events:
        times = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
        age = views.describe_age(next((time for time in times if time), None), now)
        reason = Text(str(event.get("reason", "")), "yellow" if event.get("type") == "Warning" else "green")
        table.add_row(f"{age} ago", reason, str(event.get("message") or event.get("note") or ""))
    return Group(Text("events"), table)
