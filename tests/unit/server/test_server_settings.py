"""What the environment may set."""

from pathlib import Path

import pytest

from serin_services.server import settings


def test_nothing_set_gives_what_the_image_needs() -> None:
    assert settings.read({}) == settings.Settings()


def test_each_variable_sets_its_field() -> None:
    read = settings.read(
        {"SERIN_PACKAGE": "/p", "SERIN_HTTP_PORT": "1", "SERIN_HOST": "::", "SERIN_DRAIN_SECONDS": "0.5"}
    )

    assert (read.package, read.http_port, read.host, read.drain_seconds) == (Path("/p"), 1, "::", 0.5)


@pytest.mark.parametrize("value", ["", "http", "-1", "70000", "nan", "1.5"])
def test_a_wrong_port_is_named(value: str) -> None:
    with pytest.raises(ValueError, match=f"SERIN_GRPC_PORT: expected a whole number from 0 to 65535, got '{value}'"):
        settings.read({"SERIN_GRPC_PORT": value})
