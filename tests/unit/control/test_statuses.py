"""The status: written and read back without loss, and written no more often than it says something new."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.core import conditions
from serin.core.evidence import Assessment, Verdict
from serin.core.model import Decision, Failure, Handled, Reason, Retained, Revision, Slot, State, Verb
from serin.core.phases import Phase
from serin.render import readings, statuses
from support.rollouts import PLAN, START, V1, V2, V3, analysis, at, failure, first, observe, seconds, state

words = st.text(max_size=12)
times = st.datetimes(timezones=st.just(START.tzinfo))
revisions = st.builds(Revision, words, words, words, st.sampled_from(Slot))
states = st.builds(
    State,
    phase=st.sampled_from(Phase),
    stable=st.none() | revisions,
    candidate=st.none() | revisions,
    leaving=st.none() | revisions,
    retained=st.lists(st.builds(Retained, revisions, times), max_size=3).map(tuple),
    weight=st.integers(0, 100),
    started=st.none() | times,
    entered=times,
    since=st.none() | times,
    resume=st.none() | st.sampled_from([Phase.STAGING, Phase.CANARY, Phase.BAKING]),
    paused_at=st.none() | times,
    failure=st.none()
    | st.builds(
        Failure, words, words, st.sampled_from(Reason), words, times, words, st.dictionaries(words, words, max_size=3)
    ),
    request=st.none() | st.builds(Handled, words, st.sampled_from(Verb), st.booleans(), words, times),
    attempt=st.integers(1, 9),
)


def written(of: State, previous: dict[str, Any] | None = None, now: float = 110, **seen: Any) -> dict[str, Any]:
    """A status as the API server keeps it: what is null is left out."""
    decided = Decision(of, Reason.WAITING_FOR_DURATION, "waiting")
    observation = observe(of, **seen)
    found = conditions.make_conditions(decided, observation)
    made = statuses.make_status(decided, observation, found, previous or {}, 7, at(now))
    dumped = json.loads(json.dumps(made.model_dump(by_alias=True, mode="json")))
    return {key: value for key, value in dumped.items() if value is not None}


@given(states)
def test_a_stored_state_is_read_back_as_it_was(of: State) -> None:
    assert readings.read_state(written(of)) == of


@pytest.mark.parametrize("phase", Phase)
def test_the_state_of_each_phase_is_read_back(phase: Phase) -> None:
    assert readings.read_state(written(state(phase))) == state(phase)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"phase": "Dancing"}, id="a phase that is none"),
        pytest.param({"stable": {"revision": "r"}}, id="a revision without its version"),
        pytest.param({"stable": "r100"}, id="a revision that is a word"),
        pytest.param({"candidate": {"revision": "r", "version": "1", "image": "i", "slot": "c"}}, id="a third slot"),
        pytest.param({"weight": "much"}, id="a weight that is no number"),
        pytest.param({"since": "yesterday"}, id="a time that is none"),
        pytest.param({"since": "2026-01-01T00:00:00"}, id="a time without its zone"),
        pytest.param({"entered": None}, id="no time at all"),
        pytest.param(
            {"failure": {**written(state(Phase.ROLLED_BACK))["failure"], "reason": "Bad"}}, id="a reason that is none"
        ),
        pytest.param({"mood": "fine"}, id="a field of another version"),
    ],
)
def test_a_status_that_makes_no_sense_is_discarded(change: dict[str, Any]) -> None:
    assert readings.read_state(written(state(Phase.CANARY)) | change) is None


def test_no_status_is_no_state() -> None:
    assert readings.read_state({}) is None


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    before = written(state(Phase.CANARY), now=110)
    after = written(state(Phase.BAKING), previous=before, now=200)
    changed = {c["type"]: c["lastTransitionTime"] for c in after["conditions"]}
    assert changed["Ready"] == "2026-01-01T00:01:50Z"
    assert changed["Promoted"] == "2026-01-01T00:03:20Z"
    assert {c["observedGeneration"] for c in after["conditions"]} == {after["observedGeneration"]} == {7}


@pytest.mark.parametrize(
    ("of", "step"),
    [
        pytest.param(state(Phase.PRODUCTION), "", id="nothing rolls out"),
        pytest.param(first(), "0/4", id="starting"),
        pytest.param(state(Phase.STAGING), "0/4", id="staging"),
        pytest.param(state(Phase.CANARY), "1/4", id="10 %"),
        pytest.param(state(Phase.CANARY, weight=30), "2/4", id="between 25 and 50 %"),
        pytest.param(state(Phase.BAKING), "4/4", id="baking"),
    ],
)
def test_the_step(of: State, step: str) -> None:
    assert statuses.describe_step(of, PLAN) == step


@pytest.mark.parametrize("phase", Phase)
def test_a_verdict_is_shown_only_of_a_version_under_test(phase: Phase) -> None:
    of = state(phase)
    found = (Assessment("errorRate", Verdict.PASS, "0 of 100"),)
    made = written(of, analysis=analysis(of, assessments=found))
    tested = phase in (Phase.STAGING, Phase.CANARY, Phase.BAKING, Phase.PAUSED)
    assert made["verdict"] == ("Pass" if tested else "")
    assert [item["name"] for item in made["assessments"]] == (["errorRate"] if tested else [])


def test_scale_counts_the_version_that_serves() -> None:
    assert written(state(Phase.CANARY))["selector"] == f"serin.dev/revision={V1.revision}"
    assert written(state(Phase.BAKING))["selector"] == f"serin.dev/revision={V2.revision}"
    assert written(first())["selector"] == ""


@pytest.mark.parametrize(
    ("after", "chatter"),
    [
        pytest.param(state(Phase.CANARY), True, id="nothing"),
        pytest.param(state(Phase.CANARY, weight=25), False, id="a weight"),
        pytest.param(state(Phase.PAUSED), False, id="a phase"),
        pytest.param(state(Phase.CANARY, since=at(101)), False, id="a clock"),
        pytest.param(state(Phase.CANARY, request=Handled("1", "pause", True, "", START)), False, id="a request"),
        pytest.param(state(Phase.CANARY, retained=(Retained(V3, at(1)),)), False, id="a kept revision"),
    ],
)
def test_what_must_be_written_at_once(after: State, chatter: bool) -> None:
    assert statuses.is_only_chatter(written(after), written(state(Phase.CANARY))) is chatter


def test_messages_and_verdicts_may_wait_but_a_condition_that_turns_may_not() -> None:
    of = state(Phase.CANARY)
    quiet = written(of)
    louder = written(of, analysis=analysis(of, message="13 of 1001 requests failed", verdict=Verdict.INSUFFICIENT))
    turned = written(of, analysis=analysis(of, Verdict.UNAVAILABLE))
    assert louder != quiet
    assert statuses.is_only_chatter(louder, quiet)
    assert not statuses.is_only_chatter(turned, quiet)


def test_a_failure_is_told_with_its_numbers() -> None:
    of = state(Phase.ROLLED_BACK, failure=dataclasses.replace(failure(), numbers={"errorRate": "0.2 of 100"}))
    assert written(of)["failure"] == {
        "revision": V2.revision,
        "version": "1.1.0",
        "reason": "AlertFiring",
        "message": "alert TooManyErrors is firing",
        "at": (START + seconds(90)).isoformat(),
        "alert": "TooManyErrors",
        "numbers": {"errorRate": "0.2 of 100"},
    }
