"""Requests predicted together: which stand in a batch, whose result is whose, and when it is worth it."""

import asyncio
import math
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin_services.package import manifest
from serin_services.server import admission, batching, inference, mode, schema, signature
from support import http_site

DOCUMENT = http_site.make_document(
    family="onnx",
    inputs=(manifest.Tensor(name="x", dtype="float32", shape=(-1, 2)),),
    outputs=(manifest.Tensor(name="y", dtype="float32", shape=(-1, 2)),),
)


class Model:
    """Doubles its input, counts its batches, and fails for a row that begins with 13; stands still while it is told to."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Semaphore(0)

    def predict(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        self.sizes.append(len(inputs[0]))
        self.begun.release()
        assert self.go.wait(20)
        if (inputs[0][:, 0] == 13).any():
            raise ValueError("unlucky")
        return (inputs[0] * 2,)


def row(value: float, *, rows: int = 1, width: int = 2) -> tuple[np.ndarray, ...]:
    return (np.full((rows, width), value, "float32"),)


@pytest.fixture
def pool() -> Iterator[futures.Executor]:
    with futures.ThreadPoolExecutor(1) as made:
        yield made


@pytest.fixture
def model() -> Iterator[Model]:
    made = Model()
    yield made
    made.go.set()


def burn(seconds: float) -> None:
    """Take so much of this thread's processor time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def begun(model: Model) -> None:
    """Wait until the model is at work."""
    assert await asyncio.to_thread(model.begun.acquire, timeout=20)


async def test_what_comes_while_the_model_works_is_the_next_batch(model: Model, pool: futures.Executor) -> None:
    batcher = batching.Batcher(model.predict, pool)
    model.go.clear()
    first = batcher.add(row(1))
    await begun(model)
    others = [batcher.add(row(value)) for value in (2, 3, 4)]
    model.go.set()

    results = await asyncio.gather(first, *others)

    assert [float(result[0][0, 0]) for result in results] == [2, 4, 6, 8]
    assert model.sizes == [1, 3]


async def test_a_batch_has_at_most_so_many_rows_and_only_inputs_of_one_shape(
    model: Model, pool: futures.Executor
) -> None:
    batcher = batching.Batcher(model.predict, pool, most=4)
    model.go.clear()
    first = batcher.add(row(0))
    await begun(model)
    given = [row(1, rows=2), row(2, width=3), row(3, rows=2), row(4, rows=2), row(5, width=3)]
    waiting = [batcher.add(inputs) for inputs in given]
    model.go.set()

    await first
    results = await asyncio.gather(*waiting)

    assert [result[0].shape for result in results] == [(2, 2), (1, 3), (2, 2), (2, 2), (1, 3)]
    assert [float(result[0][0, 0]) for result in results] == [2, 4, 6, 8, 10]
    assert model.sizes == [1, 4, 2, 2]


async def test_a_row_that_fails_spoils_no_other(model: Model, pool: futures.Executor) -> None:
    batcher = batching.Batcher(model.predict, pool)

    results = await asyncio.gather(*(batcher.add(row(value)) for value in (1, 13, 3)), return_exceptions=True)

    assert isinstance(results[1], ValueError)
    assert [float(result[0][0, 0]) for result in (results[0], results[2])] == [2, 6]


async def test_an_output_without_a_place_for_each_row_is_not_cut(pool: futures.Executor) -> None:
    def predict(*inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        return (inputs[0].sum(axis=0, keepdims=True),)

    batcher = batching.Batcher(predict, pool)

    results = await asyncio.gather(*(batcher.add(row(value)) for value in (1, 2)))

    assert [float(result[0][0, 0]) for result in results] == [1, 2]


async def test_who_has_left_stands_in_no_batch(model: Model, pool: futures.Executor) -> None:
    batcher = batching.Batcher(model.predict, pool)
    model.go.clear()
    first = batcher.add(row(1))
    await begun(model)
    gone, stays = batcher.add(row(2)), batcher.add(row(3))
    gone.cancel()
    first.cancel()
    model.go.set()

    assert float((await stays)[0][0, 0]) == 6
    assert model.sizes == [1, 1]


@pytest.mark.parametrize(
    ("inline_rows", "together", "on_the_loop"),
    [
        pytest.param(1, [1], True, id="one short request alone stays on the event loop"),
        pytest.param(1, [1, 1], False, id="two are a batch, on a thread"),
        pytest.param(1, [2], False, id="a longer one goes to the thread"),
        pytest.param(0, [1], False, id="where a row takes long, all go to the thread"),
    ],
)
async def test_what_is_short_and_alone_needs_no_thread(
    inline_rows: int, together: list[int], on_the_loop: bool, pool: futures.Executor
) -> None:
    threads: list[int] = []

    def predict(*inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        threads.append(threading.get_ident())
        return (inputs[0] * 2,)

    batcher = batching.Batcher(predict, pool, inline_rows=inline_rows)

    results = await asyncio.gather(*(batcher.add(row(number, rows=rows)) for number, rows in enumerate(together)))

    assert [float(result[0][0, 0]) for result in results] == [2 * number for number in range(len(together))]
    assert len(threads) == 1
    assert (threads[0] == threading.get_ident()) is on_the_loop


async def test_what_comes_while_the_loop_predicts_is_the_next_batch(model: Model, pool: futures.Executor) -> None:
    batcher = batching.Batcher(model.predict, pool, inline_rows=1)
    first = batcher.add(row(1))
    others: list[asyncio.Future[batching.Arrays]] = []
    first.add_done_callback(lambda _: others.extend(batcher.add(row(value)) for value in (2, 3)))

    await first
    results = await asyncio.gather(*others)

    assert [float(result[0][0, 0]) for result in results] == [4, 6]
    assert model.sizes == [1, 2]


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.integers(0, 3)), min_size=1, max_size=60),
    st.sampled_from([0, 1, 3]),
)
def test_no_request_gets_another_ones_result(requests: list[tuple[int, bool, int]], inline_rows: int) -> None:
    """Each request has numbers of its own; some leave, and they come in any rhythm."""

    async def run() -> None:
        async def ask(number: int, rows: int, leaves: bool, turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            inputs = (np.arange(rows * 2, dtype="float64").reshape(rows, 2) + 1000 * (number + 1),)
            answer = batcher.add(inputs)
            if leaves:
                await asyncio.sleep(0)
                answer.cancel()
                return
            np.testing.assert_array_equal((await answer)[0], inputs[0] * 2)

        batcher = batching.Batcher(Model().predict, pool, most=8, inline_rows=inline_rows)
        async with asyncio.TaskGroup() as tasks:
            for number, (rows, leaves, turns) in enumerate(requests):
                tasks.create_task(ask(number, rows, leaves, turns))

    with futures.ThreadPoolExecutor(1) as pool:
        asyncio.run(run())


def make_inference(model: Model, **parts: object) -> inference.Inference:
    made = http_site.make_model(DOCUMENT, model.predict)
    return inference.Inference(DOCUMENT, signature.Signature(DOCUMENT), model, made.telemetry, inference.Parts(**parts))


async def test_a_deadline_ends_the_wait_and_not_the_batch(model: Model) -> None:
    served = make_inference(model, serving=mode.Mode(inline_rows=0, batched=True))
    model.go.clear()
    loop = asyncio.get_running_loop()
    first = asyncio.create_task(served.predict(row(1)))
    await begun(model)

    with pytest.raises(schema.Limit) as caught:
        await served.predict(row(2), loop.time())
    model.go.set()

    assert (caught.value.http_status, caught.value.grpc_code) == (504, "DEADLINE_EXCEEDED")
    assert float((await first).outputs[0][0, 0]) == 2
    assert model.sizes == [1]


@pytest.mark.parametrize("batched", [True, False])
async def test_too_many_that_wait_are_refused(model: Model, batched: bool) -> None:
    served = make_inference(model, serving=mode.Mode(inline_rows=0, batched=batched), door=admission.Admission(most=2))
    model.go.clear()
    working = asyncio.create_task(served.predict(row(1)))
    await begun(model)
    waiting = [asyncio.create_task(served.predict(row(value))) for value in (2, 3)]
    await asyncio.sleep(0)

    with pytest.raises(schema.Limit) as caught:
        await served.predict(row(4))
    model.go.set()
    answers = await asyncio.gather(working, *waiting)

    assert (caught.value.http_status, caught.value.grpc_code) == (429, "RESOURCE_EXHAUSTED")
    assert caught.value.retry_after == 1
    assert [float(answer.outputs[0][0, 0]) for answer in answers] == [2, 4, 6]
    assert float((await served.predict(row(4))).outputs[0][0, 0]) == 8


async def test_a_request_is_refused_where_another_waits_too_long_already(model: Model) -> None:
    served = make_inference(model, serving=mode.Mode(inline_rows=0), door=admission.Admission(patience=0))
    model.go.clear()
    working = asyncio.create_task(served.predict(row(1)))
    await begun(model)
    waiting = asyncio.create_task(served.predict(row(2)))
    await asyncio.sleep(0)

    with pytest.raises(schema.Limit) as caught:
        await served.predict(row(3))
    model.go.set()

    assert caught.value.http_status == 429
    assert [float((await task).outputs[0][0, 0]) for task in (working, waiting)] == [2, 4]


async def test_what_has_waited_too_long_for_the_loop_is_refused() -> None:
    door = admission.Admission(patience=0.05)
    beating = asyncio.create_task(door.beat())
    await asyncio.sleep(0)
    door.check()

    # The loop does not come round.
    burn(0.1)
    with pytest.raises(schema.Limit) as caught:
        door.check()
    await asyncio.sleep(admission.PULSE_SECONDS)

    assert caught.value.http_status == 429
    door.check()
    beating.cancel()


async def test_a_server_that_was_kept_from_running_refuses_nothing() -> None:
    door = admission.Admission(patience=0.05)
    beating = asyncio.create_task(door.beat())
    await asyncio.sleep(0)

    time.sleep(0.1)  # noqa: ASYNC251 - nothing runs, as when the processor is taken away

    door.check()
    beating.cancel()


def test_a_thread_may_say_at_any_moment_that_a_request_waits_no_more() -> None:
    door = admission.Admission(most=1 << 20, patience=math.inf)
    begun: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
    taking = threading.Thread(target=lambda: [begin() for begin in iter(begun.get, None)])
    interval = sys.getswitchinterval()
    # Threads take turns as often as they can, so that one of some thousand looks falls between two of the other's steps.
    sys.setswitchinterval(1e-6)
    taking.start()
    try:
        for _ in range(10_000):
            for begin in [door.enter() for _ in range(4)]:
                begun.put(begin)
            for _ in range(4):
                door.check()
    finally:
        begun.put(None)
        taking.join()
        sys.setswitchinterval(interval)


class Mixing:
    """A model whose rows depend on how many there are."""

    @staticmethod
    def predict(*inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        return (inputs[0] * len(inputs[0]),)


COSTS = {
    "a row saves much among others": (mode.Costs(2e-3, 1e-3), 0, True),
    "a row saves little among others": (mode.Costs(2e-3, 1.8e-3), 0, False),
    "a row takes less than a hand-over": (mode.Costs(30e-6, 5e-6), 128, False),
    "some rows fit into a turn of the loop": (mode.Costs(110e-6, 50e-6), 20, True),
}


@pytest.mark.parametrize(("costs", "inline_rows", "worth"), COSTS.values(), ids=COSTS)
def test_what_a_row_costs_decides(costs: mode.Costs, inline_rows: int, worth: bool) -> None:
    assert costs.inline_rows == inline_rows
    assert costs.worth_batching is worth


class Net:
    """A network whose rows cost little among others; `mixing`, it has another answer for them then.

    Each call takes a millisecond of its own thread's processor time, as a served model's does: a product of matrices
    takes NumPy's other threads too, which burn time while they wait for a full machine.
    """

    def __init__(self, *, mixing: bool = False) -> None:
        self.mixing = mixing

    def predict(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        burn(1e-3)
        return (inputs[0] * (len(inputs[0]) if self.mixing else 2),)


TRIALS = {
    "a network that is faster on many rows": (DOCUMENT, Net(), True),
    "trees": (DOCUMENT.model_copy(update={"family": "xgboost"}), Net(), False),
    "rows that depend on each other": (DOCUMENT, Net(mixing=True), False),
}


@pytest.mark.parametrize(("document", "model", "batched"), TRIALS.values(), ids=TRIALS)
def test_requests_are_predicted_together_where_it_helps(document: manifest.Manifest, model: Net, batched: bool) -> None:
    assert mode.choose(document, model).batched is batched


def test_a_model_that_fails_for_made_up_rows_is_served_on_a_thread() -> None:
    class Picky:
        @staticmethod
        def predict(*_inputs: np.ndarray) -> tuple[np.ndarray, ...]:
            raise ValueError("only ever real rows")

    assert mode.choose(DOCUMENT, Picky()) == mode.Mode(inline_rows=0, batched=False)
