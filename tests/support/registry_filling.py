"""A registry with rows in every table and artifacts in its store, made up from a seed: what a backup must not lose."""

import datetime as dt
import enum
import hashlib
import random
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from serin_services.registry.artifacts.layout import Place
from serin_services.registry.artifacts.store import Store
from serin_services.registry.core.access import SYSTEM, Caller, Role, Visibility
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from serin_services.registry.records import audits

NOW = dt.datetime(2026, 11, 21, 12, 30, 15, 123456, tzinfo=dt.UTC)
TENANTS = ("acme", "platform", "zoo")
AUDITS = {"audit_log", "audit_heads"}
Row = dict[str, Any]


class Filler:
    """Makes rows of any table: references lead to rows that are there, everything else is made up."""

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - it is to be the same each time
        self._rows: dict[str, list[Row]] = {
            "tenants": [{"id": name, "sign_off": [], "created_at": NOW} for name in TENANTS]
        }

    def make(self, table: sa.Table, count: int) -> list[Row]:
        if table.name != "tenants":
            self._rows[table.name] = [self._make_row(table, number) for number in range(count)]
            self._refer_to_own(table)
        return self._rows[table.name]

    def _make_row(self, table: sa.Table, number: int) -> Row:
        row: Row = {}
        # Those with most columns first: the others must agree with them.
        for constraint in sorted(table.foreign_key_constraints, key=lambda one: -len(one.columns)):
            if constraint.referred_table is not table:
                row |= self._refer(constraint, row, number)
        for column in table.columns:
            if column.name not in row:
                row[column.name] = self._make_value(table, column, number)
        return row | self._correct(table, number)

    def _refer(self, constraint: sa.ForeignKeyConstraint, row: Row, number: int) -> Row:
        names = {element.parent.name: element.column.name for element in constraint.elements}
        rows = self._rows[constraint.referred_table.name]
        fitting = [one for one in rows if all(row.get(own, one[other]) == one[other] for own, other in names.items())]
        if not fitting:
            return {own: None for own in names if own not in row}
        # In turn, so that whatever can be referred to is.
        chosen = fitting[number % len(fitting)]
        return {own: chosen[other] for own, other in names.items()}

    def _refer_to_own(self, table: sa.Table) -> None:
        if table.name != "model_registry":
            return
        for row in self._rows[table.name]:
            others = [one for one in self._rows[table.name] if one["model_id"] == row["model_id"] and one is not row]
            # As often to a later row as to an earlier one.
            row["parent_id"] = self._chance.choice(others)["id"] if others and self._chance.random() < 0.8 else None

    def _make_value(self, table: sa.Table, column: sa.Column[Any], number: int) -> Any:
        if column.nullable and self._chance.random() < 0.3 and table.name != "transitions":
            return None
        kind = column.type
        if isinstance(kind, sa.JSON):
            return [] if column.name in {"features", "change_reasons", "sign_off"} else self._make_json()
        python = getattr(kind, "impl_instance", kind).python_type
        if issubclass(python, enum.Enum):
            return self._chance.choice(list(python))
        makers: Mapping[type, Any] = {
            uuid.UUID: lambda: uuid.UUID(int=self._chance.getrandbits(128), version=4),
            dt.datetime: lambda: NOW - dt.timedelta(microseconds=self._chance.randrange(10**13)),
            bool: lambda: self._chance.random() < 0.5,
            int: lambda: self._chance.randrange(2**40 if isinstance(kind, sa.BigInteger) else 2**30),
            float: lambda: self._chance.choice([0.1, -2.5e-300, 1e100, 0.0, self._chance.gauss(0, 1)]),
            str: lambda: f"{column.name} {number} ü𝄞\n\"'\\ {self._chance.random()}",
        }
        return makers[python]()

    def _make_json(self) -> Row:
        return {"b": [1, 0.1, None, True, {"ü": "𝄞\n"}], "a": {"depth": self._chance.randrange(10)}, "zahl": 1e-7}

    def _correct(self, table: sa.Table, number: int) -> Row:
        """Give what a constraint asks for beyond references."""
        if table.name == "models":
            return {"visibility": Visibility.TENANT, "owner": "", "name": f"model-{number}"}
        if table.name == "placements":
            return {"stage": Stage.STAGING}
        if table.name == "artifacts":
            content = make_content(number)
            name = "model" if number % 2 else f"logs/train-{number}.log"
            return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "name": f"{name}-{number}"}
        return {}


def make_content(number: int) -> bytes:
    """Make the content of an artifact: of some bytes, of none, or of more than a part of an upload."""
    size = 9 * 1024 * 1024 if number == 2 else 1000 * (number % 3)
    return random.Random(number).randbytes(size)  # noqa: S311 - as above


def fill(database: Database, store: Store, count: int = 12) -> None:
    """Put rows into every table, and artifacts into the store."""
    filler = Filler()
    with database.open(SYSTEM) as session:
        for table in tables.Base.metadata.sorted_tables:
            if table.name in AUDITS:
                continue
            rows = filler.make(table, count)
            if table.name == "artifacts":
                rows = [put(store, row, number) for number, row in enumerate(rows)]
            own = {"parent_id": None} if table.name == "model_registry" else {}
            session.execute(sa.insert(table), [{**row, **own} for row in rows])
            for row in rows if own else []:
                session.execute(sa.update(table).where(table.c.id == row["id"]).values(parent_id=row["parent_id"]))
    with database.open(SYSTEM) as session:
        for number in range(count):
            tenant = session.get_one(tables.Tenant, TENANTS[number % len(TENANTS)])
            caller = Caller(f"user-{number}", tenant.id, Role.ADMIN)
            audits.append(session, caller, "tenant.sign_off", tenant, {"n": number, "share": 0.1, "big": 1e5}, NOW)


def put(store: Store, row: Row, number: int) -> Row:
    """Put an artifact's content into the store; gives its row with the key."""
    place = Place(row["tenant_id"], "momentum", f"1.0.{number}", f"file-{number}")
    stored = store.put(place, [make_content(number)], row["sha256"], 2**30)
    return {**row, "key": stored.key, "encrypted": stored.encrypted}


def read_all(database: Database) -> dict[str, list[Row]]:
    """Give every row of every table, in the order of its key."""
    with database.open(SYSTEM, read_only=True) as session:
        found = {
            table.name: [dict(row) for row in session.execute(sa.select(table)).mappings()]
            for table in tables.Base.metadata.sorted_tables
        }
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def read_artifacts(store: Store) -> dict[str, bytes]:
    """Give every artifact as it lies."""
    return {key: b"".join(store.open_stored(key).chunks) for key in store.keys()}  # noqa: SIM118 - a store is no dict
