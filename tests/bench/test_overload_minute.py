"""A minute at twice the capacity: the server goes on answering as much as it can, and is itself again at once."""

from pathlib import Path

import pytest

from support import overload

SECONDS = 60


@pytest.mark.parametrize("way", overload.WAYS)
def test_a_minute_at_twice_the_capacity(tmp_path: Path, way: str) -> None:
    server = overload.start(tmp_path, way)
    try:
        server.wait_until(200)
        result = overload.press(server, way, SECONDS)
    finally:
        server.end()

    print(f"{way}: {result}")
    assert result.answered > 0.8 * result.capacity, result
    assert (result.lost, result.without_advice) == (0, 0)
    assert result.after < 0.1, result
