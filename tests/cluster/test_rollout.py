"""A version goes to production, and comes back when it is bad; traffic is counted by who answered."""

import subprocess
from datetime import datetime, timedelta

import pytest

import dashboards
from serin_demo import ledger
from serin_local import binaries
from support import operating, recorder
from support import world as worlds

# 2,000 requests at each weight, within a step and without the moments at which the gateway takes the weight over.
RATE, STEP_SECONDS, REQUESTS = 250, 10, 2000
SETTLE_SECONDS = 0.5


def kubectl_wait(model: worlds.Model, condition: str) -> "subprocess.Popen[str]":
    """Wait as a pipeline does, beside the test."""
    argv = [str(binaries.path("kubectl")), "--kubeconfig", str(model.world.where.kubeconfig), "-n", model.namespace]
    wait = ["wait", f"--for=condition={condition}", f"mdep/{model.name}", "--timeout=180s"]
    return subprocess.Popen([*argv, *wait], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def assert_met(waiting: "subprocess.Popen[str]") -> None:
    said, _ = waiting.communicate(timeout=180)
    assert waiting.returncode == 0, said
    assert "condition met" in said


def count(answers: ledger.Ledger, step: recorder.Step) -> ledger.Tally:
    """Count who answered while the route carried a step."""
    return ledger.tally(answers.between(step.since.timestamp() + SETTLE_SECONDS, step.end.timestamp()))


# With what is off by default, so that its panels have something to show.
WATCHED_SERVER = {
    "name": "server",
    "env": [{"name": "SERIN_PREDICTION_LOG", "value": "-"}, {"name": "SERIN_CACHE_ENTRIES", "value": "10"}],
}


def ask_every_panel(model: worlds.Model) -> dict[str, str]:
    """Ask Prometheus every query of every panel; give those that had no result, and what was said."""
    silent = {}
    for query in dashboards.list_queries(model.namespace, model.name):
        try:
            if not model.world.query(query.expression):
                silent[f"{query.dashboard}: {query.panel}: {query.expression}"] = "no result"
        except AssertionError as error:
            silent[f"{query.dashboard}: {query.panel}: {query.expression}"] = str(error)
    return silent


def test_a_good_version_goes_to_production_without_losing_a_request(model: worlds.Model) -> None:
    steps = [*({"weight": w, "duration": f"{STEP_SECONDS}s"} for w in (10, 25, 50)), {"weight": 100}]
    strategy = worlds.make_canary(staging={"duration": "5s"}, steps=steps)
    model.apply("1.0.0", strategy=strategy, template={"spec": {"containers": [WATCHED_SERVER]}})
    assert_met(kubectl_wait(model, "Ready"))
    model.wait_stable("1.0.0")

    with model.traffic(rate=RATE) as replay, recorder.Recorder(model) as record:
        model.wait("requests", lambda _: len(replay.ledger) > RATE)
        model.apply("1.1.0")
        promoted = kubectl_wait(model, "Promoted")
        model.wait_phase("Staging")
        model.wait(
            "mirrored requests at the candidate", lambda _: model.metric("serin_requests_total", version="1.1.0") > 0
        )
        model.wait_weight(50, 120)
        model.world.wait("a result of every panel", lambda: ask_every_panel(model), lambda silent: not silent, 20)
        model.wait_stable("1.1.0", 120)
    assert_met(promoted)

    assert worlds.describe_lost(replay.ledger) == []
    assert record.route_weights() == [0, 10, 25, 50, 100]
    staged, *shares = [step for step in record.steps() if step.phase in ("Staging", "Canary", "Baking")]
    assert (staged.phase, staged.weight) == ("Staging", 0)
    assert staged.duration >= timedelta(seconds=5)
    assert "1.1.0" not in count(replay.ledger, staged).answers
    assert [(step.phase, step.weight) for step in shares] == [
        ("Canary", 10),
        ("Canary", 25),
        ("Canary", 50),
        ("Baking", 100),
    ]
    for step in shares[:-1]:
        seen = count(replay.ledger, step)
        assert seen.total >= REQUESTS
        assert seen.share("1.1.0") * 100 == pytest.approx(step.weight, abs=5), step
        assert step.duration >= timedelta(seconds=STEP_SECONDS), step
        assert record.shown_seconds(step.weight) >= STEP_SECONDS
    assert shares[-1].duration >= timedelta(seconds=5)
    # By the route alone: the status says what was decided a moment before the route carries it.
    assert not any(sight.mirror and sight.weights.get("b") for sight in record.sights)


@pytest.fixture
def bad(model: worlds.Model) -> worlds.Model:
    """Give an object that serves 1.0.0 and will hold a version at 10 % until an alert about it fires."""
    analysis = {"minRequests": 1000, "criteria": [{"name": "errorRate", "max": "0.05"}]}
    model.apply("1.0.0", analysis=analysis, failedRetention="15s")
    model.wait_stable("1.0.0")
    return model


def test_a_bad_version_comes_back_on_an_alert_and_says_why(bad: worlds.Model) -> None:
    with bad.traffic(rate=100) as replay:
        bad.wait("requests", lambda _: len(replay.ledger) > 100)
        bad.apply("1.2.0")
        status = bad.wait_phase("RolledBack", seconds=90)
        kept = bad.pods("1.2.0")
        failure = status["failure"]

        assert (failure["version"], failure["reason"]) == ("1.2.0", "AlertFiring")
        assert failure["alert"].startswith("Serin")
        assert "requests, limit 0.05" in failure["numbers"]["errorRate"]
        assert bad.route_weights() == {"a": 100, "b": 0}
        assert [bad.condition(kind)["status"] for kind in ("RolledBack", "Stalled", "Ready", "Promoted")] == [
            *("True", "True", "True", "False")
        ]
        assert bad.condition("RolledBack")["reason"] == "AlertFiring"
        assert any(reason == "AlertFiring" and failure["alert"] in note for reason, note in bad.events())
        log = operating.Operator(bad.world).logs()
        assert f"{bad.namespace}/{bad.name} RollingBack: AlertFiring" in log
        bad.wait_metric("serin_rollouts_total", 1, outcome="rolled_back")

        assert len(kept) == 1, "the failed version's pod is kept for inspection"
        until = datetime.fromisoformat(status["retained"][0]["until"])
        assert until - datetime.fromisoformat(failure["at"]) >= timedelta(seconds=15)
        bad.world.wait("the failed pod to go", lambda: bad.pods("1.2.0"), lambda pods: not pods, 40)

        bad.ask("retry")
        again = bad.wait("the second attempt", lambda s: s["attempt"] == 2)
        assert again["candidate"]["version"] == "1.2.0"
        bad.ask("rollback")
        bad.wait("the end of the second attempt", lambda s: s["phase"] in ("RollingBack", "RolledBack"))

    assert worlds.describe_lost(replay.ledger, bad={"1.2.0"}) == []
    assert replay.ledger.total().failures.get("1.2.0", 0) > 0
