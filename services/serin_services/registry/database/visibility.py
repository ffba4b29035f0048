"""Who sees and who writes which rows: one rule, in two places that cannot disagree because both are made from it here.

A platform model is seen by everyone, a tenant's model by its tenant, a user's model by its owner alone; what belongs to a
model is seen by whoever sees the model, and everything else by its tenant. Only the tenant of a row writes it, and only what
the writer sees. The registry itself (`Caller.system`) sees and writes all.

The first place is the session: every ORM statement carries the rule as a loader criterion, on both databases. The second is
PostgreSQL's row-level security, which holds even where a statement forgot the first. The policies read three settings of the
transaction; a connection that has not set them sees nothing.

`serin.system` frees only the role that owns the tables: the policy that reads it is for that role alone. With two logins, the
application's for requests and the owner's for migrations and the registry's own work, nothing that a request could bring the
database to execute sets it free: the application's role owns nothing, is a member of nothing, and may not even empty a table.
The owner is held by the rule as well, until it says that it is the registry (FORCE ROW LEVEL SECURITY), so forgotten settings
show nothing to it either. What policies cannot hold is a statement that names another tenant in the settings: so no text ever
becomes part of a statement, and a caller's session runs none but those over mapped classes.
"""

import dataclasses
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core.access import PLATFORM, Caller, Visibility
from serin_services.registry.database import tables, views

_POSTGRESQL: sa.Dialect = sa.make_url("postgresql+psycopg://").get_dialect()()

TENANT, SUBJECT, SYSTEM = "serin.tenant", "serin.subject", "serin.system"


# What carries a row's columns by name: a mapped class, an alias of one, or a table.
_Row: TypeAlias = Any
# What a column is compared with: a parameter of the statement, or a setting of the transaction.
_Value: TypeAlias = Any


@dataclasses.dataclass(frozen=True)
class _Who:
    """The caller, as SQL."""

    tenant: _Value
    subject: _Value


_Rule: TypeAlias = Callable[[_Row, _Who], sa.ColumnElement[bool]]
_RuleOfKind: TypeAlias = Callable[[type, _Row, _Who], sa.ColumnElement[bool]]


def _seen_model(model: _Row, who: _Who) -> sa.ColumnElement[bool]:
    return sa.or_(
        # Everyone is whoever says who they are.
        sa.and_(model.visibility == Visibility.PLATFORM, who.tenant != ""),
        sa.and_(
            model.tenant_id == who.tenant,
            sa.or_(
                model.visibility == Visibility.TENANT,
                sa.and_(model.visibility == Visibility.USER, model.owner == who.subject),
            ),
        ),
    )


def _seen_with_model(row: _Row, who: _Who) -> sa.ColumnElement[bool]:
    # An alias of its own: the statement may well name the models itself.
    model = tables.Model.__table__.alias("seen")
    seen = sa.select(sa.literal(1)).select_from(model).where(model.c.id == row.model_id, _seen_model(model.c, who))
    # As a value and not as a join: PostgreSQL would begin at the models, and sort all their versions for a page of them.
    return seen.correlate_except(model).exists().is_(sa.true())


def _is_tenant(tenant: _Row, who: _Who) -> sa.ColumnElement[bool]:
    return _true_of(tenant.id == who.tenant)


def _of_tenant(row: _Row, who: _Who) -> sa.ColumnElement[bool]:
    return _true_of(row.tenant_id == who.tenant)


def _of_subject(row: _Row, who: _Who) -> sa.ColumnElement[bool]:
    return sa.and_(row.tenant_id == who.tenant, row.subject == who.subject)


def _true_of(condition: _Value) -> sa.ColumnElement[bool]:
    """Give the comparison its type: columns that are named at run time have none."""
    comparison: sa.ColumnElement[bool] = condition
    return comparison


# By kind of row, the narrowest first: the first that a class is of decides. Each with who sees a row and whose it is.
_RULES: tuple[tuple[type, _Rule, _Rule], ...] = (
    (tables.Tenant, _is_tenant, _is_tenant),
    (tables.Model, _seen_model, _of_tenant),
    (tables.OfModel, _seen_with_model, _of_tenant),
    (tables.OfSubject, _of_subject, _of_subject),
    (tables.OfTenant, _of_tenant, _of_tenant),
)


def reading(caller: Caller) -> orm.interfaces.ORMOption:
    """Give the criterion that keeps a statement, with all its joins, aliases and subqueries, to what the caller sees."""
    return _criterion(caller, _seen)


def writing(caller: Caller) -> orm.interfaces.ORMOption:
    """Give the criterion that keeps an UPDATE or DELETE to what the caller may write."""
    return _criterion(caller, _written)


def _seen(kind: type, row: _Row, who: _Who) -> sa.ColumnElement[bool]:
    return rules_of(kind)[0](row, who)


def _written(kind: type, row: _Row, who: _Who) -> sa.ColumnElement[bool]:
    is_seen, is_own = rules_of(kind)
    return sa.and_(is_own(row, who), is_seen(row, who))


def rules_of(kind: type) -> tuple[_Rule, _Rule]:
    """Give who sees a row of this kind, and whose it is.

    Raises:
        TypeError: nobody has said, so nobody may.
    """
    for base, is_seen, is_own in _RULES:
        if issubclass(kind, base):
            return is_seen, is_own
    raise TypeError(f"nobody says who sees the rows of {kind.__name__}: derive it from OfModel or OfTenant")


def _criterion(caller: Caller, rule: _RuleOfKind) -> orm.interfaces.ORMOption:
    # Plain local variables: SQLAlchemy follows them into the lambda and makes each a parameter of the cached statement.
    tenant, subject = caller.tenant, caller.subject
    return orm.with_loader_criteria(
        tables.Base,
        lambda entity: _limit(entity, rule, tenant, subject),
        include_aliases=True,
        # Every load comes through the session's listener, which adds the criterion itself.
        propagate_to_loaders=False,
    )


def _limit(entity: _Row, rule: _RuleOfKind, tenant: _Value, subject: _Value) -> sa.ColumnElement[bool]:
    mapped = sa.inspect(entity, raiseerr=False)
    if mapped is None:
        # SQLAlchemy tries the lambda on the base class first, to learn which variables become parameters.
        return sa.and_(tenant != "", subject != "")
    kind = mapped.mapper.class_
    condition = rule(kind, entity, _Who(tenant, subject))
    if not issubclass(kind, tables.OfModel):
        return condition
    # True of all that the rule lets through, since only the platform has models for everyone. From it PostgreSQL knows how
    # many rows a tenant has, and so whether to look for a page of them by time or by tenant.
    return sa.and_(sa.or_(entity.tenant_id == tenant, entity.tenant_id == PLATFORM), condition)


# What the application may do to a table, where it is not everything: the audit log only grows.
VERBS: dict[str, tuple[str, ...]] = {tables.AuditEntry.__tablename__: ("SELECT", "INSERT")}
ALL_VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")


def policies(names: Iterable[str]) -> Iterator[str]:
    """Give the statements that put the rule into PostgreSQL, for these tables; the role that runs them is the owner.

    What stood there before is replaced, so that a migration which changes the rule does nothing else than run them.
    """
    kinds = {mapper.local_table: mapper.class_ for mapper in tables.Base.registry.mappers}
    for name in names:
        table = tables.Base.metadata.tables[name]
        yield f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY"
        yield f"ALTER TABLE {table.name} FORCE ROW LEVEL SECURITY"
        yield from _policies_of(kinds[table], table)


def _policies_of(kind: type, table: sa.Table) -> Iterator[str]:
    # Bare names of columns: a policy knows no other row than its own.
    row = types.SimpleNamespace(
        **{column.key: sa.literal_column(f"{table.name}.{column.name}", column.type) for column in table.columns}
    )
    who = _Who(_setting(TENANT), _setting(SUBJECT))
    sees, writes = _sql(_seen(kind, row, who)), _sql(_written(kind, row, who))
    free = _sql(_setting(SYSTEM) == "on")
    conditions = {
        "SELECT": f"USING ({sees})",
        "INSERT": f"WITH CHECK ({writes})",
        "UPDATE": f"USING ({writes}) WITH CHECK ({writes})",
        "DELETE": f"USING ({writes})",
    }
    for verb in VERBS.get(table.name, ALL_VERBS):
        yield from _policy(f"caller_{verb.lower()}", table, f"FOR {verb} {conditions[verb]}")
    yield from _policy("system", table, f"TO CURRENT_USER USING ({free}) WITH CHECK ({free})")


def _policy(name: str, table: sa.Table, rest: str) -> Iterator[str]:
    yield f"DROP POLICY IF EXISTS {name} ON {table.name}"
    yield f"CREATE POLICY {name} ON {table.name} {rest}"


def _setting(name: str) -> sa.ScalarSelect[str]:
    # In a subquery it is read once for a statement instead of once for a row.
    return sa.select(sa.func.current_setting(name, sa.true(), type_=sa.Text())).scalar_subquery()


def _sql(condition: sa.ColumnElement[bool]) -> str:
    compiled = condition.compile(dialect=_POSTGRESQL, compile_kwargs={"literal_binds": True})
    return " ".join(str(compiled).split())


def grants(application: str) -> Iterator[str]:
    """Give the statements that let the application's role do its work, and nothing else; the role is there already."""
    role = _POSTGRESQL.identifier_preparer.quote(application)
    for table in tables.Base.metadata.sorted_tables:
        yield f"REVOKE ALL ON {table.name} FROM {role}"
        yield f"GRANT {', '.join(VERBS.get(table.name, ALL_VERBS))} ON {table.name} TO {role}"
    for view in views.View.metadata.sorted_tables:
        yield f"GRANT SELECT ON {view.name} TO {role}"
