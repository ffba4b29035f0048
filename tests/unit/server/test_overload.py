"""A server that is asked for twice what it can do; tests/bench does the same for a minute."""

from pathlib import Path

from support import overload


def test_it_answers_what_it_can_refuses_the_rest_and_recovers_at_once(tmp_path: Path) -> None:
    server = overload.start(tmp_path, "thread")
    try:
        server.wait_until(200)
        result = overload.press(server, "thread", 1)
    finally:
        server.end()

    assert result.answered > 0.6 * result.capacity, result
    assert result.refused > 0
    assert (result.lost, result.without_advice) == (0, 0)
    assert result.slowest < 2, result
    assert result.after < 0.25, result
