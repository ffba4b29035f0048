"""How many outcomes a second are joined, and how long the dashboard's questions take over a log of 10 million predictions."""

import concurrent.futures
import contextlib
import datetime as dt
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import requests

from serin_services.registry.core.access import SYSTEM, Caller, Role, Visibility
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import sessions, tables
from serin_services.registry.records.outcomes import intake
from serin_services.registry.records.outcomes.rows import OutcomeRow, PredictionRow
from support import postgres, registry_process, report
from support.registry_process import RegistryProcess

TENANT, NAME = "desk", "outcomes"
CALLER = Caller("ann", TENANT, Role.DEVELOPER)
KEEP = dt.timedelta(days=90)
MODELS, VERSIONS = 20, 5
JOINED, QUICK_JOINED = 100_000, 10_000
BATCHES = (1000, 100)
CLIENTS = 2
LOGGED, QUICK_LOGGED = 10_000_000, 200_000
ROUNDS, QUICK_ROUNDS = 60, 5
LEAST_PER_SECOND = 5_000
MOST_MS = 200
# Asked now and then, and by no dashboard.
BESIDES = ("champion and challenger over 24 h, pair by pair", "the month's export")
NOTES = """Outcomes: each finds its prediction, which is there, and is added to the sums; batches come one after the other
through `records`, and from two clients at once over HTTP, where registry, PostgreSQL and clients share the machine. The log: 20
models with 5 versions each over 90 days, of which one model has half of all predictions; 80 % have an outcome, and one version
has answered that model's last 24 hours in the shadow. Questions are asked over HTTP, one after the other."""


def measure(quick: bool, scratch: Path) -> list[report.Figure]:
    """Measure the joining in an empty registry, and the questions in a full one."""
    joined, logged, rounds = (QUICK_JOINED, QUICK_LOGGED, QUICK_ROUNDS) if quick else (JOINED, LOGGED, ROUNDS)
    figures = []
    with postgres.run() as server, _open(server, scratch) as (database, registry):
        versions = add_models(database)
        figures += _join(database, registry, versions, joined)
        fill(server, logged)
        figures += _ask(registry, logged, rounds)
    return figures


@contextlib.contextmanager
def _open(server: postgres.Server, scratch: Path) -> Iterator[tuple[sessions.Database, RegistryProcess]]:
    server.make_database(NAME)
    database = server.open(NAME)
    database.upgrade()
    settings = {
        "DATABASE": server.url(postgres.APPLICATION, NAME),
        "DATABASE_OWNER": server.url(postgres.OWNER, NAME),
        "ARTIFACTS": str(scratch / "artifacts"),
    }
    registry = registry_process.make(settings, scratch)
    registry.start()
    try:
        registry.wait()
        yield database, registry
    finally:
        registry.stop()
        database.close()


def add_models(database: sessions.Database) -> list[tables.ModelVersion]:
    """Add the models and their versions, the last of each in production but for the first model's, which is in the shadow."""
    start = dt.datetime.now(dt.UTC) - KEEP
    versions = []
    with database.open(SYSTEM) as session:
        session.add(tables.Tenant(id=TENANT, sign_off=[], created_at=start))
        session.flush()
        for number in range(MODELS):
            model = _make_model(number, start)
            session.add(model)
            session.flush()
            versions += [_make_version(model, number, version, start) for version in range(VERSIONS)]
        session.add_all(versions)
    return versions


def _make_model(number: int, start: dt.datetime) -> tables.Model:
    return tables.Model(
        id=uuid.UUID(int=number + 1, version=4), tenant_id=TENANT, name=f"model-{number}", owner="", description="",
        visibility=Visibility.TENANT, labels={}, created_at=start, created_by="ann",
    )  # fmt: skip


def _make_version(model: tables.Model, number: int, version: int, start: dt.datetime) -> tables.ModelVersion:
    stage = Stage.ARCHIVED if version < VERSIONS - 2 else Stage.PRODUCTION
    if version == VERSIONS - 1:
        stage = Stage.STAGING if number == 0 else Stage.PRODUCTION
    elif version == VERSIONS - 2 and number > 0:
        stage = Stage.ARCHIVED
    return tables.ModelVersion(
        id=uuid.UUID(int=1000 * (number + 1) + version, version=4), tenant_id=TENANT, model_id=model.id,
        version=f"1.{version}.0", stage=stage, stage_since=start, change="MINOR", change_reasons=[], family="xgboost",
        architecture={}, hyperparameters={}, features=[], feature_version="", target="", data={}, metrics={}, labels={},
        artifact_sha256="", image="", run_id="", created_at=start + version * KEEP / VERSIONS, created_by="ann",
    )  # fmt: skip


def _join(
    database: sessions.Database, registry: RegistryProcess, versions: Sequence[tables.ModelVersion], count: int
) -> Iterator[report.Figure]:
    """Report predictions and then their outcomes, by each way and in batches of each size."""
    for size in BATCHES:
        for way, run in (("through records", _run_records), ("over HTTP", _run_http)):
            name = f"{way[-4:]}-{size}".replace(" ", "")
            rows = _make_rows(name, count)
            for batch in _cut(rows[0], 5000):
                with database.open(CALLER) as session:
                    intake.take_predictions(session, CALLER, batch, dt.datetime.now(dt.UTC), KEEP)
            speed = count / run(database, registry, _cut(rows[1], size))
            what = f"outcomes joined on PostgreSQL, {way}, batches of {size:,}"
            asked = f"≥ {LEAST_PER_SECOND:,}/s" if size == BATCHES[0] else "-"
            met = speed >= LEAST_PER_SECOND if size == BATCHES[0] else None
            yield report.Figure(what, asked, f"{speed:,.0f}/s", met)
    if len(versions) != MODELS * VERSIONS:
        raise AssertionError("the versions are not those that were meant")


def _make_rows(name: str, count: int) -> tuple[list[PredictionRow], list[OutcomeRow]]:
    now = dt.datetime.now(dt.UTC)
    moments = [now - dt.timedelta(seconds=number * 3600 / count) for number in range(count)]
    labels = ("up", "down", "hold")
    predictions = [
        PredictionRow("model-1", "1.4.0", f"{name}-{n}/0", at, labels[n % 3], None, 0.75, 0.002)
        for n, at in enumerate(moments)
    ]
    return predictions, [
        OutcomeRow("model-1", f"{name}-{n}/0", at, labels[n % 2], None, 0.125) for n, at in enumerate(moments)
    ]


def _cut(rows: Sequence[Any], size: int) -> list[Any]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _run_records(database: sessions.Database, _registry: RegistryProcess, batches: Sequence[Any]) -> float:
    begun = time.perf_counter()
    for batch in batches:
        with database.open(CALLER) as session:
            receipt = intake.take_outcomes(session, CALLER, batch, dt.datetime.now(dt.UTC), KEEP)
        if receipt.joined != len(batch):
            raise AssertionError(f"expected all of {len(batch)} to be joined, got {receipt}")
    return time.perf_counter() - begun


def _run_http(_database: sessions.Database, registry: RegistryProcess, batches: Sequence[Any]) -> float:
    headers = {"Authorization": f"Bearer {registry.token(tenant=TENANT)}", "Content-Type": "application/json"}
    bodies = [json.dumps({"outcomes": [_dump(row) for row in batch]}).encode() for batch in batches]

    def send(share: Sequence[bytes]) -> int:
        with requests.Session() as client:
            client.trust_env = False
            answers = [
                client.post(f"{registry.url}/api/v1/outcomes", body, headers=headers, timeout=60) for body in share
            ]
        return sum(int(answer.json()["joined"]) for answer in answers)

    begun = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        joined = sum(pool.map(send, [bodies[first::CLIENTS] for first in range(CLIENTS)]))
    took = time.perf_counter() - begun
    if joined != sum(len(batch) for batch in batches):
        raise AssertionError(f"expected all to be joined, got {joined}")
    return took


def _dump(row: OutcomeRow) -> dict[str, Any]:
    at = row.at.isoformat()
    return {"model": row.model, "id": row.id, "at": at, "label": row.label, "returned": row.returned}


# One prediction of each number, made of the number alone: half are of the first model; a model's versions follow one another.
_PREDICTIONS = """
INSERT INTO predictions (tenant_id, model_id, id, version_id, at, label, value, confidence, seconds, shadow, kept_until)
SELECT '{tenant}', m.id, 'log-' || g.n || '/0', v.id, g.at,
       (ARRAY['up', 'down', 'hold'])[1 + g.h % 3], NULL, 0.5 + (g.h % 1000) / 2000.0, 0.002, false, g.at + interval '90 days'
FROM (SELECT n, hashint8(n) & 2147483647 AS h, now() - interval '90 days' * ({count} - n) / {count} AS at,
             least({last}, n * {versions} / {count}) AS age FROM generate_series(1, {count}::bigint) n) g
JOIN models m ON m.name = 'model-' || CASE WHEN g.h % 2 = 0 THEN 0 ELSE g.h / 2 % {models} END
JOIN model_registry v ON v.model_id = m.id AND v.version = '1.' || CASE WHEN m.name = 'model-0' THEN least(g.age, {last} - 1)
                                                                        ELSE g.age END || '.0'
"""
_SHADOW = """
INSERT INTO predictions (tenant_id, model_id, id, version_id, at, label, value, confidence, seconds, shadow, kept_until)
SELECT p.tenant_id, p.model_id, p.id, v.id, p.at, (ARRAY['up', 'down', 'hold'])[1 + (hashtext(p.id) & 2147483647) % 3],
       p.value, p.confidence, p.seconds, true, p.kept_until
FROM predictions p JOIN models m ON m.id = p.model_id AND m.name = 'model-0'
JOIN model_registry v ON v.model_id = m.id AND v.stage = 'STAGING'
WHERE p.at >= now() - interval '24 hours'
"""
_OUTCOMES = """
INSERT INTO outcomes (tenant_id, model_id, id, at, label, value, returned, returns, kept_until)
SELECT p.tenant_id, p.model_id, p.id, p.at, (ARRAY['up', 'down', 'hold'])[1 + (p.h >> 4) % 3], NULL,
       ((p.h >> 6) % 2001 - 1000) / 10000.0, '{{}}', p.kept_until
FROM (SELECT *, hashtext(id) & 2147483647 AS h FROM predictions WHERE NOT shadow) p WHERE (p.h >> 20) % 10 < 8
"""
_SUMS = """
INSERT INTO model_performance_logs
  (tenant_id, model_id, version_id, hour, predictions, outcomes, judged, correct, wins, losses, gain, loss, returned, returns,
   squares, timed, seconds, confident, confidence, compared, error, squared_error)
SELECT p.tenant_id, p.model_id, p.version_id, date_trunc('hour', p.at), count(*), count(o.id), count(o.label),
       count(*) FILTER (WHERE p.label = o.label), count(*) FILTER (WHERE NOT p.shadow AND o.returned > 0),
       count(*) FILTER (WHERE NOT p.shadow AND o.returned < 0),
       coalesce(sum(greatest(o.returned, 0)) FILTER (WHERE NOT p.shadow), 0),
       coalesce(-sum(least(o.returned, 0)) FILTER (WHERE NOT p.shadow), 0),
       count(o.returned) FILTER (WHERE NOT p.shadow), coalesce(sum(o.returned) FILTER (WHERE NOT p.shadow), 0),
       coalesce(sum(o.returned * o.returned) FILTER (WHERE NOT p.shadow), 0),
       count(p.seconds), sum(p.seconds), count(p.confidence), sum(p.confidence), 0, 0, 0
FROM predictions p LEFT JOIN outcomes o ON o.model_id = p.model_id AND o.id = p.id
GROUP BY 1, 2, 3, 4
"""
_LABELS = """
INSERT INTO label_counts (tenant_id, model_id, version_id, hour, label, count)
SELECT tenant_id, model_id, version_id, date_trunc('hour', at), label, count(*) FROM predictions GROUP BY 1, 2, 3, 4, 5
"""
_TABLES = ("predictions", "outcomes", "model_performance_logs", "label_counts")


def fill(server: postgres.Server, count: int) -> None:
    """Make a log of so many predictions, and the sums that ingest would have made of it, in place of what there is."""
    numbers = {"tenant": TENANT, "count": count, "models": MODELS, "versions": VERSIONS, "last": VERSIONS - 1}
    statements = [text.format(**numbers) for text in (_PREDICTIONS, _SHADOW, _OUTCOMES, _SUMS, _LABELS)]
    with psycopg.connect(server.url(database=NAME), autocommit=True) as connection:
        # Foreign keys are triggers: here they hold by construction.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET work_mem = '512MB'")
        connection.execute(f"TRUNCATE {', '.join(_TABLES)}".encode())
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexdef NOT LIKE '%%UNIQUE%%'",
            [list(_TABLES)],
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
        for statement in statements:
            connection.execute(statement.encode())
        for _, definition in indexes:
            connection.execute(str(definition).encode())
        connection.execute("VACUUM ANALYZE")


def _ask(registry: RegistryProcess, logged: int, rounds: int) -> Iterator[report.Figure]:
    """Ask what a dashboard asks, each question so often."""
    for what, ask in find_questions(registry).items():
        ask()
        times = [_time(ask) for _ in range(rounds)]
        middle, high = (1000 * report.quantile(times, share) for share in (0.5, 0.95))
        name = f"{what}, of {logged:,} predictions, p95"
        measured = f"{high:.0f} ms (p50 {middle:.0f} ms)"
        if what in BESIDES:
            yield report.Figure(name, "-", measured, None)
        else:
            yield report.Figure(name, f"≤ {MOST_MS} ms", measured, high <= MOST_MS)


def find_questions(registry: RegistryProcess) -> Mapping[str, Callable[[], None]]:
    """Give what is asked, by what it is called."""
    headers = {"Authorization": f"Bearer {registry.token(tenant=TENANT, role='viewer')}"}
    client = requests.Session()
    client.trust_env = False

    def get(path: str) -> Any:
        url = f"{registry.url}/api/v1{path}" if path.startswith("/") else path
        answer = client.get(url, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer

    model, month = (
        "/models/model-0",
        (dt.datetime.now(dt.UTC) - dt.timedelta(days=30)).isoformat().replace("+00:00", "Z"),
    )
    log, champion = f"{model}/predictions?limit=100", f"{model}/versions/1.{VERSIONS - 2}.0"
    challenger = f"{model}/versions/1.{VERSIONS - 1}.0"
    deep = f"{log}&cursor={get(f'{log}&until={month}').json()['next']}"
    paths = {
        "counts of 1 h and 24 h, accuracy, win rate and labels by version": f"{model}/performance",
        "the same over 30 days": f"{model}/performance?since={month}",
        "the same of all active models": "/performance?limit=200",
        "accuracy by the hour over 30 days, rolling over 24 h": f"{champion}/performance?since={month}&rolling_hours=24",
        "the latest 100 predictions with their outcomes": log,
        "the latest 100 predictions of one version": f"{log}&version=1.{VERSIONS - 1}.0",
        "100 predictions 30 days back": deep,
        "champion and challenger over 24 h, pair by pair": f"{challenger}/shadow/comparison",
        "the month's export": f"/exports/performance?month={month[:7]}&format=csv",
        "a scrape of the metrics": f"http://127.0.0.1:{registry.metrics_port}/metrics",
    }
    return {what: lambda path=path: get(path) for what, path in paths.items()}  # type: ignore[misc]


def _time(ask: Callable[[], None]) -> float:
    begun = time.perf_counter()
    ask()
    return time.perf_counter() - begun
