"""How fast a bad version loses its traffic, as its clients see it: 20 rollbacks, one after another."""

import statistics
import time
from dataclasses import dataclass

from support import report
from support import world as worlds

ROLLBACKS = 20
# Half of 20 requests/s is 10 requests/s to the bad version, which fails a fifth of them.
RATE, WEIGHT = 20, 50


@dataclass(frozen=True)
class Rollback:
    """One rollback: seconds from the alert, and from the first bad answer, to the bad version's last answer."""

    from_alert: float
    from_first_failure: float
    answered: int
    failed: int


def find_first_firing(model: worlds.Model, since: float) -> float:
    """Find when Prometheus first had an alert of this object firing: the time of the evaluation."""
    labels = f'alertstate="firing",serin_action="rollback",namespace="{model.namespace}"'
    revision = model.status()["failure"]["revision"]
    selector = f'ALERTS{{{labels},revision="{revision}"}}[2m]'
    times = [float(t) for series in model.world.query(selector) for t, _ in series["values"]]
    return min(t for t in times if t >= since)


def measure(model: worlds.Model, replay: worlds.traffic.BackgroundReplay) -> Rollback:
    """Start the bad version again and watch it go."""
    started = time.time()
    status = model.wait_phase("RolledBack", seconds=120)
    bad = status["failure"]["version"]
    ledger = replay.ledger
    first, last = ledger.first_failure(bad, started), ledger.last_answer(bad)
    assert first is not None
    assert last is not None
    answers = [answer for answer in ledger.between(started) if answer.version == bad]
    alert = find_first_firing(model, started)
    return Rollback(last - alert, last - first, len(answers), sum(answer.failed for answer in answers))


def test_a_bad_version_loses_its_traffic_at_once(model: worlds.Model) -> None:
    steps = [{"weight": WEIGHT, "duration": "5m"}, {"weight": 100}]
    model.spec.update(failedRetention="5s", strategy=worlds.make_canary(steps=steps))
    model.apply("1.0.0")
    model.wait_stable("1.0.0")
    seen: list[Rollback] = []

    with model.traffic(rate=RATE, grpc_share=0.3) as replay:
        model.wait("requests", lambda _: len(replay.ledger) > RATE)
        for number in range(ROLLBACKS):
            # Another annotation is another revision, which the alert of the last one says nothing about.
            model.apply("1.2.0", template={"metadata": {"annotations": {"round": str(number)}}})
            model.wait_phase("Pending", "Canary")
            seen.append(measure(model, replay))

    report_rollbacks(seen, len(replay.ledger.lost(bad={"1.2.0"})))


def report_rollbacks(seen: list[Rollback], lost: int) -> None:
    alert = [rollback.from_alert for rollback in seen]
    first = [rollback.from_first_failure for rollback in seen]
    alert95, first95, median = report.quantile(alert, 0.95), report.quantile(first, 0.95), statistics.median(first)
    figures = [
        report.Figure("alert firing at Prometheus → 0 %, p95", "≤ 1 s", f"{alert95:.2f} s", alert95 <= 1),
        report.Figure("first bad answer → 0 %, p95", "≤ 8 s", f"{first95:.1f} s", first95 <= 8),
        report.Figure("first bad answer → 0 %, median", "≤ 5 s", f"{median:.1f} s", median <= 5),
        report.Figure("requests lost that the bad version did not fail", "0", str(lost), lost == 0),
    ]
    answered, failed = statistics.median(r.answered for r in seen), statistics.median(r.failed for r in seen)
    notes = f"""
{len(seen)} rollbacks through the gateway; {RATE} requests/s over HTTP and gRPC, half of them to a version that fails every
fifth; scrape and evaluation every second; 0 % is the bad version's last answer at the client. Per rollback the bad version
answered {answered:.0f} requests and failed {failed:.0f} (medians). Alert → 0 %: median {statistics.median(alert):.2f} s,
largest {max(alert):.2f} s; first bad answer → 0 %: smallest {min(first):.1f} s, largest {max(first):.1f} s.
"""
    report.write("tests/bench/test_rollback.py", "Rollback", figures, notes)
    assert lost == 0
