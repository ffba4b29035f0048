"""Fixtures of all tests that need the cluster, and of the benchmarks."""

from collections.abc import Iterator

import pytest

from support import world as worlds


@pytest.fixture(scope="session")
def world() -> worlds.World:
    """Give the cluster with Serin installed; a cluster that cannot start fails the tests."""
    return worlds.make_world()


@pytest.fixture
def model(world: worlds.World) -> Iterator[worlds.Model]:
    """Give an object of the test's own, in a namespace of its own."""
    with world.namespace() as namespace:
        yield worlds.Model(world, namespace)
