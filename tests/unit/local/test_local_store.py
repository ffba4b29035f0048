"""The cache: found by content, never half-made, and failing commands say why."""

import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin_local import errors, store
from serin_local.layout import Layout

TEXTS = st.lists(st.text(max_size=4), max_size=4)


@given(TEXTS, TEXTS)
def test_keys_are_equal_only_for_equal_inputs(left: list[str], right: list[str]) -> None:
    assert (store.make_key(*left) == store.make_key(*right)) == (left == right)


def test_a_thing_is_made_once(tmp_path: pathlib.Path) -> None:
    made = []

    def make(draft: pathlib.Path) -> None:
        made.append(draft)
        (draft / "program").write_text("x")

    first = store.ensure(Layout(tmp_path), "thing", "key", make)
    second = store.ensure(Layout(tmp_path), "thing", "key", make)

    assert first == second
    assert (first / "program").read_text() == "x"
    assert len(made) == 1


def test_a_half_made_thing_is_not_there(tmp_path: pathlib.Path) -> None:
    def fail(draft: pathlib.Path) -> None:
        (draft / "half").write_text("x")
        raise errors.ClusterError("build thing", "it broke", "mend it")

    with pytest.raises(errors.ClusterError):
        store.ensure(Layout(tmp_path), "thing", "key", fail)

    assert not store.path(Layout(tmp_path), "thing", "key").exists()
    assert list(Layout(tmp_path).work.iterdir()) == []


def test_a_failing_command_tells_step_end_of_log_and_advice(tmp_path: pathlib.Path) -> None:
    argv = ["sh", "-c", "for i in $(seq 40); do echo line $i; done; exit 3"]

    with pytest.raises(errors.ClusterError) as caught:
        store.execute(Layout(tmp_path), "build thing", argv, "do this instead")

    message = str(caught.value)
    assert message.startswith("build thing: `sh` ended with 3")
    assert "line 40" in message
    assert "line 20\n" not in message
    assert message.endswith("what to do: do this instead")


def test_a_log_that_is_not_there_has_no_tail(tmp_path: pathlib.Path) -> None:
    assert errors.tail(tmp_path / "none") == ""
