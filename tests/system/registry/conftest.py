"""Tests of the registry share the fixtures of its database."""

from support.registry import database, postgresql_database, sqlite_database, sqlite_template

__all__ = ["database", "postgresql_database", "sqlite_database", "sqlite_template"]
