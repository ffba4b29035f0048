"""The answer cache: bounded, the least used goes first, and an answer is never given for other inputs."""

import dataclasses
import threading

import numpy as np
import prometheus_client
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from serin.api import metrics
from serin_services.server import cache
from support import collectors


@dataclasses.dataclass(frozen=True)
class Answer:
    outputs: tuple[cache.Array, ...]


def answer(value: float = 0, width: int = 2) -> Answer:
    return Answer((np.full((1, width), value),))


class Machine(RuleBasedStateMachine):
    """The cache beside a plain dictionary of everything that was ever put in."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: cache.AnswerCache[Answer] = cache.AnswerCache(4, 3 * cache.OVERHEAD_BYTES + 120)
        self.put_in: dict[bytes, Answer] = {}
        self.order: list[bytes] = []
        self.asked = 0

    @rule(name=st.integers(0, 7), width=st.sampled_from([1, 4, 500]))
    def put(self, name: int, width: int) -> None:
        wanted = bytes([name])
        if wanted not in self.order:
            self.put_in[wanted] = answer(name, width)
            self.cache.put(wanted, self.put_in[wanted])
            if width < 500:
                self.order.append(wanted)

    @rule(name=st.integers(0, 7))
    def get(self, name: int) -> None:
        wanted = bytes([name])
        self.asked += 1
        found = self.cache.get(wanted)
        if found is None:
            if wanted in self.order:
                self.order.remove(wanted)
        else:
            assert found is self.put_in[wanted]
            self.order.remove(wanted)
            self.order.append(wanted)

    @invariant()
    def the_last_used_are_held_within_the_bounds(self) -> None:
        held = len(self.cache)
        assert held <= 3
        assert self.cache.size <= 3 * cache.OVERHEAD_BYTES + 120
        assert self.cache.hits + self.cache.misses == self.asked
        self.order = self.order[len(self.order) - held :] if held else []
        assert list(self.cache._held) == self.order


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=30, stateful_step_count=30)


def test_what_is_kept_cannot_be_changed() -> None:
    held = cache.AnswerCache[Answer](1, 10_000)
    kept = answer()
    held.put(b"k", kept)

    with pytest.raises(ValueError, match="read-only"):
        kept.outputs[0][0, 0] = 1


def test_what_is_kept_does_not_hold_the_batch_that_it_was_part_of() -> None:
    held = cache.AnswerCache[Answer](1, 10_000)
    batch = np.zeros((64, 2))
    held.put(b"k", Answer((batch[3:4],)))

    assert held.get(b"k").outputs[0].base is None
    assert batch.flags.writeable


def test_nothing_is_kept_unless_it_is_wanted() -> None:
    registry = prometheus_client.CollectorRegistry()

    assert cache.make(0, 1000, collectors.CLASSIFIER, registry) is None
    assert cache.make(1000, 0, collectors.CLASSIFIER, registry) is None
    assert list(registry.collect()) == []


def test_look_ups_are_counted() -> None:
    registry = prometheus_client.CollectorRegistry()
    held = cache.make(10, 10_000, collectors.CLASSIFIER, registry)
    held.get(b"k")
    held.put(b"k", answer())
    held.get(b"k")
    held.get(b"k")

    own = {"model": "momentum", "version": "1.2.0"}
    found = [registry.get_sample_value(metrics.CACHE_LOOKUPS, {**own, "result": each}) for each in ("hit", "miss")]
    assert found == [2, 1]


SHAPES = st.lists(st.integers(1, 3), min_size=1, max_size=3)


@given(
    st.lists(st.tuples(SHAPES, st.integers(0, 1)), min_size=1, max_size=2),
    st.lists(st.tuples(SHAPES, st.integers(0, 1)), min_size=1, max_size=2),
)
def test_keys_are_the_same_for_the_same_inputs_only(
    one: list[tuple[list[int], int]], other: list[tuple[list[int], int]]
) -> None:
    # A model has a set number of inputs, each of a set rank.
    other = [(shape[: len(first[0])], value) for (shape, value), first in zip(other, one, strict=False)]
    one = [(shape[: len(second[0])], value) for (shape, value), second in zip(one, other, strict=False)]
    first, second = (
        cache.key(tuple(np.full(shape, value, dtype="f4") for shape, value in inputs)) for inputs in (one, other)
    )

    assert (first == second) == (one == other)


def test_many_threads_may_use_it() -> None:
    held = cache.AnswerCache[Answer](50, 1 << 20)

    def work(start: int) -> None:
        for number in range(500):
            wanted = (start + number) % 80
            found = held.get(bytes([wanted]))
            assert found is None or found.outputs[0][0, 0] == wanted
            held.put(bytes([wanted]), answer(wanted))

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert held.hits + held.misses == 2000
    assert len(held) == 50
    assert held.size == sum(cache.weigh(wanted, kept) for wanted, kept in held._held.items())
