"""One cluster for all cluster tests; it fails, rather than skips, where the cluster cannot start."""

from pathlib import Path

import pytest

from support.fixtures import model, world

__all__ = ["model", "world"]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and take the cluster down and up before anything is installed in it."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.cluster)
    items.sort(key=lambda item: item.get_closest_marker("lifecycle") is None)
