"""What is drawn, by content: no terminal, no cluster."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console, RenderableType

from serin.api import names
from serin.cli import detail, show, views, waiting
from serin.core import evidence

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def draw(thing: RenderableType) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(thing)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def draw_detail(owner, now=NOW, **parts) -> str:
    return draw(detail.make_detail(detail.Detail(owner, **parts), now))


DURATIONS = {0: "0s", 59: "59s", 192: "3m12s", 18600: "5h10m", 7200: "2h", 190800: "2d5h", -5: "0s"}


@pytest.mark.parametrize(("seconds", "text"), DURATIONS.items(), ids=DURATIONS.values())
def test_durations_have_at_most_two_units(seconds, text):
    assert views.describe_duration(timedelta(seconds=seconds)) == text


def test_an_object_without_status_has_dashes(owner):
    found = owner()
    del found["status"]

    row = draw(views.make_table([found], NOW)).splitlines()[1].split()

    assert row == ["trading", "momentum", "-", "-", "1.1.0", "-", "-", "-", "-", "2h"]


def test_the_way_marks_where_it_is(owner):
    assert "✔ Pending ─ ✔ Staging ─ ● Canary ─ ○ Baking ─ ○ Production" in draw_detail(owner())


def test_a_rollout_without_staging_has_none_on_its_way(owner):
    found = owner()
    found["spec"]["strategy"]["canary"]["staging"]["duration"] = "0s"

    assert "✔ Pending ─ ● Canary ─" in draw_detail(found)


def test_a_pause_stands_beside_the_phase_that_it_interrupted(owner):
    text = draw_detail(owner(phase="Paused", resume="Canary", pausedAt="2026-01-01T11:59:00+00:00"))

    assert "● Canary ─ ○ Baking ─ ○ Production   ● Paused" in text
    assert "▶ 25 % for 5m  4m left, paused" in text


def test_a_rollback_stands_beside_the_way(owner):
    assert "○ Production   ● RollingBack" in draw_detail(owner(phase="RollingBack"))


def test_steps_are_marked_with_the_time_that_is_left(owner):
    text = draw_detail(owner())

    assert "✔ staging, 100 % mirrored for 30s" in text
    assert "✔ 10 % for 2m" in text
    assert "▶ 25 % for 5m  3m left" in text
    assert "· 100 %, then bake for 10m" in text


TIMES = {
    "the route does not carry the step yet": ({"since": None}, NOW, "its time has not begun"),
    "the time is up": ({}, NOW + timedelta(hours=1), "its time is up; it waits for the verdict"),
}


@pytest.mark.parametrize(("status", "now", "said"), TIMES.values(), ids=TIMES)
def test_a_step_says_what_it_waits_for(owner, status, now, said):
    assert said in draw_detail(owner(**status), now)


def make_route(stable: int, candidate: int) -> dict:
    backends = [
        {"name": names.slot_service("momentum", slot), "weight": weight}
        for slot, weight in (("a", stable), ("b", candidate))
    ]
    return {"spec": {"rules": [{"backendRefs": backends}]}}


def test_traffic_has_the_intended_and_the_observed_share(owner, condition):
    _, message = evidence.follows_weight(candidate=120, stable=380, weight=25, minimum=100)
    found = owner(conditions=[condition("TrafficVerified", "True", message=message)])

    text = draw_detail(found, route=make_route(75, 25))

    assert "intended ███████████████░░░░░ 75 %" in text
    assert "intended █████░░░░░░░░░░░░░░░ 25 %" in text
    assert "observed █████░░░░░░░░░░░░░░░ 24 %" in text
    assert "differs" not in text


def test_without_answers_nothing_is_observed(owner, condition):
    _, message = evidence.follows_weight(candidate=0, stable=0, weight=25, minimum=100)

    assert "observed" not in draw_detail(owner(conditions=[condition("TrafficVerified", "Unknown", message=message)]))


def test_a_route_that_differs_from_what_is_intended_is_shown(owner):
    text = draw_detail(owner(), route=make_route(90, 10))

    assert "route    ██░░░░░░░░░░░░░░░░░░ 10 %  differs from what is intended" in text


def make_pod(name: str, revision: str, ready: bool, **container) -> dict:
    return {
        "metadata": {"name": name, "labels": {names.REVISION_LABEL: revision}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"name": "server", "image": "m", "ready": ready, "restartCount": 3, **container}],
        },
    }


def test_pods_are_counted_and_those_with_problems_named(owner):
    waiting_state = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    deployment = {"metadata": {"labels": {names.REVISION_LABEL: "bbbb000002"}}, "spec": {"replicas": 2}}
    pods = (
        make_pod("momentum-aaaa000001-x", "aaaa000001", True, state={}),
        make_pod("momentum-bbbb000002-x", "bbbb000002", True, state={}),
        make_pod("momentum-bbbb000002-y", "bbbb000002", False, **waiting_state),
    )

    text = draw_detail(owner(), deployments=(deployment,), pods=pods)

    assert "stable     1.0.0  1/1 pods ready" in text
    assert "candidate  1.1.0  1/2 pods ready" in text
    assert "✘ momentum-bbbb000002-y ImagePullFailed: no such image" in text


def test_pods_that_cannot_be_made_are_told_of_their_deployment(owner):
    condition = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    deployment = {
        "metadata": {"labels": {names.REVISION_LABEL: "bbbb000002"}},
        "spec": {"replicas": 1},
        "status": {"conditions": [condition]},
    }

    assert "✘ momentum-bbbb000002 PodRefused: exceeded quota" in draw_detail(owner(), deployments=(deployment,))


def test_criteria_failure_conditions_and_events_are_told(owner, condition):
    failure = {
        "version": "1.1.0",
        "reason": "AlertFiring",
        "message": "alert TooManyErrors is firing",
        "alert": "TooManyErrors",
        "at": "2026-01-01T11:59:30+00:00",
        "numbers": {"errorRate": "20 of 100 requests failed"},
    }
    found = owner(
        assessments=[{"name": "errorRate", "verdict": "Fail", "message": "20 of 100 requests failed"}],
        failure=failure,
        conditions=[
            condition("Ready", "True"),
            condition("Promoted", "False"),
            condition("Stalled", "True", "RouteConflict", "another object has the path"),
        ],
    )
    event = {
        "metadata": {},
        "type": "Warning",
        "reason": "AlertFiring",
        "message": "version 1.1.0 is rolled back",
        "eventTime": "2026-01-01T11:59:30.000000Z",
    }

    text = draw_detail(found, events=(event,), missing=("pods, because you may not",))

    assert "✘ errorRate Fail  20 of 100 requests failed" in text
    assert "✘ version 1.1.0 AlertFiring: alert TooManyErrors is firing  30s ago" in text
    assert "alert TooManyErrors" in text
    assert "✘ Stalled is True, RouteConflict: another object has the path" in text
    assert "Promoted is" not in text
    assert "30s ago  AlertFiring  version 1.1.0 is rolled back" in text
    assert "not shown: pods, because you may not" in text


def test_an_object_that_the_operator_has_not_seen_is_shown(owner):
    found = owner()
    del found["status"]

    text = draw_detail(found)

    assert "the operator has not written a status yet" in text
    assert "no version runs yet" in text


def test_an_object_of_a_newer_version_is_shown_without_its_steps(owner):
    found = owner()
    found["spec"]["strategy"] = {"type": "Newer"}

    text = draw_detail(found)

    assert "candidate  1.1.0" in text
    assert "steps" not in text


def test_lines_are_printed_only_for_what_changed(owner, monkeypatch):
    monkeypatch.setattr("serin.cli.clock.now", lambda: NOW)
    changes, one, other = show.Changes(), owner(), owner("other")

    first = list(changes([one, other]))
    one["status"]["message"] = "130 of at least 500 requests so far"
    quiet = list(changes([one, other]))
    one["status"]["weight"] = 50
    second = list(changes([one, other]))

    assert first[0] == (
        "12:00:00 trading/momentum Canary, version 1.1.0 at 25 %, step 2/3, Insufficient: "
        "120 of at least 500 requests so far"
    )
    assert (len(first), quiet, len(second)) == (2, [], 1)


# Waiting.


def promoted(status: str) -> dict:
    return {"type": "Promoted", "status": status, "message": "version 1.1.0 has all traffic"}


FAILURE = {
    "version": "1.1.0",
    "reason": "AlertFiring",
    "message": "bad",
    "alert": "A",
    "numbers": {"errorRate": "9 of 9"},
}
GOALS = {
    "on the way": ("promoted", {}, None),
    "promoted": ("promoted", {"conditions": [promoted("True")]}, True),
    "promoted, but of an older spec": ("promoted", {"conditions": [promoted("True")], "observedGeneration": 1}, None),
    "rolled back instead": ("promoted", {"phase": "RolledBack", "failure": FAILURE}, False),
    "rolling back": ("phase=Production", {"phase": "RollingBack", "failure": FAILURE}, False),
    "stalled": ("promoted", {"conditions": [{"type": "Stalled", "status": "True", "reason": "Stopped"}]}, False),
    "waiting for the stable version": (
        "promoted",
        {"conditions": [{"type": "Stalled", "status": "True", "reason": "WaitingForStable"}]},
        None,
    ),
    "the phase": ("phase=canary", {}, True),
    "another phase": ("phase=Baking", {}, None),
    "a rollback that was waited for": ("rolled-back", {"phase": "RolledBack", "failure": FAILURE}, True),
    "a rollback under way": ("rolled-back", {"phase": "RollingBack"}, None),
    "a rollback that does not come": (
        "rolled-back",
        {"phase": "Production", "conditions": [promoted("True")]},
        False,
    ),
    "ready": ("ready", {"conditions": [{"type": "Ready", "status": "True", "message": "1 of 1 pods"}]}, True),
    "not ready, and rolled back": ("ready", {"phase": "RolledBack", "conditions": []}, None),
}


@pytest.mark.parametrize(("goal", "status", "reached"), GOALS.values(), ids=GOALS)
def test_a_wait_ends_when_it_should(owner, goal, status, reached):
    outcome = waiting.judge(owner(**status), waiting.read_goal(goal), "1.1.0")

    assert (outcome and outcome.reached) is reached


def test_a_rollback_is_told_with_alert_and_numbers(owner):
    outcome = waiting.judge(owner(phase="RolledBack", failure=FAILURE), waiting.Goal("promoted"), "1.1.0")

    assert outcome
    assert outcome.message == "rolled back: version 1.1.0, AlertFiring: bad; alert A; errorRate: 9 of 9"


def test_another_version_in_the_spec_ends_the_wait_for_this_one(owner):
    outcome = waiting.judge(owner(), waiting.Goal("promoted"), "1.0.5")

    assert outcome == waiting.Outcome(False, "version 1.0.5 was superseded: the spec names 1.1.0 now")


def test_progress_speaks_on_changes_and_after_a_long_silence(owner):
    progress, found = waiting.Progress(), owner()

    spoken = [progress.line(found, NOW, seconds) is not None for seconds in (1, 2, 30, 31.5, 40)]

    assert spoken == [True, False, False, True, False]
