"""How long a list of 100 versions takes among 100,000, as the API asks for it, on PostgreSQL with its policies."""

import datetime as dt
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from serin_services.registry.core.access import PLATFORM, SYSTEM, Caller, Role, Visibility
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import sessions, tables
from serin_services.registry.records import paging
from serin_services.registry.records.catalogue import listing
from support import postgres, report

TENANTS, MODELS, VERSIONS = 20, 200, 100_000
LIMIT = 100
# Of the sizes that are common among teams: some have a few versions, one has most.
ROUNDS = 400
SMALLEST = 20
NOTES = """Times are of `Database.open` with its settings, the query and the reading of the rows, in one thread. The callers are
of all tenants in turn, a third at the first page, the others further in. The uneven registry has as many versions, but one
tenant has almost all of them and the others 20 each, the oldest of all."""

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def measure(quick: bool, scratch: Path) -> list[report.Figure]:  # noqa: ARG001 - the benchmarks' signature; the server has its own folder
    """Fill two registries, list in both, and give the figures."""
    versions, rounds = (5_000, 60) if quick else (VERSIONS, ROUNDS)
    figures = []
    with postgres.run() as server:
        for name, spread in (("even", _even), ("uneven", _uneven)):
            server.make_database(name)
            database = server.open(name)
            database.upgrade()
            fill(database, versions, spread)
            server.execute("VACUUM ANALYZE", database=name)
            figures += _figures(name, versions, list(time_lists(database, rounds)))
            database.close()
    return figures


def _figures(name: str, versions: int, times: Sequence[float]) -> list[report.Figure]:
    middle, high = (1000 * report.quantile(times, share) for share in (0.5, 0.95))
    what = f"list {LIMIT} among {versions:,} versions of {TENANTS} tenants, {name} sizes, p95"
    return [report.Figure(what, "≤ 20 ms", f"{high:.1f} ms (p50 {middle:.1f} ms)", high <= 20)]


def time_lists(database: sessions.Database, rounds: int) -> Iterator[float]:
    """Give how long each list took, in seconds: every tenant's in turn, at the first page and behind it."""
    chance = random.Random(1)  # noqa: S311 - no secret
    cursors: dict[str, str | None] = {}
    for round_ in range(rounds):
        caller = Caller("ann", tenant_name(round_ % TENANTS), Role.VIEWER)
        cursor = None if chance.random() < 1 / 3 else cursors.get(caller.tenant)
        begun = time.perf_counter()
        with database.open(caller, read_only=True) as session:
            page = listing.list_versions(session, caller, listing.Filters(), paging.Slice(LIMIT, cursor))
        yield time.perf_counter() - begun
        if not page.items:
            raise AssertionError(f"{caller.tenant} has versions, but none was listed")
        cursors[caller.tenant] = page.next


def tenant_name(number: int) -> str:
    """Give the name of a tenant; the first is the platform."""
    return PLATFORM if number == 0 else f"tenant-{number:02}"


def _even(number: int) -> int:
    """Give the model of a version: each has as many."""
    return number % MODELS


def _uneven(number: int) -> int:
    """Give the model of a version: the first few are of all tenants but one, which has all the rest."""
    per_tenant = MODELS // TENANTS
    if number < SMALLEST * (TENANTS - 1):
        return number % (TENANTS - 1) * per_tenant
    return MODELS - per_tenant + number % per_tenant


def fill(database: sessions.Database, versions: int, spread: Callable[[int], int] = _even) -> None:
    """Fill an empty registry: each tenant has as many models, the platform's being everyone's."""
    chance = random.Random(0)  # noqa: S311 - no secret
    models = [uuid.UUID(int=chance.getrandbits(128), version=4) for _ in range(MODELS)]
    with database.open(SYSTEM) as session:
        connection = session.connection()
        tenants = [{"id": tenant_name(number), "sign_off": [], "created_at": START} for number in range(TENANTS)]
        connection.execute(sa.insert(tables.Tenant), tenants)
        connection.execute(sa.insert(tables.Model), [_model(number, id_) for number, id_ in enumerate(models)])
        for first in range(0, versions, 5_000):
            numbers = range(first, min(first + 5_000, versions))
            rows = [_version(n, spread(n), models, chance) for n in numbers]
            connection.execute(sa.insert(tables.ModelVersion), rows)


def _model(number: int, id_: uuid.UUID) -> dict[str, Any]:
    tenant = tenant_name(number // (MODELS // TENANTS))
    # One in ten is a user's own.
    owner = "ann" if number % 10 == 9 and tenant != PLATFORM else ""
    kind = Visibility.PLATFORM if tenant == PLATFORM else Visibility.USER if owner else Visibility.TENANT
    return {
        "id": id_, "tenant_id": tenant, "name": f"model-{number}", "owner": owner, "visibility": kind, "description": "",
        "labels": {}, "created_at": START, "created_by": "ann", "revision": 1,
    }  # fmt: skip


def _version(number: int, model: int, models: Sequence[uuid.UUID], chance: random.Random) -> dict[str, Any]:
    at = START + dt.timedelta(minutes=number)
    features = [{"name": f"feature_{n}", "dtype": "float64", "unit": None} for n in range(49)]
    return {
        "id": uuid.UUID(int=chance.getrandbits(128), version=4), "model_id": models[model],
        "tenant_id": tenant_name(model // (MODELS // TENANTS)), "version": f"1.0.{number}",
        "stage": chance.choices(list(Stage), (5, 1, 5, 1, 1, 1, 20))[0], "stage_since": at, "change": "PATCH",
        "change_reasons": ["retrained"], "family": "xgboost", "architecture": {"trees": 400, "depth": 6},
        "hyperparameters": {"eta": 0.1, "subsample": 0.8, "colsample": 0.8}, "features": features, "feature_version": "1",
        "target": "return_1h", "data": {"ranges": {"train": ["2025-01-01", "2026-01-01"]}, "samples": {"train": 100_000}},
        "metrics": {"accuracy": chance.random(), "auc": chance.random()}, "labels": {"team": "a"}, "parent_id": None,
        "artifact_sha256": f"{number:064x}", "image": "", "run_id": "", "trained_at": at, "deployed_at": None,
        "archived_at": None, "created_at": at, "created_by": "ann", "revision": 1,
    }  # fmt: skip
