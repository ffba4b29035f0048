"""The replay against real servers: aiohttp for HTTP, grpc.aio for gRPC."""

import asyncio
import contextlib
import dataclasses
import itertools
import time

import grpc
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from serin_demo import ledger, traffic

SAMPLE = traffic.Sample(
    http=b"[1.5]", grpc=b"row", check=lambda _protocol, _version, body: body in (b'{"label": 1}', b"label 1")
)

# What a machine keeps up with that has other things to do: both ends share its time, and an open loop waits for neither.
BOTH = traffic.Pace(rate=50, timeout=60)
HTTP_ALONE = traffic.Pace(rate=50, grpc_share=0, timeout=60)


@contextlib.asynccontextmanager
async def serve_http(answer):
    """Answer `POST /demo/tumor/predict` on a free port; yields the URL."""
    app = web.Application()
    app.router.add_post("/demo/tumor/predict", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/demo/tumor/predict"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def serve_grpc(answer):
    """Answer ModelInfer on a free port; yields the address."""
    server = grpc.aio.server()
    _, service, method = traffic.MODEL_INFER.split("/")
    handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(answer)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(grace=None)


async def answer_well(_request):
    return web.Response(body=b'{"label": 1}', headers={"x-model-version": "1.0.0"})


async def infer_well(request, context):
    assert request == b"row"
    assert dict(context.invocation_metadata())["x-model"] == "demo/tumor"
    await context.send_initial_metadata((("x-model-version", "1.0.0"),))
    return b"label 1"


async def wait_for(condition):
    """Poll until the condition holds, within a minute."""
    async with asyncio.timeout(60):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def replay_until(replay, count):
    """Run until so many answers are in, within a minute."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(replay.run())
        await wait_for(lambda: len(replay.ledger) >= count)
        replay.stop()


async def test_rows_go_over_both_protocols_and_the_version_is_counted():
    async with serve_http(answer_well) as url, serve_grpc(infer_well) as address:
        target = traffic.Target(url, address, "demo/tumor")
        replay = traffic.Replay(target, [SAMPLE], BOTH)
        await replay_until(replay, 20)

    answers = replay.ledger.between()
    assert {answer.protocol for answer in answers} == {"http", "grpc"}
    assert {(answer.version, answer.outcome) for answer in answers} == {("1.0.0", ledger.Outcome.OK)}
    assert {answer.status for answer in answers} == {"200", "OK"}


async def abort_with(context, code, *versions):
    metadata = tuple(("x-model-version", version) for version in versions)
    await context.abort(code, "no", trailing_metadata=metadata)


def answer_status(status, *versions):
    async def answer(_request):
        return web.Response(status=status, text="no", headers=[("x-model-version", version) for version in versions])

    return answer


def abort_infer(code, *versions):
    async def infer(_request, context):
        await abort_with(context, code, *versions)

    return infer


@pytest.mark.parametrize(
    ("http", "infer", "expected"),
    [
        pytest.param(
            answer_status(500, "1.2.0"),
            abort_infer(grpc.StatusCode.INTERNAL, "1.2.0"),
            {("500", "1.2.0"), ("INTERNAL", "1.2.0")},
            id="a failed answer names the version that gave it",
        ),
        pytest.param(
            answer_status(503),
            abort_infer(grpc.StatusCode.UNAVAILABLE),
            {("503", None), ("UNAVAILABLE", None)},
            id="an answer of the gateway names none",
        ),
    ],
)
async def test_failures_keep_their_status_and_version(http, infer, expected):
    async with serve_http(http) as url, serve_grpc(infer) as address:
        replay = traffic.Replay(traffic.Target(url, address, "demo/tumor"), [SAMPLE], BOTH)
        await replay_until(replay, 10)

    answers = replay.ledger.between()
    assert {(answer.status, answer.version) for answer in answers} == expected
    assert {answer.outcome for answer in answers} == {ledger.Outcome.FAILED}
    assert {answer.detail for answer in answers} == {"no"}


async def test_success_with_the_wrong_answer_is_wrong():
    async def answer(_request):
        return web.Response(body=b'{"label": 0}', headers={"x-model-version": "1.0.0"})

    async with serve_http(answer) as url:
        replay = traffic.Replay(traffic.Target(url), [SAMPLE], HTTP_ALONE)
        await replay_until(replay, 5)

    assert {answer.outcome for answer in replay.ledger.between()} == {ledger.Outcome.WRONG}


async def test_nobody_there_is_a_failure_of_no_version():
    async with serve_http(answer_well) as url, serve_grpc(infer_well) as address:
        closed = traffic.Target(url, address, "demo/tumor")
    replay = traffic.Replay(closed, [SAMPLE], BOTH)
    await replay_until(replay, 6)

    seen = {(answer.status, answer.version) for answer in replay.ledger.between()}
    assert seen == {("disconnected", None), ("UNAVAILABLE", None)}


async def test_a_stalled_server_delays_no_request_and_shows_in_every_latency():
    release = asyncio.Event()
    arrived = 0

    async def stall(_request):
        nonlocal arrived
        arrived += 1
        if arrived == 20:
            release.set()
        await release.wait()
        return web.Response(body=b'{"label": 1}', headers={"x-model-version": "1.0.0"})

    async with serve_http(stall) as url:
        replay = traffic.Replay(traffic.Target(url), [SAMPLE], HTTP_ALONE)
        await replay_until(replay, 20)

    # A closed loop would never send the second request: the first is answered only after twenty arrived.
    first = min(replay.ledger.between(), key=lambda answer: answer.scheduled)
    assert first.latency >= 0.38 - 0.02


async def test_a_request_without_an_answer_times_out():
    async def hang(_request):
        await asyncio.Event().wait()

    async with serve_http(hang) as url:
        pace = traffic.Pace(rate=50, grpc_share=0, timeout=0.1)
        replay = traffic.Replay(traffic.Target(url), [SAMPLE], pace)
        await replay_until(replay, 3)

    assert {(answer.status, answer.version) for answer in replay.ledger.between()} == {("timeout", None)}


async def test_what_comes_before_the_first_good_answer_does_not_count():
    asked = 0

    async def answer(request):
        nonlocal asked
        asked += 1
        return await answer_well(request) if asked > 3 else web.Response(status=503)

    async with serve_http(answer) as url:
        pace = dataclasses.replace(HTTP_ALONE, patience=60)
        replay = traffic.Replay(traffic.Target(url), [SAMPLE], pace)
        await replay_until(replay, 10)

    assert {answer.status for answer in replay.ledger.between()} == {"200"}


async def test_patience_ends():
    async with serve_http(answer_status(503)) as url:
        pace = traffic.Pace(rate=200, grpc_share=0, patience=0.2)
        with pytest.raises(traffic.ReplayError, match="no good answer from http"):
            await traffic.Replay(traffic.Target(url), [SAMPLE], pace).run()


async def test_the_rate_is_kept():
    async with serve_http(answer_well) as url:
        replay = traffic.Replay(traffic.Target(url), [SAMPLE], HTTP_ALONE)
        await replay_until(replay, 30)

    due = sorted(answer.scheduled for answer in replay.ledger.between())
    assert [b - a for a, b in itertools.pairwise(due)] == pytest.approx(
        [1 / HTTP_ALONE.rate] * (len(due) - 1), abs=1e-6
    )
    assert all(answer.sent >= answer.scheduled for answer in replay.ledger.between())


async def test_a_replay_in_the_background_is_counted_while_it_runs():
    async with serve_http(answer_well) as url:
        replay = traffic.BackgroundReplay(traffic.Target(url), [SAMPLE], HTTP_ALONE)
        replay.start()
        await wait_for(lambda: len(replay.ledger) >= 20)
        window = replay.ledger.window(seconds=60, now=time.time())
        await asyncio.to_thread(replay.stop)

    assert window.answers["1.0.0"] >= 20
    assert len(replay.ledger) >= window.total


async def test_what_breaks_the_replay_is_raised_at_its_end():
    def break_down(_protocol, _version, _body):
        raise ZeroDivisionError

    async with serve_http(answer_well) as url:
        sample = traffic.Sample(http=b"[1.5]", check=break_down)
        replay = traffic.BackgroundReplay(traffic.Target(url), [sample], HTTP_ALONE)
        replay.start()
        await wait_for(lambda: not replay.running)

    with pytest.raises(traffic.ReplayError, match="its counts end early"):
        replay.stop()


@given(st.floats(0, 1), st.integers(1, 400))
def test_protocols_are_mixed_as_asked(share, count):
    pace = traffic.Pace(rate=1, grpc_share=share)
    grpc_requests = [pace.protocol(number) for number in range(count)].count("grpc")

    assert abs(grpc_requests - share * count) < 1


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        pytest.param([], 10, "at least one sample", id="no rows"),
        pytest.param([SAMPLE], 0, "rate: expected more than 0", id="no rate"),
    ],
)
def test_an_impossible_replay_is_refused(samples, rate, message):
    with pytest.raises(ValueError, match=message):
        traffic.Replay(traffic.Target("http://127.0.0.1/predict"), samples, traffic.Pace(rate=rate))
