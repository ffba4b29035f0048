"""One look at one object: gather what is, have the core decide, make it so.

Traffic is taken away before anything else, in one patch of the route that also says why. Traffic is given only after the
status says so: a crash between the two leaves a step whose clock has not started, never one that nobody remembers.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from serin.adapters import alerts, analysis, applier, cluster, events, exporter, watches
from serin.api import names, v1alpha1
from serin.core import conditions, decision, evidence, model, phases, recovery, slots
from serin.core.model import Decision, Observation, Revision, Slot, State
from serin.core.phases import Phase
from serin.render import children, plans, readings, routes, statuses

logger = logging.getLogger(__name__)
Key = watches.Key

OUTCOMES = ("promoted", "rolled_back", "superseded", "stopped")
_TESTED = (Phase.STAGING, Phase.CANARY, Phase.BAKING, Phase.PAUSED)
# Progress messages change with every request; they are written this often at most.
_CHATTER_SECONDS = 5.0
_CONFLICT_SECONDS = 0.1


@dataclass
class Settings:
    """How often to look, in seconds."""

    evaluation_seconds: float = 5.0


@dataclass
class Memory:
    """What is known of an object between two looks; all of it can be rebuilt."""

    uid: str
    state: State | None = None
    status: dict[str, Any] = field(default_factory=dict)
    status_at: float = 0.0
    analysis: model.Analysis = field(default_factory=model.Analysis)
    analysed_at: float = 0.0
    analysed_since: datetime | None = None
    outdated: bool = False


@dataclass
class Look:
    """One object with everything that belongs to it, as last seen."""

    key: Key
    owner: cluster.Object
    spec: v1alpha1.Spec
    deployments: dict[str, cluster.Object]
    records: dict[str, cluster.Object]
    services: list[cluster.Object]
    route: cluster.Object | None


class Reconciler:
    """Reconciles one object at a time; the queue sees to it that no object is reconciled twice at once."""

    def __init__(
        self,
        api: cluster.Cluster,
        store: watches.Store,
        analyst: analysis.Analyst,
        board: alerts.AlertBoard,
        export: exporter.Exporter,
        settings: Settings,
    ) -> None:
        self._api, self._store, self._analyst = api, store, analyst
        self._board, self._export, self._settings = board, export, settings
        self._applier = applier.Applier(api, store, self._count_foreign_write)
        self._memories: dict[Key, Memory] = {}
        self._posting: set[asyncio.Task[None]] = set()

    async def reconcile(self, key: Key) -> float | None:
        """Reconcile an object; give the seconds after which to look again, or None when only a change matters."""
        owner = self._store.get(cluster.MODELDEPLOYMENT, key)
        if owner is None or "deletionTimestamp" in owner["metadata"]:
            self._forget(key)
            return None
        started = time.perf_counter()
        try:
            return await self._reconcile(key, owner)
        except cluster.ConflictError:
            # Somebody wrote the object meanwhile: the decision is forgotten, and the newer object is on its way here.
            self._memories.pop(key, None)
            return _CONFLICT_SECONDS
        except cluster.TerminatingError:
            # The object is about to be deleted with its namespace; the watch tells when it is.
            return None
        except Exception:
            self._export.errors.labels(*key).inc()
            raise
        finally:
            self._export.reconcile_seconds.observe(time.perf_counter() - started)

    async def _reconcile(self, key: Key, owner: cluster.Object) -> float | None:
        now = datetime.now(UTC)
        look = self._look(key, owner)
        memory = self._remember(look)
        state = memory.state or self._restore(look, now)
        observation = await self._observe(look, state, memory, now)
        decided = decision.decide(state, observation, now)
        await self._carry_out(look, memory, state, decided, observation, now)
        if memory.outdated:
            memory.outdated = False
            return 0.0
        return self._next_look(decided)

    def _forget(self, key: Key) -> None:
        if self._memories.pop(key, None):
            self._analyst.forget(key)
            self._export.forget(key)
        self._board.follow(key, interested=False)

    def _count_foreign_write(self, key: Key, kind: str) -> None:
        self._export.foreign_writes.labels(*key, kind).inc()

    # Gathering.

    def _look(self, key: Key, owner: cluster.Object) -> Look:
        owned = self._store.owned
        return Look(
            key,
            owner,
            v1alpha1.Spec.model_validate(owner["spec"]),
            {readings.revision_of(found): found for found in owned(cluster.DEPLOYMENT, key)},
            {readings.revision_of(found): found for found in owned(cluster.RECORD, key)},
            owned(cluster.SERVICE, key),
            self._store.get(cluster.ROUTE, key),
        )

    def _remember(self, look: Look) -> Memory:
        uid = look.owner["metadata"]["uid"]
        memory = self._memories.get(look.key)
        if memory is None or memory.uid != uid:
            memory = self._memories[look.key] = Memory(uid)
            memory.status = look.owner.get("status", {})
            self._export.start(look.key, OUTCOMES)
        return memory

    def _restore(self, look: Look, now: datetime) -> State:
        stored = look.owner.get("status", {})
        state = readings.read_state(stored)
        if state is not None and recovery.is_consistent(state):
            return state
        traces = readings.read_traces(look.records.values(), look.services, look.route, look.owner)
        recovered = recovery.recover(traces, readings.read_request(look.owner), now)
        if recovered is not None:
            logger.warning("%s/%s has no usable status; rebuilt from its children: %s", *look.key, recovered.phase)
            return recovered
        return recovery.begin_anew(plans.make_target(look.spec), plans.make_baseline(look.spec), now)

    async def _observe(self, look: Look, state: State, memory: Memory, now: datetime) -> Observation:
        # First, because it may take seconds, and all else must be of now.
        measured = await self._analyse(look, state, memory, now)
        rivals = readings.find_rivals(look.owner, look.spec, self._store.all(cluster.MODELDEPLOYMENT))
        gateways = self._store.all(cluster.GATEWAY)
        return Observation(
            target=plans.make_target(look.spec),
            plan=plans.make_plan(look.spec),
            pods=self._observe_pods(look, state),
            route=readings.read_route(look.route, look.owner, look.spec, gateways, rivals),
            analysis=measured,
            alerts=self._board.firing(look.key),
            request=readings.read_request(look.owner),
        )

    def _observe_pods(self, look: Look, state: State) -> dict[str, model.Pods]:
        pods = self._store.owned(cluster.POD, look.key)
        slices = self._store.owned(cluster.ENDPOINTS, look.key)
        return {
            revision.revision: readings.read_pods(
                look.deployments.get(revision.revision),
                [pod for pod in pods if readings.revision_of(pod) == revision.revision],
                [found for found in slices if _is_slice_of(found, look.key[1], revision.slot)],
            )
            for revision in (state.stable, state.candidate, state.leaving)
            if revision
        }

    async def _analyse(self, look: Look, state: State, memory: Memory, now: datetime) -> model.Analysis:
        if not _is_measured(state):
            return model.Analysis(since=state.since)
        age = time.monotonic() - memory.analysed_at
        known = memory.analysed_since == state.since
        if known and age < self._settings.evaluation_seconds * 0.9:
            return memory.analysis
        if self._is_urgent(look, state):
            return memory.analysis if known else model.Analysis(since=state.since)
        question = analysis.Question(
            look.key,
            state,
            plans.make_criteria(look.spec),
            plans.make_queries(look.spec),
            look.spec.analysis.min_requests,
        )
        memory.analysis = await self._analyst.analyse(question, now)
        memory.analysed_at, memory.analysed_since = time.monotonic(), state.since
        return memory.analysis

    def _is_urgent(self, look: Look, state: State) -> bool:
        """Tell whether something must be decided that no measurement changes: a Prometheus that is gone costs seconds."""
        request = readings.read_request(look.owner)
        asked = request is not None and (state.request is None or state.request.id != request.id)
        candidate = state.candidate
        lost = candidate is not None and not self._observe_pods(look, state)[candidate.revision].serving
        return asked or (state.phase in _TESTED and lost)

    # Making it so.

    async def _carry_out(
        self,
        look: Look,
        memory: Memory,
        before: State,
        decided: Decision,
        observation: Observation,
        now: datetime,
    ) -> None:
        state = decided.state
        lowers = before.weight > state.weight or (state.phase is not before.phase and state.phase in _WITHDRAWING)
        if lowers:
            await self._apply_route(look, state, observation)
            self._time_rollback(look, decided, now)
        await self._write_status(look, memory, decided, observation, now)
        memory.state = state
        self._tell(look, before, decided, observation, now)
        await self._apply_children(look, state, observation)
        if not lowers:
            await self._apply_route(look, state, observation)

    async def _apply_route(self, look: Look, state: State, observation: Observation) -> None:
        conflict = observation.route.problem is model.Reason.ROUTE_CONFLICT
        if conflict and look.route is None:
            return
        wanted = routes.make_route(look.owner, look.spec, state, observation.plan.mirror_percent)
        await self._applier.apply(cluster.ROUTE, wanted)

    def _time_rollback(self, look: Look, decided: Decision, now: datetime) -> None:
        if decided.state.phase is Phase.ROLLING_BACK:
            seconds = (datetime.now(UTC) - now).total_seconds()
            self._export.rollback_seconds.labels(*look.key).observe(seconds)

    async def _write_status(
        self, look: Look, memory: Memory, decided: Decision, observation: Observation, now: datetime
    ) -> None:
        made = statuses.make_status(
            decided,
            observation,
            conditions.make_conditions(decided, observation),
            memory.status,
            look.owner["metadata"].get("generation", 0),
            now,
        )
        made = made.model_copy(update={"endpoint": routes.make_prefix(look.spec.route, *look.key)})
        wanted = made.model_dump(by_alias=True, mode="json")
        age = time.monotonic() - memory.status_at
        if wanted == memory.status or (age < _CHATTER_SECONDS and statuses.is_only_chatter(wanted, memory.status)):
            return
        written = await self._api.patch_status(cluster.MODELDEPLOYMENT, look.owner, wanted)
        self._store.put(cluster.MODELDEPLOYMENT, written)
        memory.status, memory.status_at = wanted, time.monotonic()
        # The answer may hold a change of the spec whose event is no news any more: then look again at once.
        memory.outdated = watches.is_edited(look.owner, written)

    def _tell(self, look: Look, before: State, decided: Decision, observation: Observation, now: datetime) -> None:
        state = decided.state
        for note in decided.notes:
            level = logging.WARNING if note.warning else logging.INFO
            logger.log(level, "%s/%s %s: %s: %s", *look.key, state.phase, note.reason, note.message)
            task = asyncio.create_task(events.post(self._api, look.owner, note, now))
            self._posting.add(task)
            task.add_done_callback(self._posting.discard)
        outcome = _outcome(before, state)
        if outcome:
            self._export.rollouts.labels(*look.key, outcome).inc()
        self._board.follow(look.key, interested=state.phase in _TESTED)
        self._export.snapshots[look.key] = _make_snapshot(look, decided, observation)

    async def _apply_children(self, look: Look, state: State, observation: Observation) -> None:
        kept = {r.revision: r for r in (state.stable, state.candidate, state.leaving) if r}
        kept |= {item.revision.revision: item.revision for item in state.retained}
        await self._apply_records(look, state, kept)
        await self._apply_services(look, state, observation)
        for revision in kept.values():
            await self._apply_deployment(look, revision)
        await self._delete_others(look, kept, state)

    async def _apply_records(self, look: Look, state: State, kept: dict[str, Revision]) -> None:
        target = plans.make_target(look.spec)
        number = max((found["revision"] for found in look.records.values()), default=0) + 1
        template = look.spec.template.model_dump()
        again = recovery.find_overtaken(state, {name: found["revision"] for name, found in look.records.items()})
        for revision in kept.values():
            known = look.records.get(revision.revision)
            if known and revision == again:
                data = known["data"]
                record = children.make_record(look.owner, revision.target, data["model"], data["template"], number)
                await self._applier.apply(cluster.RECORD, record)
            if known:
                continue
            # What is not in the spec can only be recorded without a template of its own: the spec's is the best guess.
            if revision.revision != target.revision:
                logger.warning("%s/%s: the record of %s is made anew from the spec", *look.key, revision.version)
            record = children.make_record(look.owner, revision.target, look.spec.model, template, number)
            number += 1
            await self._applier.apply(cluster.RECORD, record)
            look.records[revision.revision] = record

    async def _apply_services(self, look: Look, state: State, observation: Observation) -> None:
        for slot, revision in slots.choose_revisions(state, observation.pods).items():
            await self._applier.apply(cluster.SERVICE, children.make_service(look.owner, slot, revision))

    async def _apply_deployment(self, look: Look, revision: Revision) -> None:
        template = look.records[revision.revision]["data"]["template"]
        wanted = children.make_deployment(look.owner, revision.target, template, look.spec.replicas)
        await self._applier.apply(cluster.DEPLOYMENT, wanted)

    async def _delete_others(self, look: Look, kept: dict[str, Revision], state: State) -> None:
        failed = state.failure.revision if state.failure else ""
        for revision, found in look.deployments.items():
            if revision not in kept:
                await self._applier.delete(cluster.DEPLOYMENT, watches.key_of(found))
        for revision, found in look.records.items():
            if revision not in kept and revision != failed and "uid" in found["metadata"]:
                await self._applier.delete(cluster.RECORD, watches.key_of(found))

    def _next_look(self, decided: Decision) -> float | None:
        state = decided.state
        pauses = [decided.next_check.total_seconds()] if decided.next_check is not None else []
        if _is_measured(state):
            pauses.append(self._settings.evaluation_seconds)
        if state.retained:
            first = min(item.until for item in state.retained)
            pauses.append(max(1.0, (first - datetime.now(UTC)).total_seconds()))
        return max(0.05, min(pauses)) if pauses else None


_WITHDRAWING = (Phase.ROLLING_BACK, Phase.SUPERSEDED, Phase.STOPPED)


def _is_slice_of(found: cluster.Object, name: str, slot: Slot) -> bool:
    return bool(found["metadata"]["labels"].get("kubernetes.io/service-name") == names.slot_service(name, slot))


def _is_measured(state: State) -> bool:
    if state.phase is Phase.PENDING:
        return state.stable is not None
    return state.phase in _TESTED or state.phase is Phase.ROLLING_BACK or state.leaving is not None


def _outcome(before: State, after: State) -> str:
    if before.phase is after.phase:
        return ""
    if after.phase is Phase.PRODUCTION and before.candidate and after.stable == before.candidate:
        return "promoted"
    return {
        Phase.ROLLING_BACK: "rolled_back",
        Phase.SUPERSEDED: "superseded",
        Phase.STOPPED: "stopped",
    }.get(after.phase, "")


def _make_snapshot(look: Look, decided: Decision, observation: Observation) -> exporter.Snapshot:
    state = decided.state
    tested = state.phase in _TESTED
    return exporter.Snapshot(
        phase=state.phase,
        phases=tuple(phase.value for phase in phases.Phase),
        step=statuses.step_number(state, observation.plan) if state.candidate else 0,
        verdict=observation.analysis.verdict if tested else "",
        verdicts=tuple(verdict.value for verdict in evidence.Verdict),
        weights=_make_weights(state, observation),
        thresholds=_make_thresholds(look.spec, state.candidate) if tested and state.candidate else (),
        alerts=tuple(dict.fromkeys(alert.name for alert in observation.alerts)),
    )


def _make_weights(state: State, observation: Observation) -> tuple[exporter.Weight, ...]:
    """Give the shares; the observed ones only while they are measured, because an assumed one would prove nothing."""
    weights, share = state.weights(), None
    if state.phase in (Phase.CANARY, Phase.BAKING, Phase.PAUSED):
        share = observation.analysis.share
    made = []
    for revision in (state.stable, state.candidate or state.leaving):
        if revision:
            made.append(_make_weight(revision, "intended", weights[revision.slot]))
            if share is not None:
                own = share if revision is state.candidate else 1 - share
                made.append(_make_weight(revision, "observed", 100 * own))
    return tuple(made)


def _make_weight(revision: Revision, kind: str, percent: float) -> exporter.Weight:
    return exporter.Weight(revision.version, revision.revision, kind, float(percent))


def _make_thresholds(spec: v1alpha1.Spec, candidate: Revision) -> tuple[exporter.Threshold, ...]:
    """Give the limits, and always one of refusals: it has no limit but marks the revision that is compared with stable."""
    limits = [(criterion.name, criterion.maximum) for criterion in plans.make_criteria(spec)]
    return tuple(
        exporter.Threshold(candidate.revision, name, "max", maximum)
        for name, maximum in (*limits, ("refusals", 0.0))
        if maximum is not None
    )
