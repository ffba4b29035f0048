"""Predictions and outcomes from many writers at once on PostgreSQL: every pair is counted once, whatever breaks off."""

import concurrent.futures
import datetime as dt
import random
import threading
import time
from collections.abc import Sequence

import hypothesis
import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core import performance
from serin_services.registry.core.access import SYSTEM, Caller
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from serin_services.registry.records.outcomes import intake, sums
from serin_services.registry.records.outcomes.intake import Receipt
from serin_services.registry.records.outcomes.rows import OutcomeRow, PredictionRow
from support import outcome_laws, postgres
from support import outcome_rows as rows
from support.outcome_rows import NOW, REPORTER

KEEP = dt.timedelta(days=90)
COUNT = 600
# What an example leaves, the rows that refer to others first.
EMPTIED = (
    tables.Prediction,
    tables.Outcome,
    tables.PerformanceLog,
    tables.LabelCount,
    tables.ModelVersion,
    tables.Model,
)
WRITERS = 6
Batch = Sequence[PredictionRow] | Sequence[OutcomeRow]


@pytest.fixture
def filled(postgresql_database: Database) -> Database:
    model = rows.add_model(postgresql_database)
    for version in ("1.0.0", "1.1.0"):
        rows.add_version(postgresql_database, model, version)
    return postgresql_database


def take(session: orm.Session, batch: Batch, caller: Caller = REPORTER) -> Receipt:
    if isinstance(batch[0], PredictionRow):
        return intake.take_predictions(session, caller, batch, NOW, KEEP)  # type: ignore[arg-type]
    return intake.take_outcomes(session, caller, batch, NOW, KEEP)  # type: ignore[arg-type]


def report(database: Database, batch: Batch) -> Receipt:
    with database.open(REPORTER) as session:
        return take(session, batch)


def make_predictions(version: str = "1.0.0", count: int = COUNT) -> list[PredictionRow]:
    return [
        PredictionRow("momentum", version, f"order-{n}/0", NOW - dt.timedelta(minutes=n % 180), "up", None, 0.5, 0.25)
        for n in range(count)
    ]


def make_outcomes(count: int = COUNT) -> list[OutcomeRow]:
    return [OutcomeRow("momentum", f"order-{n}/0", NOW, "up" if n % 4 else "down", None, 0.125) for n in range(count)]


def read_total(database: Database) -> performance.Sums:
    with database.open(REPORTER) as session:
        return performance.total(sums.read(row) for row in session.scalars(sa.select(tables.PerformanceLog)))


def connect(database: Database) -> psycopg.Connection[tuple[object, ...]]:
    """Connect as the superuser, who sees and ends everyone's connections."""
    return psycopg.connect(postgres.share().url(database=database.engine.url.database or ""), autocommit=True)


def wait_for_a_lock(database: Database) -> None:
    """Wait until some connection waits for another's row."""
    query = b"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    deadline = time.monotonic() + 30
    with connect(database) as connection:
        while time.monotonic() < deadline:
            if connection.execute(query).fetchone() != (0,):
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits for a lock")


def end_connections(database: Database, share: float) -> int:
    """End so large a share of the connections that are in a transaction; gives how many these were."""
    query = b"""SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE state <> 'idle' AND pid <> pg_backend_pid() AND datname = current_database() AND random() < %s"""
    with connect(database) as connection:
        (ended,) = connection.execute(query, [share]).fetchone() or (0,)
    return int(str(ended))


def cut(batch: Batch, size: int, chance: random.Random) -> list[Batch]:
    shuffled = chance.sample(batch, len(batch))  # type: ignore[arg-type]
    return [shuffled[start : start + size] for start in range(0, len(shuffled), size)]  # type: ignore[misc]


def test_both_halves_from_many_writers_at_once_are_each_counted_once(filled: Database) -> None:
    chance = random.Random(7)  # noqa: S311 - an order, not a secret
    halves = [make_predictions(), make_predictions("1.1.0"), make_outcomes()]
    # Each half comes twice, in another order and cut elsewhere.
    batches = [batch for half in halves for size in (37, 50) for batch in cut(half, size, chance)]
    chance.shuffle(batches)
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        receipts = list(pool.map(lambda batch: report(filled, batch), batches))
    total = sum(receipts, Receipt())
    assert (total.taken, total.doubled) == (3 * COUNT, 3 * COUNT)
    found = read_total(filled)
    assert (found.predictions, found.timed, found.confident) == (2 * COUNT, 2 * COUNT, 2 * COUNT)
    assert (found.outcomes, found.judged, found.correct) == (2 * COUNT, 2 * COUNT, 2 * COUNT * 3 // 4)
    assert (found.wins, found.gain, found.squares) == (2 * COUNT, COUNT / 4, 2 * COUNT / 64)
    with filled.open(REPORTER) as session:
        assert session.scalar(sa.select(sa.func.sum(tables.LabelCount.count))) == 2 * COUNT


@pytest.mark.parametrize("first", ["predictions", "outcomes"])
def test_the_second_half_waits_for_a_first_that_is_not_committed_yet(filled: Database, first: str) -> None:
    halves: dict[str, Batch] = {"predictions": make_predictions(count=5), "outcomes": make_outcomes(count=5)}
    early = halves.pop(first)
    (late,) = halves.values()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with filled.open(REPORTER) as session:
            assert take(session, early).waiting == 5
            second = pool.submit(report, filled, late)
            wait_for_a_lock(filled)
            assert not second.done()
        assert second.result(timeout=30).joined == 5
    assert read_total(filled).outcomes == 5


def test_two_models_in_opposite_orders_never_wait_for_each_other_forever(filled: Database) -> None:
    rows.add_version(filled, rows.add_model(filled, "reversal"))
    batches: list[list[PredictionRow]] = []
    for number in range(40):
        names = ["momentum", "reversal"] if number % 2 else ["reversal", "momentum"]
        batches.append([PredictionRow(name, "1.0.0", f"{number}", NOW, "up") for name in names])
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        receipts = list(pool.map(lambda batch: report(filled, batch), batches))
    assert sum(receipts, Receipt()).taken == 80


def report_and_break_off(database: Database, batch: Batch) -> None:
    with database.open(REPORTER) as session:
        assert take(session, batch).joined == len(batch)
        end_connections(database, 1.0)


@pytest.mark.parametrize("half", ["predictions", "outcomes"])
def test_a_batch_whose_connection_is_killed_counts_nothing_and_can_be_sent_again(filled: Database, half: str) -> None:
    report(filled, make_outcomes(50) if half == "predictions" else make_predictions(count=50))
    batch: Batch = make_predictions(count=50) if half == "predictions" else make_outcomes(50)
    before = read_total(filled)
    with pytest.raises(errors.UnavailableError):
        report_and_break_off(filled, batch)
    assert read_total(filled) == before
    assert report(filled, batch) == Receipt(taken=50, joined=50)
    assert report(filled, batch) == Receipt(doubled=50)
    assert read_total(filled).outcomes == 50


def test_writers_that_are_killed_at_any_moment_and_send_again_count_everything_once(filled: Database) -> None:
    chance = random.Random(11)  # noqa: S311 - an order, not a secret
    batches = [*cut(make_predictions(), 30, chance), *cut(make_outcomes(), 30, chance)]
    done = threading.Event()

    def send(batch: Batch) -> int:
        for attempt in range(200):
            try:
                report(filled, batch)
            except errors.UnavailableError:
                continue
            return attempt
        raise AssertionError("it never came through")

    def kill() -> int:
        killed = 0
        while not done.wait(0.02):
            killed += end_connections(filled, 0.2)
        return killed

    with concurrent.futures.ThreadPoolExecutor(WRITERS + 1) as pool:
        killer = pool.submit(kill)
        attempts = list(pool.map(send, batches))
        done.set()
    assert killer.result() > 0
    assert sum(attempts) > 0
    found = read_total(filled)
    assert (found.predictions, found.outcomes, found.correct) == (COUNT, COUNT, COUNT * 3 // 4)


@pytest.mark.parametrize("id_", ["NULL", "null", '{a,"b"}', "a\\b", "'; --", "ü/0", " ", "%s", ":id", "$1"])
def test_an_id_means_nothing_to_the_database(filled: Database, id_: str) -> None:
    assert report(filled, [PredictionRow("momentum", "1.0.0", id_, NOW, id_)]).waiting == 1
    assert report(filled, [OutcomeRow("momentum", id_, NOW, id_)]).joined == 1
    found = read_total(filled)
    assert (found.judged, found.correct) == (1, 1)


@hypothesis.given(delivery=outcome_laws.deliveries())
@hypothesis.settings(
    deadline=None, max_examples=20, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_any_split_order_and_doubling_gives_the_sums_of_plain_counting(
    database: Database, delivery: tuple[list[PredictionRow], list[OutcomeRow], list[outcome_laws.Rows]]
) -> None:
    with database.open(SYSTEM) as session:
        for table in EMPTIED:
            session.execute(sa.delete(table))
    outcome_laws.check(outcome_laws.fill(database), *delivery)
