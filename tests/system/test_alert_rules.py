"""The chart's rules, evaluated by promtool over simulated versions: good, bad, slow, restarted and replaced ones."""

import itertools
import random
import re
import statistics
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from prometheus_client import utils

from serin.api import metrics
from serin_local import binaries
from support import promtool
from support.promtool import Question, Sample, Series

NAMESPACE = "shop"
# As on the local cluster: a scrape and an evaluation every second.
FAST = ("--set", "scrapeInterval=1s,prometheusRule.interval=1s,prometheusRule.windows={10s,1m}")
# Nothing happens before this second, so that a version has been seen at 0 before it answers.
START = 15
RATE = 10
Z = 3

Rules = Mapping[str, object]
Ask = Callable[..., list[promtool.Answer]]


@pytest.fixture(scope="module")
def rules() -> Rules:
    return promtool.rules_of(*FAST)


@pytest.fixture
def ask(rules: Rules, tmp_path: Path) -> Ask:
    """Evaluate the rules every second and answer questions."""
    return lambda series, *questions: promtool.ask(rules, series, questions, tmp_path)


def first_fired(until: int) -> Question:
    """In which second each rollback alert fired first."""
    alerts = 'ALERTS{alertstate="firing", serin_action="rollback"}'
    return Question(f"min_over_time(timestamp({alerts})[{until + 1}s:1s])", until)


def about_errors(rules: Rules) -> Rules:
    """The rules without those that have no part in the alert on errors, because all of them take longer."""
    [group] = [group for group in rules["groups"] if group["name"] == "serin-rollback"]
    others = re.compile("latency|within|stable", re.IGNORECASE)
    kept = [
        rule
        for rule in group["rules"]
        if not others.search(rule.get("alert", "") + rule.get("record", "") + rule["expr"])
    ]
    assert [rule["alert"] for rule in kept if "alert" in rule] == ["SerinErrorRateAboveLimit"]
    return {"groups": [group | {"rules": kept}]}


@pytest.fixture
def ask_errors(rules: Rules, tmp_path: Path) -> Ask:
    """Evaluate the rules on errors every second and answer questions."""
    return lambda series, *questions: promtool.ask(about_errors(rules), series, questions, tmp_path)


def labels(name: str, revision: str, pod: str = "0") -> dict[str, str]:
    """What the scrape puts on a model server's series."""
    return {
        "namespace": NAMESPACE,
        "modeldeployment": name,
        "revision": revision,
        "pod": f"{name}-{revision}-{pod}",
    }


def answers(
    name: str, revision: str, outcomes: Iterable[Mapping[str, float]], pod: str = "0", start: int = START
) -> Iterator[Series]:
    """A pod's request counters, given the outcomes of each second from `start` on."""
    seconds = [{}] * start + list(outcomes)
    for outcome, code in (("ok", "200"), ("refused", "400"), ("failed", "500")):
        counts = promtool.counter(second.get(outcome, 0) for second in seconds)
        own = {"version": "1", "protocol": "http", "outcome": outcome, "code": code}
        yield Series(metrics.REQUESTS, labels(name, revision, pod) | own, counts)


def times(name: str, revision: str, seconds: Iterable[Mapping[float, float]], start: int = START) -> Iterator[Series]:
    """A pod's latency histogram: how many answers of each second took how long."""
    taken = [{}] * start + list(seconds)
    for bound in (*metrics.LATENCY_BUCKETS, float("inf")):
        counts = promtool.counter(sum(n for took, n in second.items() if took <= bound) for second in taken)
        own = {"version": "1", "protocol": "http", "le": utils.floatToGoString(bound)}
        yield Series(f"{metrics.REQUEST_SECONDS}_bucket", labels(name, revision) | own, counts)


def threshold(
    name: str, revision: str, limit: float, criterion: str = "errorRate", operator: str = "a", lasts: int = 4000
) -> Series:
    """A limit as an operator exports it."""
    own = {"criterion": criterion, "bound": "max", "pod": operator, "instance": f"{operator}:8080"}
    of = {"namespace": NAMESPACE, "modeldeployment": name, "revision": revision}
    return Series(metrics.THRESHOLD, of | own, [limit] * lasts)


def steadily(seconds: int, **outcomes: float) -> list[dict[str, float]]:
    """The same outcomes every second."""
    return [dict(outcomes)] * seconds


def at_random(seed: str, seconds: int, rate: int, failing: float) -> list[dict[str, float]]:
    """Outcomes of each second of a version that fails a share of its answers."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    fails = [sum(chance.random() < failing for _ in range(rate)) for _ in range(seconds)]
    return [{"ok": rate - failed, "failed": failed} for failed in fails]


def first_bad(outcomes: Iterable[Mapping[str, float]]) -> int:
    return START + next(second for second, counts in enumerate(outcomes) if counts.get("failed"))


@pytest.mark.parametrize("arguments", [pytest.param((), id="defaults"), pytest.param(FAST, id="every second")])
def test_promtool_finds_nothing_to_say_about_the_rules(arguments: tuple[str, ...], tmp_path: Path) -> None:
    try:
        report = promtool.check(promtool.rules_of(*arguments), tmp_path)
    except subprocess.CalledProcessError as error:
        pytest.fail(error.stdout + error.stderr)
    assert "SUCCESS" in report


def test_every_rollback_alert_says_what_the_operator_needs(rules: Rules) -> None:
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    for alert in alerts:
        assert alert["labels"]["serin_action"] in {"rollback", "notify"}
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert {"summary", "description", "runbook"} == set(alert["annotations"])
    rollback = {alert["alert"]: alert["labels"]["criterion"] for alert in alerts if "criterion" in alert["labels"]}
    assert rollback == {
        "SerinErrorRateAboveLimit": "errorRate",
        "SerinLatencyP50AboveLimit": "latencyP50",
        "SerinLatencyP95AboveLimit": "latencyP95",
        "SerinLatencyP99AboveLimit": "latencyP99",
        "SerinRefusesWhatStableAccepts": "refused",
    }


# ---- how much evidence is enough


def test_the_counts_that_roll_a_version_back_at_a_limit_of_five_percent(ask_errors: Ask) -> None:
    """Worked by hand from Wilson's bound at z = 3: six of 30 and eight of 50 are the least that fire."""
    table = {(29, 29): False, (30, 5): False, (30, 6): True, (50, 7): False, (50, 8): True, (100, 11): False,
             (100, 12): False, (100, 13): True, (1000, 71): False, (1000, 72): True}  # fmt: skip
    series = []
    for answered, failed in table:
        name = f"of-{answered}-{failed}"
        series += answers(name, "new", [{"ok": answered - failed, "failed": failed}, *steadily(3)])
        series += [threshold(name, "new", 0.05)]

    [fired] = ask_errors(series, first_fired(START + 3))

    seen = {(n, k): promtool.value_of(fired, modeldeployment=f"of-{n}-{k}") is not None for n, k in table}
    assert seen == table


def test_a_limit_of_zero_waits_for_five_failures_and_no_more(ask_errors: Ask) -> None:
    series = [
        *answers("four", "new", [{"ok": 96, "failed": 4}, *steadily(3)]),
        *answers("five", "new", [{"ok": 95, "failed": 5}, *steadily(3)]),
        threshold("four", "new", 0),
        threshold("five", "new", 0),
    ]
    [fired] = ask_errors(series, first_fired(START + 3))
    assert promtool.value_of(fired, modeldeployment="four") is None
    assert promtool.value_of(fired, modeldeployment="five") == START


# ---- how soon, and never without reason


def test_a_version_that_fails_a_fifth_is_seen_within_seconds(
    ask_errors: Ask, record_property: Callable[..., None]
) -> None:
    """Ten requests a second; counted from the second in which the first failure was scraped."""
    stories = {f"seed-{seed}": at_random(f"fifth-{seed}", 60, RATE, 0.2) for seed in range(40)}
    stories["every-fifth"] = steadily(60, ok=8, failed=2)
    series = itertools.chain.from_iterable(
        [*answers(name, "new", outcomes), threshold(name, "new", 0.05)] for name, outcomes in stories.items()
    )

    [fired] = ask_errors(series, first_fired(START + 60))

    seen = {name: promtool.value_of(fired, modeldeployment=name) for name in stories}
    assert None not in seen.values()
    waits = {name: second - first_bad(stories[name]) for name, second in seen.items() if second is not None}
    by_chance = sorted(wait for name, wait in waits.items() if name.startswith("seed"))
    median, p95 = statistics.median(by_chance), by_chance[round(0.95 * len(by_chance)) - 1]
    record_property("first detection, seconds: every fifth / median / p95", (waits["every-fifth"], median, p95))
    print(f"first detection: every fifth {waits['every-fifth']} s; by chance median {median} s, p95 {p95} s")
    assert waits["every-fifth"] == 2
    assert median <= 3
    assert p95 <= 6


def test_at_a_tenth_of_the_traffic_the_long_window_sees_it(ask_errors: Ask) -> None:
    """One request a second never makes 30 in ten seconds."""
    outcomes = list(itertools.islice(itertools.cycle([{"ok": 1}] * 4 + [{"failed": 1}]), 60))
    [fired] = ask_errors([*answers("m", "new", outcomes), threshold("m", "new", 0.05)], first_fired(START + 60))
    assert promtool.value_of(fired, modeldeployment="m") == START + 29


def find_first_alert(answered: np.ndarray, failed: np.ndarray, limit: float) -> np.ndarray:
    """The second in which each row of counts raises the alert, by the formula alone; -1 where it never does."""
    fires = np.zeros(answered.shape, dtype=bool)
    for window in (10, 60):
        n, k = (np.cumsum(counts, axis=1, dtype=float) for counts in (answered, failed))
        n[:, window:], k[:, window:] = n[:, window:] - n[:, :-window], k[:, window:] - k[:, :-window]
        root = np.sqrt(Z**2 - 2 - 1 / np.maximum(n, 1) + 4 * k * (n - k + 1) / np.maximum(n, 1))
        fires |= (n >= 30) & (k >= 5) & ((2 * k + Z**2 - 1 - Z * root) / (2 * (n + Z**2)) > limit)
    return np.where(fires.any(axis=1), fires.argmax(axis=1), -1)


@pytest.mark.parametrize("failing", [0.02, 0.08, 0.2], ids="fails {:.0%}".format)
def test_the_rules_and_the_formula_agree_in_every_second(ask_errors: Ask, failing: float) -> None:
    stories = {f"m{seed}": at_random(f"agree-{failing}-{seed}", 90, RATE, failing) for seed in range(12)}
    series = itertools.chain.from_iterable(
        [*answers(name, "new", outcomes), threshold(name, "new", 0.05)] for name, outcomes in stories.items()
    )
    counts = [[second["failed"] for second in outcomes] for outcomes in stories.values()]
    expected = find_first_alert(np.full((12, 90), RATE), np.array(counts), 0.05)

    [fired] = ask_errors(series, first_fired(START + 89))

    seen = [promtool.value_of(fired, modeldeployment=name) for name in stories]
    assert [-1 if second is None else second - START for second in seen] == expected.tolist()


HOUR = 3600


@pytest.mark.parametrize("rate", [1, 3, RATE, 100], ids="{} requests a second".format)
def test_equal_versions_with_one_percent_errors_survive_a_thousand_hours(rate: int) -> None:
    """By the formula, which the rules are shown to follow: at most one hour in a thousand may end in a rollback."""
    chance = np.random.default_rng(rate)
    hours = 1000
    failed = chance.binomial(rate, 0.01, size=(hours, HOUR))
    fired = find_first_alert(np.full_like(failed, rate), failed, 0.05)
    assert (fired >= 0).sum() <= 1


def test_an_equal_version_with_one_percent_errors_survives_an_hour_of_the_rules(ask_errors: Ask) -> None:
    """Ten requests a second, looked at every second."""
    outcomes = at_random("hour", HOUR, RATE, 0.01)
    assert any(second["failed"] for second in outcomes)
    series = [one for one in answers("m", "new", outcomes) if one.labels["outcome"] != "refused"]
    chosen = 'window="10s", criterion="errorRate"'

    [looked, fired] = ask_errors(
        [*series, threshold("m", "new", 0.05)],
        Question(f"count_over_time(revision:serin_bad_answers:count{{{chosen}}}[1h])", HOUR + START - 1),
        first_fired(HOUR + START - 1),
    )

    assert list(looked.values()) == [HOUR]
    assert fired == {}


# ---- slowness


def test_slowness_must_last_and_a_pause_is_none(ask: Ask) -> None:
    """A limit of 250 ms for the 95th percentile, so 5 % may be slower; the shortest window is 10 s."""
    slow, fast = {0.02: 8, 0.4: 2}, {0.02: 10}
    stories = {
        "slow": [slow] * 120,
        "at-the-limit": [{0.25: 10}] * 120,
        "paused": [fast] * 40 + [{3.0: 10}] * 2 + [fast] * 78,
        "slow-at-first": [{0.4: 10}] * 2 + [fast] * 118,
    }
    series = itertools.chain.from_iterable(
        [*times(name, "new", seconds), threshold(name, "new", 0.25, "latencyP95")] for name, seconds in stories.items()
    )
    [fired] = ask(series, first_fired(START + 119))
    assert [(dict(key)["modeldeployment"], dict(key)["criterion"]) for key in fired] == [("slow", "latencyP95")]
    # Known in the third second, as with errors; and again in the window after that one.
    assert list(fired.values()) == [START + 12]


def test_every_limit_finds_its_bucket(ask: Ask) -> None:
    """The bucket's `le` is text that the client library wrote; a limit's value must lead to the same text."""
    series: list[Series] = []
    for number, bound in enumerate(metrics.LATENCY_BUCKETS):
        series += times(f"m{number}", "new", [{bound: 20, bound * 1.01: 20}] * 30)
        series.append(threshold(f"m{number}", "new", bound, "latencyP95"))
    [counted] = ask(
        series, Question('revision:serin_bad_answers:count{criterion="latencyP95", window="10s"}', START + 20)
    )
    assert sorted(counted.values()) == [200] * len(metrics.LATENCY_BUCKETS)


@pytest.mark.parametrize(
    ("criterion", "slow", "fires"),
    [
        pytest.param("latencyP50", 4, False, id="two fifths are slow and half may be"),
        pytest.param("latencyP50", 9, True, id="nine tenths are slow and half may be"),
        pytest.param("latencyP95", 2, True, id="a fifth is slow and a twentieth may be"),
        pytest.param("latencyP99", 2, True, id="a fifth is slow and a hundredth may be"),
    ],
)
def test_each_percentile_has_its_share(ask: Ask, criterion: str, slow: int, fires: bool) -> None:
    series = [*times("m", "new", [{0.02: 10 - slow, 0.9: slow}] * 40), threshold("m", "new", 0.3, criterion)]
    [fired] = ask(series, first_fired(START + 39))
    assert [dict(key)["criterion"] for key in fired] == ([criterion] if fires else [])


def test_two_criteria_on_one_bucket_are_two_limits(ask: Ask) -> None:
    series = [
        *times("m", "new", [{0.02: 5, 0.9: 5}] * 40),
        *(threshold("m", "new", 0.3, criterion) for criterion in ("latencyP50", "latencyP95", "latencyP99")),
    ]
    [fired] = ask(series, first_fired(START + 39))
    assert {dict(key)["criterion"] for key in fired} == {"latencyP95", "latencyP99"}


# ---- whose fault a refusal is


@pytest.mark.parametrize(
    ("stable", "new", "fires"),
    [
        pytest.param({"ok": 27}, {"ok": 0, "refused": 3}, True, id="the new version refuses what stable accepts"),
        pytest.param(
            {"ok": 18, "refused": 9}, {"ok": 2, "refused": 1}, False, id="a client sends both versions garbage"
        ),
        pytest.param({"refused": 27}, {"refused": 3}, False, id="all that comes is garbage"),
        pytest.param({}, {"refused": 3}, False, id="nobody is there to compare with"),
        pytest.param({"ok": 27}, {"ok": 3}, False, id="nothing is refused"),
    ],
)
def test_refusals_count_only_against_the_version_beside_it(
    ask: Ask, stable: dict[str, float], new: dict[str, float], fires: bool
) -> None:
    series = [
        *answers("m", "old", steadily(60, **stable)),
        *answers("m", "new", steadily(60, **new)),
        threshold("m", "new", 0.05),
    ]
    [fired] = ask(series, first_fired(START + 59))
    assert [(dict(key)["alertname"], dict(key)["revision"]) for key in fired] == (
        [("SerinRefusesWhatStableAccepts", "new")] if fires else []
    )


# ---- whose failures count


def test_only_the_revision_under_test_is_rolled_back(ask_errors: Ask) -> None:
    """The stable version fails just as much, and so does an object that has no limits."""
    series = [
        *answers("m", "old", steadily(30, ok=8, failed=2)),
        *answers("m", "new", steadily(30, ok=8, failed=2)),
        *answers("without", "new", steadily(30, ok=8, failed=2)),
        threshold("m", "new", 0.05),
    ]
    [fired] = ask_errors(series, first_fired(START + 29))
    assert [(dict(key)["modeldeployment"], dict(key)["revision"]) for key in fired] == [("m", "new")]


def test_a_new_revision_starts_with_a_clean_record(ask_errors: Ask) -> None:
    """A mended version follows a bad one at once; the old one's alert may linger, but not on the new one."""
    bad, mended = steadily(20, ok=8, failed=2), steadily(40, ok=10)
    series = [
        *answers("m", "bad", bad + steadily(40)),
        *answers("m", "mended", mended, start=START + 20),
        Series(metrics.THRESHOLD, threshold("m", "bad", 0.05).labels, [0.05] * (START + 20) + [promtool.STALE]),
        Series(metrics.THRESHOLD, threshold("m", "mended", 0.05).labels, [None] * (START + 20) + [0.05] * 40),
    ]
    [fired, later] = ask_errors(
        series, first_fired(START + 59), Question('ALERTS{serin_action="rollback"}', START + 59)
    )
    assert [dict(key)["revision"] for key in fired] == ["bad"]
    assert later.keys() <= {key for key in later if dict(key)["revision"] == "bad"}


def test_pods_of_a_revision_are_counted_together(ask_errors: Ask) -> None:
    series = [
        *itertools.chain.from_iterable(
            answers("m", "new", steadily(20, ok=ok, failed=failed), pod=pod)
            for pod, ok, failed in (("0", 10, 0), ("1", 5, 5), ("2", 10, 0))
        ),
        threshold("m", "new", 0.05),
    ]
    [counted] = ask_errors(
        series, Question("revision:serin_bad_answers:count / revision:serin_answers:count", START + 10)
    )
    assert promtool.value_of(counted, criterion="errorRate", window="10s") == pytest.approx(5 / 30)


# ---- what must not blind or deceive the rules


def test_a_second_operator_makes_no_error_and_blinds_nobody(ask_errors: Ask) -> None:
    """Two replicas, or one restarted under another address, export the same limits; one of them an older limit."""
    series = [
        *answers("m", "new", steadily(30, ok=8, failed=2)),
        *answers("other", "new", steadily(30, ok=8, failed=2)),
        threshold("m", "new", 0.05, operator="a"),
        threshold("m", "new", 0.05, operator="b"),
        threshold("other", "new", 0.05, operator="a"),
        threshold("other", "new", 0.5, operator="b"),
    ]
    [fired] = ask_errors(series, first_fired(START + 29))
    assert [dict(key)["modeldeployment"] for key in fired] == ["m"]


@pytest.mark.parametrize(
    ("gone", "fires"),
    [
        pytest.param(60, True, id="for a minute"),
        pytest.param(200, False, id="for longer than limits are remembered"),
    ],
)
def test_limits_outlive_an_operator_that_is_restarted(ask_errors: Ask, gone: int, fires: bool) -> None:
    series = [
        *answers("m", "new", [*steadily(gone - 10, ok=10), *steadily(10, ok=8, failed=2)]),
        Series(metrics.THRESHOLD, threshold("m", "new", 0.05).labels, [0.05] * START + [promtool.STALE]),
    ]
    [fired] = ask_errors(series, first_fired(START + gone - 1))
    assert bool(fired) == fires


def count_bad(ask: Ask, series: Iterable[Series], *times_and_windows: tuple[int, str]) -> list[tuple[float, float]]:
    """Failed and all answers that the rules count, at each time and for its window."""
    chosen = [(at, f'{{criterion="errorRate", window="{window}"}}') for at, window in times_and_windows]
    counted = ask(
        series,
        *(Question(f"revision:serin_bad_answers:count{labels}", at) for at, labels in chosen),
        *(Question(f"revision:serin_answers:count{labels}", at) for at, labels in chosen),
    )
    values = [promtool.value_of(one) or 0 for one in counted]
    return list(zip(values[: len(chosen)], values[len(chosen) :], strict=True))


def test_counts_are_exact_and_not_extrapolated(ask_errors: Ask) -> None:
    """In the ninth second the version has answered for nine seconds, and `increase` would make ten of them."""
    series = list(answers("m", "new", steadily(60, ok=19, failed=1)))
    counted = count_bad(ask_errors, series, (START + 8, "10s"), (START + 8, "1m"), (START + 40, "10s"))
    assert counted == [(9, 180), (9, 180), (10, 200)]


def with_gap(series: Iterable[Series], start: int, end: int, filler: Sample) -> list[Series]:
    return [
        Series(one.name, one.labels, [filler if start <= second < end else sample
                                      for second, sample in enumerate(one.samples)])
        for one in series
    ]  # fmt: skip


@pytest.mark.parametrize("filler", [pytest.param(None, id="missing"), pytest.param(promtool.STALE, id="stale")])
def test_failed_scrapes_lose_and_invent_nothing(ask_errors: Ask, filler: Sample) -> None:
    """Five failed scrapes: counts lag while they last and are whole again after them."""
    series = with_gap(answers("m", "new", steadily(60, ok=19, failed=1)), START + 30, START + 35, filler)
    times = [(START + after, "10s") for after in (34, 36, 43, 50)]
    # At 43, the sample ten seconds ago had failed, so the one before the gap begins the window.
    assert count_bad(ask_errors, series, *times) == [(5, 100), (10, 200), (14, 280), (10, 200)]


def test_a_restarted_pod_counts_from_its_restart(ask_errors: Ask) -> None:
    """Its counters begin again; what they said before is neither taken away nor counted twice."""
    before, after = steadily(30, ok=9, failed=1), steadily(30, ok=9, failed=1)
    series = []
    for first, second in zip(answers("m", "new", before), answers("m", "new", after, start=0), strict=True):
        series.append(Series(first.name, first.labels, [*first.samples, *second.samples]))
    restart = START + 30
    counted = count_bad(ask_errors, series, (restart + 4, "10s"), (restart + 25, "10s"), (restart + 25, "1m"))
    # The long window begins at 0, before the first answer, so only what came before the restart is missing in it.
    assert counted == [(4, 40), (10, 100), (26, 260)]


def test_failures_of_a_pod_that_is_gone_still_count(ask_errors: Ask) -> None:
    series = with_gap(answers("m", "new", steadily(20, ok=8, failed=2)), START + 4, START + 20, promtool.STALE)
    [fired] = ask_errors([*series, threshold("m", "new", 0.05)], first_fired(START + 8))
    assert promtool.value_of(fired, modeldeployment="m") == START + 2


# ---- what people are told


def test_an_alert_carries_its_numbers(ask: Ask, tmp_path: Path) -> None:
    series = [*answers("m", "new", steadily(20, ok=8, failed=2)), threshold("m", "new", 0.05)]
    ask(series, Question("vector(1)", START + 5))
    story = yaml.safe_load((tmp_path / "story.yaml").read_text())
    del story["tests"][0]["promql_expr_test"]
    expected = {
        "exp_labels": {
            "namespace": NAMESPACE, "modeldeployment": "m", "revision": "new",
            "criterion": "errorRate", "serin_action": "rollback", "severity": "warning",
        },
        "exp_annotations": {
            "summary": "m: revision new fails 20% of its answers, 5% are allowed",
            "description": "Failed: 12 of 60 answers in 1m.",
            "runbook": "Serin gives this revision's traffic back to the stable version by itself. `kubectl describe "
            "mdep -n shop m` says what was seen; the failed pods stay for `failedRetention`, so read their logs, then "
            "apply a mended image as a new version.",
        },
    }  # fmt: skip
    alerts = [{"eval_time": f"{START + 5}s", "alertname": "SerinErrorRateAboveLimit", "exp_alerts": [expected]}]
    story["tests"][0]["alert_rule_test"] = alerts
    (tmp_path / "story.yaml").write_text(yaml.safe_dump(story))

    command = [str(binaries.path("promtool")), "test", "rules", str(tmp_path / "story.yaml")]
    report = subprocess.run(command, capture_output=True, text=True, check=False)

    assert report.returncode == 0, report.stdout + report.stderr


OF = {"namespace": NAMESPACE, "modeldeployment": "m"}
UP = Series("up", {"job": "serin", "namespace": "serin-system", "pod": "a"}, [1] * 100)
MINUTES = 100


def log_counts(dropped: float = 0, failed: float = 0) -> Iterator[Series]:
    """A pod's prediction log, which loses rows late, if at all."""
    counts = {metrics.PREDICTION_LOG_DROPPED: dropped, metrics.PREDICTION_LOG_FAILED: failed}
    for name, lost in counts.items():
        yield Series(name, labels("m", "new") | {"version": "1"}, [0] * 45 + [lost] * 55)


@pytest.mark.parametrize(
    ("series", "alert"),
    [
        pytest.param([UP], None, id="all is well"),
        pytest.param([], "SerinOperatorDown", id="the operator is gone"),
        pytest.param([Series("up", UP.labels, [0] * MINUTES)], "SerinOperatorDown", id="the operator does not answer"),
        pytest.param([UP, Series("serin_reconcile_errors_total", OF, list(range(MINUTES)))], "SerinReconcileErrors",
                     id="an object fails every minute"),
        pytest.param([UP, Series(metrics.VERDICT, OF | {"verdict": "Unavailable"}, [1] * MINUTES)],
                     "SerinAnalysisUnavailable", id="Prometheus does not answer the operator"),
        pytest.param([UP, threshold("m", "new", 0.05, lasts=MINUTES)], "SerinRevisionNotScraped",
                     id="nobody scrapes the version under test"),
        pytest.param([UP, Series(metrics.PHASE, OF | {"phase": "RolledBack"}, [1] * MINUTES)], "SerinRolledBack",
                     id="a version was rolled back"),
        pytest.param([UP, Series(metrics.FOREIGN_WRITES, OF, [0] * 45 + [1] * 55)], "SerinForeignWrites",
                     id="someone else writes the route"),
        pytest.param([UP, *log_counts(dropped=1)], "SerinPredictionLogLosesRows", id="the log drops a row"),
        pytest.param([UP, *log_counts(failed=1)], "SerinPredictionLogLosesRows", id="the log's sink refuses a row"),
        pytest.param([UP, *log_counts()], None, id="the log loses nothing"),
    ],
)  # fmt: skip
def test_people_are_told(series: list[Series], alert: str | None, tmp_path: Path) -> None:
    """The chart's defaults, with a scrape and an evaluation every minute."""
    shipped = promtool.rules_of("--set", "scrapeInterval=30s")
    question = Question('ALERTS{alertstate="firing", serin_action="notify"}', 50 * 60)
    [fired] = promtool.ask(shipped, series, [question], tmp_path, interval=60)
    assert [dict(key)["alertname"] for key in fired] == ([alert] if alert else [])
