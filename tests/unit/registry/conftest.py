"""Unit tests of the registry have a database in a file; those against a server are system tests."""

from support.registry import sqlite_database, sqlite_template

__all__ = ["sqlite_database", "sqlite_template"]
