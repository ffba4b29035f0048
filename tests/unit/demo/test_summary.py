"""The figures at the end, from a made-up performance with known times."""

import dataclasses
import json

import pytest
from rich.console import Console

from serin_demo import ledger, record, snapshot, story, summary, view, watch

FIRST, GOOD, BAD = story.ACTS


def make_answers(version, start, count, failed=(), every=0.1, status="200"):
    for number in range(count):
        at = start + number * every
        bad = number in failed
        yield ledger.Answer(
            "http", at - 0.01, at - 0.01, at, "500" if bad else status, version,
            ledger.Outcome.FAILED if bad else ledger.Outcome.OK,
        )  # fmt: skip


def make_ledger(*groups):
    book = ledger.Ledger()
    for answer in sorted((answer for group in groups for answer in group), key=lambda answer: answer.finished):
        book.record(answer)
    return book


# 1.2.0 answers from 20.0 to 22.9, fails first at 20.4; the alert holds since 22.5.
BOOK = make_ledger(
    make_answers("1.1.0", 10, 150),
    make_answers("1.2.0", 20, 30, failed={4, 9, 14, 19, 24, 29}),
)
PLAYED = (
    summary.Played(FIRST, 0, 5, story.Ending.PROMOTED),
    summary.Played(GOOD, 5, 18, story.Ending.PROMOTED),
    summary.Played(BAD, 18, 25, story.Ending.ROLLED_BACK, "AlertFiring: too many errors"),
)
WATCHED = summary.Watched(
    moments=[
        watch.Moment(1, "1.0.0", "Pending", 100, ""),
        watch.Moment(20, "1.2.0", "Canary", 10, ""),
        watch.Moment(23, "1.2.0", "RollingBack", 0, ""),
    ],
    alerts=[
        watch.Alert("Before", 3.0, firing=True, action="rollback"),
        watch.Alert("Other", 21.0, firing=True, action="notify"),
        watch.Alert("SerinErrorRate", 22.5, firing=True, action="rollback"),
    ],
)
FATES = [
    record.Fate("1.0.0", "MAJOR", ["the first version"], "ARCHIVED", []),
    record.Fate(
        "1.1.0", "MINOR", ["tuned"], "PRODUCTION", [record.Move(17, "PRODUCTION", "serin", "all steps passed")]
    ),
    record.Fate(
        "1.2.0",
        "MINOR",
        ["tuned"],
        "DRAFT",
        [record.Move(19, "CANARY", "serin", "it began"), record.Move(23, "DRAFT", "serin", "it was rolled back")],
    ),
]


def test_the_rollback_is_measured_at_the_last_bad_answer():
    told = summary.summarize(PLAYED, WATCHED, BOOK, {}, FATES)

    (rollback,) = told.rollbacks
    assert (rollback.answered, rollback.failed) == (30, 6)
    assert rollback.alert == "SerinErrorRate"
    assert rollback.alert_to_zero == pytest.approx(0.4)
    assert rollback.first_failure_to_zero == pytest.approx(2.5)
    assert (told.lost, told.problems) == (0, [])


def test_without_an_alert_there_is_no_figure_for_it():
    told = summary.summarize(PLAYED, summary.Watched(), BOOK, {}, FATES)

    assert told.rollbacks[0].alert is None
    assert told.rollbacks[0].alert_to_zero is None


def test_steps_tell_their_length_and_the_share_that_was_seen():
    told = summary.summarize(PLAYED, WATCHED, BOOK, {}, FATES)

    canary = told.steps[1]
    assert (canary.version, canary.phase, canary.weight) == ("1.2.0", "Canary", 10)
    assert (canary.began, canary.lasted) == (20, 3)
    assert canary.share == pytest.approx(0.5)
    assert canary.failed == 6


@pytest.mark.parametrize(
    ("played", "book", "problem"),
    [
        pytest.param(
            PLAYED,
            make_ledger(make_answers("1.1.0", 10, 3, failed={1})),
            "1 of 3 requests were lost",
            id="a failure of the good version is a lost request",
        ),
        pytest.param(
            PLAYED,
            make_ledger(make_answers(None, 10, 3, failed={0, 1, 2})),
            "3 of 3 requests were lost",
            id="so is an answer of nobody",
        ),
        pytest.param(PLAYED, ledger.Ledger(), "no request was sent", id="no traffic proves nothing"),
        pytest.param(
            (*PLAYED[:2], summary.Played(BAD, 18, 99, None)),
            BOOK,
            "1.2.0 was to be rolled back, but was still under way",
            id="an act without an ending",
        ),
        pytest.param(
            (*PLAYED[:2], summary.Played(BAD, 18, 99, story.Ending.PROMOTED)),
            BOOK,
            "1.2.0 was to be rolled back, but was promoted",
            id="a bad version that is promoted",
        ),
    ],
)
def test_what_went_wrong_is_a_problem(played, book, problem):
    told = summary.summarize(played, WATCHED, book, {}, FATES)

    assert any(problem in found for found in told.problems)


def test_a_version_that_the_registry_has_elsewhere_is_a_problem():
    stuck = dataclasses.replace(FATES[-1], stage="CANARY")

    told = summary.summarize(PLAYED, WATCHED, BOOK, {}, [*FATES[:-1], stuck])

    assert told.problems == ["the registry has version 1.2.0 in CANARY, and not in DRAFT"]


def test_the_summary_is_plain_json():
    told = summary.summarize(PLAYED, WATCHED, BOOK, {"1.1.0": 0.97368}, FATES)
    written = json.loads(json.dumps(summary.round_figures(told.as_json()), allow_nan=False))

    assert written["accuracy"] == {"1.1.0": 0.974}
    assert written["rollbacks"][0]["alert_to_zero"] == 0.4
    assert summary.round_figures([float("nan"), float("inf")]) == [None, None]


def render(thing):
    console = Console(width=130, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115 -- console's own file
    console.print(thing)
    console.file.close()
    return console.export_text()


def test_the_end_is_told_in_words_and_figures():
    accuracy = {"1.0.0": 0.925, "1.1.0": 0.974}
    text = render(view.make_summary(summary.summarize(PLAYED, WATCHED, BOOK, accuracy, FATES)))

    for part in (
        "0.40 s",
        "2.50 s",
        "SerinErrorRate",
        "30 requests and failed 6",
        "1.1.0 97.4 %",
        "CANARY at 19.0 s → DRAFT at 23.0 s (it was rolled back)",
        "nothing else was lost",
    ):
        assert part in text


SCENE = view.Scene(
    act=BAD,
    number=3,
    seconds=42,
    sight=watch.Sight(
        rollout=snapshot.Snapshot(phase="Canary", weight=10, stable="1.1.0", candidate="1.2.0", message="at 10 %"),
        observed={"1.1.0": 90.2, "1.2.0": 9.8},
        alerts=[
            watch.Alert("SerinErrorRate", 22.5, firing=True, action="rollback"),
            watch.Alert("SerinSlow", 22.5, firing=False, action="rollback"),
            watch.Alert("SerinNews", 22.5, firing=True, action="notify"),
        ],
        events=[watch.Event("2026-11-21T03:00:01Z", "StepReached", "version 1.2.0 gets 10 %", warning=False)],
    ),
    recent=ledger.Tally({"1.1.0": 450, "1.2.0": 50}, {"1.2.0": 10}),
    versions=("1.0.0", "1.1.0", "1.2.0"),
)


def test_the_picture_shows_weights_shares_errors_and_alerts():
    text = render(view.make_picture(SCENE))

    for part in (
        "version 1.2.0",
        "Canary",
        "9.8 %",
        "10.0 %",
        "20.0 %",
        "100/s",
        "ALERT SerinErrorRate",
        "StepReached",
    ):
        assert part in text
    assert "SerinSlow" not in text
    assert "SerinNews" not in text


def test_a_line_tells_the_same_to_a_log():
    line = view.make_line(SCENE)

    assert "Canary" in line
    assert "1.2.0 10 % (seen 10.0 %, errors 20.0 %)" in line
    assert "ALERT SerinErrorRate" in line


@pytest.mark.parametrize("percent", [0, 0.4, 50, 99.9, 100, 120])
def test_a_bar_is_always_as_long(percent):
    bar = view.make_bar(percent, "green").plain

    assert bar.count("━") + bar.count("╌") == 14
    assert (bar.count("╌") == 0) is (percent > 99)
