"""A full good rollout under load: nothing fails, and no step is shorter than its duration."""

import itertools
import time

from support import report
from support import world as worlds

RATE = 170
SECONDS = 30
REQUESTS = 20_000


def test_a_good_rollout_loses_nothing(model: worlds.Model) -> None:
    steps = [{"weight": weight, "duration": f"{SECONDS}s"} for weight in (10, 25, 50)]
    canary = worlds.make_canary(staging={"duration": "10s"}, steps=[*steps, {"weight": 100}], bake=f"{SECONDS}s")
    model.spec["strategy"] = canary
    model.apply("1.0.0")
    model.wait_stable("1.0.0")
    reached: dict[int, float] = {}

    with model.traffic(rate=RATE, grpc_share=0.3) as replay:
        model.wait("the gateway to answer", lambda _: replay.ledger.total().answers.get("1.0.0", 0) > RATE)
        begun = time.time()
        model.apply("1.1.0")
        for weight in (10, 25, 50, 100):
            model.world.wait(
                f"{weight} % on the route",
                model.route_weights,
                lambda weights, wanted=weight: wanted in weights.values(),
                180,
            )
            reached[weight] = time.time()
        model.wait_stable("1.1.0", seconds=120)
        missing = REQUESTS - len(replay.ledger.between(begun))
        if missing > 0:
            model.wait("20,000 requests", lambda _: len(replay.ledger.between(begun)) >= REQUESTS, missing / RATE + 30)

    answers = replay.ledger.between(begun)
    failed = [answer for answer in answers if answer.failed]
    shortest = min(later - earlier for earlier, later in itertools.pairwise(reached.values()))
    figures = [
        report.Figure(f"failed of {len(answers):,} requests", "0 of ≥ 20,000", str(len(failed)), not failed),
        report.Figure("shortest step", f"≥ {SECONDS} s", f"{shortest:.2f} s", shortest >= SECONDS),
    ]
    notes = f"""
Staging 10 s, then 10, 25, 50 and 100 %, {SECONDS} s each; {RATE} requests/s over HTTP and gRPC, every answer compared with
what the model of that version says. Steps are timed by the route's weights.
"""
    report.write("tests/bench/test_good_rollout.py", "A good rollout under load", figures, notes)
    assert not failed, failed[:5]
