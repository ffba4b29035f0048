"""People's requests: carried out once, or refused with what can be done instead."""

import dataclasses
from typing import Any

import pytest

from serin.core import decision
from serin.core.model import Decision, Pods, Reason, Request, Slot, State, Verb
from serin.core.phases import Phase
from support.rollouts import GONE, V1, V2, at, failure, first, observe, pods, request, seconds, state


def ask(verb: str, before: State, now: float = 125, **seen: Any) -> Decision:
    return decision.decide(before, observe(before, request=request(verb), **seen), at(now))


BAKING, CANARY, PAUSED = state(Phase.BAKING), state(Phase.CANARY), state(Phase.PAUSED)
STOPPED = state(Phase.STOPPED, leaving=None)
STILL_DRAINING, STILL_LOADED = state(Phase.STOPPED), state(Phase.STOPPED, weight=25)

NOTHING = "{verb} has nothing to do in phase {phase}; {hint}"
PROMOTE, PAUSE = "it needs a version that is rolling out", "it holds Staging, Canary and Baking"
RESUME, RETRY = "it goes on after pause or stop", "it starts a version again after its rollback"
ROLLBACK, STOP = "to go back to an older version, apply it", "it is stopped already"
OUTSIDE = (Phase.PRODUCTION, Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.SUPERSEDED, Phase.STOPPED)
REFUSED = [
    *(("promote", state(phase), PROMOTE) for phase in OUTSIDE),
    ("promote", first(), PROMOTE),
    *(("pause", state(phase), PAUSE) for phase in Phase if phase not in (Phase.STAGING, Phase.CANARY, Phase.BAKING)),
    *(("resume", state(phase), RESUME) for phase in Phase if phase not in (Phase.PAUSED, Phase.STOPPED)),
    *(("rollback", state(phase), ROLLBACK) for phase in OUTSIDE),
    ("rollback", first(), ROLLBACK),
    *(("retry", state(phase), RETRY) for phase in Phase if phase is not Phase.ROLLED_BACK),
    ("stop", STOPPED, STOP),
]


@pytest.mark.parametrize(
    ("verb", "before", "hint"),
    [pytest.param(*row, id=f"{row[0]} in {row[1].phase}{'' if row[1].stable else ' of the first'}") for row in REFUSED],
)
def test_a_request_with_nothing_to_do_is_refused_and_says_when_it_has(verb: str, before: State, hint: str) -> None:
    decided = ask(verb, before)

    handled = decided.state.request
    assert handled is not None
    assert not handled.accepted
    assert handled.message == NOTHING.format(verb=verb, phase=before.phase, hint=hint)
    assert decided.reason is Reason.REQUEST_REFUSED
    assert decided.notes[0].warning
    assert dataclasses.replace(decided.state, request=None) == before, "nothing else changes"


@pytest.mark.parametrize(
    ("verb", "before", "seen", "message"),
    [
        pytest.param(
            "promote",
            CANARY,
            {"pods": pods(v2=Pods(2, 1, 1))},
            "not all pods of version 1.1.0 are ready",
            id="pods missing",
        ),
        pytest.param(
            "resume", STILL_DRAINING, {"target": V2.target}, "version 1.1.0 is still draining; ask again", id="draining"
        ),
        pytest.param(
            "resume",
            STILL_LOADED,
            {"pods": pods(v1=GONE)},
            "not all traffic is back at the stable version; ask again",
            id="traffic left",
        ),
        pytest.param(
            "retry",
            state(Phase.ROLLED_BACK),
            {},
            "the spec names version 1.0.0, which is the stable one",
            id="nothing to retry",
        ),
        pytest.param(
            "undo",
            CANARY,
            {},
            "'undo' is not a request; known are promote, pause, resume, rollback, retry, stop",
            id="unknown",
        ),
    ],
)
def test_a_request_that_cannot_be_carried_out_now_says_why(
    verb: str, before: State, seen: dict[str, Any], message: str
) -> None:
    decided = ask(verb, before, **seen)
    assert decided.state.request is not None
    assert (decided.state.request.accepted, decided.state.request.message) == (False, message)
    assert decided.state.phase is before.phase


def test_a_request_is_carried_out_once() -> None:
    paused = ask("pause", CANARY)
    assert paused.state.request is not None
    assert (paused.state.request.id, paused.state.request.verb, paused.state.request.accepted) == (
        "id-1",
        "pause",
        True,
    )
    assert paused.state.request.at == at(125)
    assert ask("pause", paused.state).reason is Reason.PAUSED, "the same id stays paused, and is not refused"
    resumed = dataclasses.replace(paused.state, phase=Phase.CANARY, resume=None, paused_at=None)
    assert ask("pause", resumed).state.phase is Phase.CANARY, "nor does it pause again after a resume"


def test_a_new_id_is_a_new_request() -> None:
    handled = ask("stop", CANARY).state
    seen = observe(handled, request=Request("id-2", Verb.STOP))
    refused = decision.decide(handled, seen, at(130)).state.request
    assert refused is not None
    assert (refused.id, refused.accepted) == ("id-2", False)


def test_a_pause_holds_weight_and_clock() -> None:
    """Worked: a step of 60 s, seen from second 100, paused at 140 for 10 min: 40 s are done, 20 s are left at 740."""
    paused = ask("pause", CANARY, now=140).state
    assert (paused.weight, paused.resume, paused.paused_at) == (10, Phase.CANARY, at(140))
    held = decision.decide(paused, observe(paused), at(700))
    assert (held.state.weight, held.reason) == (10, Reason.PAUSED)
    resumed = decision.decide(paused, observe(paused, request=request("resume", "id-2")), at(740)).state
    assert resumed.since == at(700)
    assert (resumed.resume, resumed.paused_at) == (None, None)
    waiting = decision.decide(resumed, observe(resumed), at(745))
    assert waiting.next_check == seconds(15)
    assert decision.decide(resumed, observe(resumed), at(760)).state.weight == 25


def test_a_step_first_seen_on_the_route_during_a_pause_begins_when_it_ends() -> None:
    found = dataclasses.replace(PAUSED, since=at(150))
    assert ask("resume", found, now=400).state.since == at(400)


def test_a_step_not_seen_before_a_resume_has_no_clock_yet() -> None:
    found = dataclasses.replace(PAUSED, since=None)
    seen = dataclasses.replace(observe(found, request=request("resume")).route, accepted=False)
    assert ask("resume", found, route=seen).state.since is None


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.STAGING, Phase.CANARY, Phase.PAUSED])
def test_promote_gives_all_traffic_and_still_bakes(phase: Phase) -> None:
    decided = ask("promote", state(phase))
    assert (decided.state.phase, decided.state.weight, decided.state.stable) == (Phase.BAKING, 100, V1)


def test_promote_while_baking_ends_the_bake() -> None:
    assert ask("promote", BAKING).state.stable == V2


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.STAGING, Phase.CANARY, Phase.BAKING, Phase.PAUSED])
def test_a_rollback_is_possible_from_every_phase_of_a_rollout(phase: Phase) -> None:
    rolled = ask("rollback", state(phase)).state
    assert (rolled.phase, rolled.weight) == (Phase.ROLLING_BACK, 0)
    assert rolled.failure is not None
    assert (rolled.failure.reason, rolled.failure.revision) == (Reason.REQUESTED, V2.revision)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.STOPPED])
def test_stop_takes_the_weight_and_lets_nothing_roll_out(phase: Phase) -> None:
    stopped = ask("stop", state(phase)).state
    assert (stopped.phase, stopped.candidate, stopped.weight) == (Phase.STOPPED, None, 0)
    later = decision.decide(stopped, observe(stopped, target=V2.target), at(9999)).state
    assert (later.phase, later.candidate) == (Phase.STOPPED, None)


def test_stop_without_a_ready_stable_pod_takes_the_weight_as_soon_as_there_is_one() -> None:
    stopped = ask("stop", BAKING, pods=pods(v1=GONE)).state
    assert (stopped.phase, stopped.weight, stopped.leaving) == (Phase.STOPPED, 100, V2)
    assert decision.decide(stopped, observe(stopped), at(200)).state.weight == 0


def test_stop_before_the_first_version_is_ready_gives_no_slot_any_weight() -> None:
    stopped = ask("stop", first()).state
    assert stopped.weights() == {Slot.A: 0, Slot.B: 0}
    assert stopped.leaving == V1


def test_resume_after_stop_begins_the_version_from_its_first_step() -> None:
    begun = ask("resume", STOPPED, target=V2.target).state
    assert (begun.phase, begun.candidate, begun.weight, begun.started) == (Phase.PENDING, V2, 0, at(125))


def test_retry_counts_the_attempt_and_forgets_the_failure() -> None:
    retried = ask("retry", state(Phase.ROLLED_BACK, attempt=2), target=V2.target).state
    assert (retried.attempt, retried.failure, retried.started) == (3, None, at(125))


def test_a_request_leaves_a_failure_alone_that_it_is_not_about() -> None:
    assert ask("pause", state(Phase.ROLLED_BACK)).state.failure == failure()
