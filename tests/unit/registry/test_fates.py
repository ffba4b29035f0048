"""The registry's account of a rollout, told from statuses as the operator's own decisions make them."""

import json
import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.core import phases
from serin.core.evidence import Verdict
from serin.core.model import Verb
from serin.core.phases import Phase
from serin_services.registry.core import events, fates, sightings, stages
from serin_services.registry.core.events import Kind
from serin_services.registry.core.fates import Account, Move, Seen
from serin_services.registry.core.stages import Mover, Stage
from support.histories import TARGETS, play, wrap
from support.rollouts import V1, V2, V3, at

D, S, C, P, A = Stage.DRAFT, Stage.STAGING, Stage.CANARY, Stage.PRODUCTION, Stage.ARCHIVED


def follow(objects: Iterable[dict[str, Any]], seen: Seen | None = None) -> list[Account]:
    """Read one after the other; what is remembered goes through JSON, as it does in the database."""
    accounts = []
    for found in objects:
        account = fates.read(seen, found)
        seen = Seen.load(json.loads(json.dumps(account.seen.dump())))
        assert seen == account.seen
        accounts.append(account)
    return accounts


def moves_of(accounts: Iterable[Account]) -> list[Move]:
    return [move for account in accounts for move in account.moves]


def events_of(accounts: Iterable[Account]) -> list[events.Event]:
    return [event for account in accounts for event in account.events]


def ways(accounts: Iterable[Account]) -> dict[str, list[Stage]]:
    """The stages of each version, in their order."""
    found: dict[str, list[Stage]] = {}
    for move in moves_of(accounts):
        found.setdefault(move.version, []).append(move.target)
    return found


def last_of(objects: list[dict[str, Any]], phase: Phase) -> dict[str, Any]:
    return [found for found in objects if found["status"]["phase"] == phase][-1]


WHOLE = ("*3", "apply v2", "*9")
V1S, V2S, V3S = V1.version, V2.version, V3.version


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        pytest.param(("*3",), {V1S: [S, P]}, id="the first version goes from staging into production"),
        pytest.param(WHOLE, {V1S: [S, P, A], V2S: [S, C, P]}, id="a version passes all steps and archives the old one"),
        pytest.param(
            (*WHOLE, "apply v3", "*9"),
            {V1S: [S, P, A], V2S: [S, C, P, A], V3S: [S, C, P]},
            id="two versions after each other",
        ),
        pytest.param(
            ("*3", "apply v2", "*3", "alert fires", "*2"),
            {V1S: [S, P], V2S: [S, C, D]},
            id="an alert rolls a canary back",
        ),
        pytest.param(
            ("*3", "apply v2", "*1", "ask rollback", "*2"), {V1S: [S, P], V2S: [S, D]}, id="a person rolls staging back"
        ),
        pytest.param(
            ("*3", "apply v2", "*1", "ask rollback", "*3", "ask retry", "*9"),
            {V1S: [S, P, A], V2S: [S, D, S, C, P]},
            id="a second attempt passes",
        ),
        pytest.param(
            ("*3", "apply v2", "*3", "apply v3", "*4"),
            {V1S: [S, P], V2S: [S, C, D], V3S: [S, C]},
            id="a third version supersedes a canary",
        ),
        pytest.param(
            ("*3", "apply v2", "*6", "apply v3", "*1"),
            {V1S: [S, P, A], V2S: [S, C, P], V3S: [S]},
            id="a third version makes the baking one stable",
        ),
        pytest.param(
            ("*3", "apply v2", "*3", "ask pause", "*2"),
            {V1S: [S, P], V2S: [S, C]},
            id="a paused canary stays where it is",
        ),
        pytest.param(
            ("*3", "apply v2", "*1", "ask pause", "*2"), {V1S: [S, P], V2S: [S]}, id="paused staging stays staging"
        ),
        pytest.param(
            ("*3", "apply v2", "*3", "ask stop", "*2"),
            {V1S: [S, P], V2S: [S, C, D]},
            id="a stop takes the candidate out",
        ),
        pytest.param(
            ("*3", "apply v2", "*3", "apply v1", "*4"),
            {V1S: [S, P], V2S: [S, C, D]},
            id="the spec goes back to the stable version",
        ),
        pytest.param(
            (*WHOLE, "apply v1", "*9"),
            {V1S: [S, P, A, S, C, P], V2S: [S, C, P, A]},
            id="an archived version is rolled out once more",
        ),
        pytest.param(
            ("*3", "apply v1 again", "*9"),
            {V1S: [S, P]},
            id="the same version with other pod settings stays in production",
        ),
        pytest.param(
            ("*3", "apply v1 again", "*3", "ask rollback", "*3"),
            {V1S: [S, P]},
            id="and stays when these settings are rolled back",
        ),
        pytest.param(
            ("apply v2", "apply v3", "*3"),
            {V1S: [S, D], V2S: [S, D], V3S: [S, P]},
            id="the first version is replaced before it is ready",
        ),
        pytest.param(
            ("*3", "apply v2", "pods gone", "wait 700", "*3"),
            {V1S: [S, P], V2S: [S, D]},
            id="a version that never becomes ready fails",
        ),
    ],
)
def test_versions_move_as_the_rollout_does(actions: tuple[str, ...], expected: dict[str, list[Stage]]) -> None:
    assert ways(follow(play(*actions))) == expected


MISSED = [
    pytest.param(
        ("*3",),
        WHOLE,
        {V1S: [A], V2S: [P]},
        id="a whole rollout: the old version is archived, the new one in production",
    ),
    pytest.param(
        ("*3",),
        ("*3", "apply v2", "*2", "ask rollback", "*3"),
        {V2S: [S, D]},
        id="a rollout that failed: it was tried and went back",
    ),
    pytest.param(("*3",), ("*3", "apply v2", "*4"), {V2S: [S, C]}, id="the beginning of a canary"),
    pytest.param(
        ("*3",),
        (*WHOLE, "apply v3", "*1"),
        {V1S: [A], V2S: [P], V3S: [S]},
        id="a rollout, and the next one has begun",
    ),
    pytest.param(
        ("*3", "apply v2", "*3"),
        (*WHOLE, "apply v1", "*3"),
        {V1S: [A, S, C], V2S: [P]},
        id="a promotion, and the old version comes again",
    ),
    pytest.param(
        ("*3", "apply v2", "*3"),
        ("*3", "apply v2", "*3", "ask rollback", "*3", "ask retry", "*1"),
        {V2S: [D, S]},
        id="a rollback and the beginning of the second attempt",
    ),
    pytest.param(
        ("*3",),
        ("*3", "apply v2", "*2", "ask rollback", "*3", "apply v3", "*1"),
        {V2S: [S, D], V3S: [S]},
        id="a failure that the status has forgotten, while the pods are kept",
    ),
    pytest.param(
        ("*3", "apply v2", "*3"),
        ("*3", "apply v2", "*3", "apply v3", "*1"),
        {V2S: [D], V3S: [S]},
        id="a candidate that gave way",
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), MISSED)
def test_what_nobody_saw_is_told_later(before: Any, after: Any, expected: dict[str, list[Stage]]) -> None:
    seen = follow(play(*before))[-1].seen
    account = fates.read(seen, play(*after)[-1])
    assert ways([account]) == expected


@pytest.mark.parametrize(
    ("actions", "phase", "exact"),
    [
        pytest.param(("apply v3",), Phase.SUPERSEDED, True, id="superseded: when the phase was entered"),
        pytest.param(
            ("apply v3", "ask stop"), Phase.STOPPED, False, id="stopped, maybe while it was leaving: not after that"
        ),
        pytest.param(("ask rollback",), Phase.ROLLING_BACK, True, id="rolled back: when that was decided"),
    ],
)
def test_when_an_attempt_ended(actions: tuple[str, ...], phase: Phase, exact: bool) -> None:
    before, after = play("*3", "apply v2", "*3"), play("*3", "apply v2", "*3", *actions)
    assert after[-1]["status"]["phase"] == phase
    (move,) = fates.read(follow(before)[-1].seen, after[-1]).moves
    assert (move.version, move.target, move.exact) == (V2S, D, exact)
    assert move.at.isoformat() == after[-1]["status"]["entered"]


def test_a_candidate_that_drains_after_a_stop_was_never_in_production() -> None:
    """It stands in `leaving` as a replaced version does; a later request hides that it was a resume that led here."""
    actions = ("*3", "apply v2", "*9", "apply v3", "*2", "apply v2", "ask stop", "ask resume")
    for more in ((), ("ask promote",)):
        objects = play(*actions, *more)
        status = objects[-1]["status"]
        account = fates.read(follow(objects[:4])[-1].seen, objects[-1])
        assert (status["phase"], status["leaving"]["version"]) == (Phase.PRODUCTION, V3S)
        assert ways([account]) == {V1S: [A], V2S: [P]}


def test_a_version_that_came_and_went_is_told_while_it_still_drains() -> None:
    objects = play(*WHOLE, "apply v3", "*9")
    first = next(n for n, found in enumerate(objects) if found["status"].get("stable", {}).get("version") == V3S)
    drains = objects[first]
    assert drains["status"]["leaving"]["version"] == V2S
    account = fates.read(follow(objects[:4])[-1].seen, drains)
    assert ways([account]) == {V1S: [A], V2S: [P, A], V3S: [P]}
    assert [move.exact for move in account.moves] == [False, False, True, True]


def test_a_registry_that_comes_later_finds_what_is() -> None:
    account = fates.read(None, play(*WHOLE)[-1])
    assert account.placements == {V2S: P}
    assert ways([account]) == {V2S: [P]}
    assert not account.moves[0].exact


def test_moves_have_the_status_own_times() -> None:
    objects = play("*3", "apply v2", "*9")
    production = next(
        found["status"]
        for found in objects[4:]
        if found["status"]["phase"] == "Production" and found["status"]["stable"]["version"] == V2S
    )
    found = {(move.version, move.target): move for move in moves_of(follow(objects))}
    assert found[V2S, P].at.isoformat() == production["entered"] == found[V1S, A].at.isoformat()
    assert found[V2S, S].at.isoformat() == production["started"]
    assert all(move.exact for move in found.values())


def test_a_missed_promotion_has_the_time_of_its_phase() -> None:
    objects = play(*WHOLE)
    account = fates.read(follow(objects[:4])[-1].seen, objects[-1])
    assert {move.at.isoformat() for move in account.moves} == {objects[-1]["status"]["entered"]}


def test_a_failure_is_told_with_its_numbers_and_reason() -> None:
    objects = play("*3", "apply v2", "*3", "alert fires", "*2")
    accounts = follow(objects)
    (failure,) = [event for event in events_of(accounts) if event.kind is Kind.FAILURE]
    status = last_of(objects, Phase.ROLLED_BACK)["status"]
    assert failure.details["reason"] == "AlertFiring"
    assert failure.details["alert"] == "TooManyErrors"
    assert failure.at.isoformat() == status["failure"]["at"]
    (moved,) = [move for move in moves_of(accounts) if move.target is D]
    assert (moved.at, moved.exact) == (failure.at, True)
    assert moved.why == status["failure"]["message"]


def test_events_of_a_whole_rollout_in_their_order() -> None:
    found = [
        (event.kind, event.version)
        for event in events_of(follow(play("*3", "apply v2", "*9")))
        if event.kind is not Kind.VERDICT
    ]
    assert found == [
        (Kind.CREATED, ""),
        (Kind.STARTED, V1S),
        (Kind.PHASE, V1S),
        (Kind.STARTED, V2S),
        (Kind.PHASE, V2S),
        (Kind.STEP, V2S),
        (Kind.STEP, V2S),
        (Kind.STEP, V2S),
        (Kind.PHASE, V2S),
        (Kind.PHASE, V2S),
    ]


def test_steps_say_the_weight() -> None:
    found = [event.details["weight"] for event in events_of(follow(play(*WHOLE))) if event.kind is Kind.STEP]
    assert found == [10, 25, 50]


def test_a_request_is_told_once_although_the_status_keeps_it() -> None:
    accounts = follow(play("*3", "apply v2", "*3", "ask pause", "*2", "ask resume", "*9", "apply v3", "*9"))
    asked = [
        (event.details["verb"], event.details["accepted"])
        for event in events_of(accounts)
        if event.kind is Kind.REQUEST
    ]
    assert asked == [("pause", True), ("resume", True)]


def test_a_refused_request_is_told_too() -> None:
    found = [event for event in events_of(follow(play("*3", "ask promote"))) if event.kind is Kind.REQUEST]
    assert [event.details["accepted"] for event in found] == [False]
    assert "refused" in found[0].message


def test_a_verdict_that_flaps_is_told_once_a_step() -> None:
    objects = play("*3", "apply v2", "*1", *(["verdict Insufficient", "verdict Pass"] * 5))
    found = [event for event in events_of(follow(objects)) if event.kind is Kind.VERDICT]
    assert len({event.key for event in found}) == len({(event.details["verdict"], event.at) for event in found})
    weights = {(event.details["phase"], event.details["weight"], event.details["verdict"]) for event in found}
    assert len({event.key for event in found}) == len(weights)


def test_a_pause_that_began_unseen_still_tells_its_step() -> None:
    objects = play("*3", "apply v2", "*3", "ask pause", "*1")
    told = fates.read(follow(objects[:4])[-1].seen, objects[-1]).events
    assert {event.kind for event in told} >= {Kind.STARTED, Kind.STEP, Kind.PHASE, Kind.REQUEST}


def test_an_object_without_a_status_is_created_and_nothing_else() -> None:
    account = fates.read(None, wrap({}))
    assert [event.kind for event in account.events] == [Kind.CREATED]
    assert account.placements == {}
    assert account.moves == ()


def test_a_lost_status_changes_nothing_until_it_is_rebuilt() -> None:
    seen = follow(play(*WHOLE))[-1].seen
    account = fates.read(seen, wrap({}))
    assert (account.events, account.moves, account.placements) == ((), (), {V2S: P})
    assert fates.read(account.seen, play(*WHOLE)[-1]).events == ()


def test_a_deleted_object_archives_its_versions() -> None:
    seen = follow(play("*3", "apply v2", "*3"))[-1].seen
    account = fates.remove(seen, at(5000))
    assert ways([account]) == {V1S: [A], V2S: [A]}
    assert {move.at for move in account.moves} == {at(5000)}
    assert [event.kind for event in account.events] == [Kind.REMOVED]
    again = fates.remove(account.seen, at(6000))
    assert (again.events, again.moves) == ((), ())


def test_an_object_under_deletion_tells_its_last_words_and_is_archived() -> None:
    objects = play(*WHOLE)
    seen = follow(objects[:4])[-1].seen
    going = wrap(objects[-1]["status"], deletionTimestamp="2026-01-02T00:00:00Z")
    account = fates.read(seen, going)
    assert ways([account]) == {V1S: [A], V2S: [P, A]}
    assert account.placements == {}
    assert fates.read(account.seen, going) == Account(account.seen, (), (), {})


def test_another_object_of_the_same_name_is_another_one() -> None:
    seen = follow(play("*3"))[-1].seen
    other = wrap(play(*WHOLE)[-1]["status"], uid="u-2", creationTimestamp="2026-01-03T00:00:00Z")
    account = fates.read(seen, other)
    assert ways([account]) == {V1S: [A], V2S: [P]}
    assert account.seen.uid == "u-2"
    assert [event.kind for event in account.events][:2] == [Kind.REMOVED, Kind.CREATED]


def test_fields_of_a_newer_operator_do_not_matter() -> None:
    status = play("*3")[-1]["status"] | {"fieldOfTomorrow": {"a": 1}}
    assert fates.read(None, wrap(status)).placements == {V1S: P}


def test_a_rebuilt_status_is_not_the_beginning_of_what_failed_before() -> None:
    found = play("*3", "apply v2", "*1", "ask rollback", "*2")[-1]["status"] | {"started": "2026-01-05T00:00:00+00:00"}
    assert Kind.STARTED not in {event.kind for event in fates.read(None, wrap(found)).events}


def test_keys_fit_their_column() -> None:
    status = play("*3", "ask pause")[-1]["status"]
    status = status | {"request": status["request"] | {"id": "x" * 4000}}
    assert all(len(event.key) <= events.MAX_KEY for event in fates.read(None, wrap(status)).events)


@pytest.mark.parametrize("phase", phases.Phase)
def test_every_phase_of_the_operator_is_known_here(phase: Phase) -> None:
    tested = (Phase.PENDING, Phase.STAGING, Phase.CANARY, Phase.BAKING)
    assert (phase in sightings.PLACES) == (phase in tested)
    assert phase in events.SENTENCES or phase in (Phase.PENDING, Phase.CANARY)


ACTIONS = st.sampled_from(
    ["*1", "*2", "*9", "wait 1", "wait 31", "alert fires", "alert ends", "pods gone", "pods back"]
    + [f"apply {name}" for name in TARGETS] * 2
    + [f"ask {verb}" for verb in Verb] * 2
    + [f"verdict {verdict}" for verdict in Verdict]
)
BEGINNINGS = st.sampled_from([(), ("*3",), ("*3", "apply v2", "*3"), WHOLE])
HISTORIES = st.builds(lambda begin, rest: (*begin, "wait 1", *rest), BEGINNINGS, st.lists(ACTIONS, max_size=25))


@settings(max_examples=60, deadline=None)
@given(actions=HISTORIES, share=st.sampled_from([0.02, 0.1, 0.5]), seed=st.integers(0, 2**32))
def test_laws_of_any_history_however_much_of_it_is_seen(actions: tuple[str, ...], share: float, seed: int) -> None:
    objects = play(*actions)
    chance = random.Random(seed)  # noqa: S311 - which statuses are seen is no secret
    seen = [*(found for found in objects[:-1] if chance.random() < share), objects[-1]]
    whole, part = follow(objects), follow(seen)
    assert part[-1].placements == whole[-1].placements, "what stands at the end does not depend on what was seen"
    for accounts in (whole, part):
        check_moves(accounts)
    check_nothing_is_made_up(whole, part)
    again = fates.read(part[-1].seen, seen[-1])
    assert again == Account(part[-1].seen, (), (), part[-1].placements), "reading twice adds nothing"


def check_moves(accounts: list[Account]) -> None:
    standing: dict[str, Stage] = {}
    for account in accounts:
        for move in account.moves:
            assert standing.get(move.version) == move.source, "each move begins where the last one ended"
            stages.move(move.source or Stage.DRAFT, move.target, Mover.CLUSTER)
            standing[move.version] = move.target
            if move.target in (Stage.DRAFT, Stage.ARCHIVED):
                del standing[move.version]
            assert list(standing.values()).count(Stage.PRODUCTION) <= 1
        assert standing == account.placements, "the moves lead to where versions stand"
        times = [move.at for move in account.moves]
        assert times == sorted(times), "moves come in the order of their times"
    keys = [move.key for move in moves_of(accounts)]
    assert len(keys) == len(set(keys)), "no two moves have the same key"


def check_nothing_is_made_up(whole: list[Account], part: list[Account]) -> None:
    true: dict[tuple[str, Stage], list[Any]] = {}
    for move in moves_of(whole):
        true.setdefault((move.version, move.target), []).append(move.at)
    for move in moves_of(part):
        times = true.get((move.version, move.target), [])
        if move.target is Stage.DRAFT and not move.exact:
            # Of a version under test that is gone without a trace nobody can say that it was in production before.
            times = times + true.get((move.version, Stage.ARCHIVED), [])
        assert times, f"{move} never happened"
        assert move.at in times if move.exact else min(times) <= move.at, f"{move} happened at {times}"
    assert {event.key for event in events_of(part)} <= {event.key for event in events_of(whole)}


@settings(max_examples=50, deadline=None)
@given(actions=HISTORIES)
def test_events_are_told_once_and_every_failure_and_accepted_request_is(actions: tuple[str, ...]) -> None:
    objects = play(*actions)
    told = [event for event in events_of(follow(objects)) if event.kind is not Kind.VERDICT]
    assert len({event.key for event in told}) == len(told)
    phase_times = [event.at for event in told if event.kind is Kind.PHASE]
    assert len(set(phase_times)) == len(phase_times), "a phase is told once, although what it is about drains and goes"
    failures = {found["status"]["failure"]["at"] for found in objects if "failure" in found["status"]}
    assert {event.at.isoformat() for event in told if event.kind is Kind.FAILURE} == failures
    asked = {found["status"]["request"]["id"] for found in objects if "request" in found["status"]}
    assert {event.details["id"] for event in told if event.kind is Kind.REQUEST} == asked


@settings(max_examples=40, deadline=None)
@given(actions=HISTORIES, others=HISTORIES)
def test_a_status_that_was_rebuilt_never_gives_two_versions_in_production(
    actions: tuple[str, ...], others: tuple[str, ...]
) -> None:
    """After a loss any status may follow any other, without the time at which its attempt began."""
    rebuilt = [wrap({k: v for k, v in found["status"].items() if k != "started"}) for found in play(*others)]
    standing: dict[str, Stage] = {}
    for account in follow([play(*actions)[-1], *rebuilt]):
        for move in account.moves:
            assert standing.pop(move.version, None) == move.source
            standing |= {} if move.target in (Stage.DRAFT, Stage.ARCHIVED) else {move.version: move.target}
            assert list(standing.values()).count(Stage.PRODUCTION) <= 1
        assert standing == account.placements
