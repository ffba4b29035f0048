"""Benchmarks share the tests' cluster and fixtures."""

from support.fixtures import model, world

__all__ = ["model", "world"]
