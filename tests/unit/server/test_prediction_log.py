"""The log's writer: requests never wait for it, and every row is written or counted."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import prometheus_client
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.api import metrics
from serin_services.server.predictions import addresses, counters, lines, records, sinks, writer
from support import collectors

FAST = "flush_seconds=0.01&retry_seconds=0.05"
ROOMY = 1 << 24


class Shelf:
    """A sink in memory that fails as it is told to, one entry of `faults` for each try."""

    flush_seconds = 0.01
    flush_bytes = 4000
    retry_seconds = 30.0

    def __init__(self, faults: Sequence[Exception | None] = (), piece_rows: int = 3) -> None:
        self.held: list[str] = []
        self.closed = False
        self._faults = list(faults)
        self._piece_rows = piece_rows

    def encode(self, batch: Sequence[records.Record], rest: sinks.Rest) -> Iterator[sinks.Piece]:
        ids = [f"{record.id.decode()}/{row}" for record in batch for row in range(record.rows)]
        for start in range(0, len(ids), self._piece_rows):
            rest()
            part = ids[start : start + self._piece_rows]
            yield sinks.Piece(" ".join(part).encode(), len(part))

    def write(self, piece: sinks.Piece) -> None:
        if self._faults and (fault := self._faults.pop(0)):
            raise fault
        self.held += piece.payload.decode().split()

    def close(self) -> None:
        self.closed = True


FAULTS = st.sampled_from([None, OSError("disk"), sinks.Unavailable("busy"), sinks.Rejected("no")])


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "FIRST_WAIT", 0.0001)
    monkeypatch.setattr(writer, "LONGEST_WAIT", 0.0001)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), max_size=30),
    faults=st.lists(FAULTS, max_size=20),
    limit=st.sampled_from([3000, 20_000, ROOMY]),
    share=st.sampled_from([1.0, 0.5]),
)
def test_every_row_is_written_once_or_counted_as_dropped_or_failed(
    sizes: list[int], faults: list[Exception | None], limit: int, share: float
) -> None:
    shelf = Shelf(faults)
    log = writer.PredictionLog(shelf, share, limit)
    offered = [collectors.record(f"r-{number}", rows) for number, rows in enumerate(sizes)]

    for record in offered:
        log.offer(record)
    lost = log.close(30)

    counts = log.counts
    chosen = [record for record in offered if records.sample_number(record.id) < share * records.RANGE]
    assert counts.records == sum(record.rows for record in chosen) == counts.dropped + counts.written + counts.failed
    assert lost <= counts.failed
    assert len(shelf.held) == len(set(shelf.held)) == counts.written
    assert set(shelf.held) <= {f"{record.id.decode()}/{row}" for record in chosen for row in range(record.rows)}
    assert shelf.closed
    if limit == ROOMY and not any(isinstance(fault, sinks.Rejected) for fault in faults):
        assert counts.written == counts.records


def test_a_sink_that_hangs_costs_rows_and_no_request() -> None:
    with collectors.collecting(None) as collector:
        sink = addresses.open_sink(f"http://127.0.0.1:{collector.port}/#{FAST}&batch=1", collectors.CLASSIFIER)
        log = writer.PredictionLog(sink, 1, 10_000)
        log.offer(collectors.record("first"))
        assert collector.arrived.wait(30)
        for number in range(50):
            log.offer(collectors.record(f"r-{number}"))
        lost = log.close(0.05)

    assert log.counts.records == 51
    assert 40 < log.counts.dropped < 51
    assert lost == 51 - log.counts.dropped


def test_what_comes_from_many_threads_is_all_there() -> None:
    shelf = Shelf()
    log = writer.PredictionLog(shelf, 1, ROOMY)

    def offer(name: int) -> None:
        for number in range(200):
            log.offer(collectors.record(f"{name}-{number}"))

    threads = [threading.Thread(target=offer, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert log.close(30) == 0
    assert sorted(shelf.held) == sorted(f"{name}-{number}/0" for name in range(4) for number in range(200))


def test_what_cannot_be_put_into_words_is_counted_and_the_rest_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    sink = addresses.open_sink("stdout:#flush_seconds=3600", collectors.CLASSIFIER)
    log = writer.PredictionLog(sink, 1, ROOMY)
    for request_id in ("wrong", "too"):
        log.offer(collectors.record(request_id, chosen=[7]))

    assert log.close(30) == 2
    assert log.counts.failed == 2
    assert caplog.text.count("predictions cannot be put into words") == 1


def test_what_was_written_before_something_could_not_be_described_stays_counted_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "PIECE_BYTES", 1)
    sink = addresses.open_sink(f"file://{tmp_path}/log.jsonl#flush_seconds=3600", collectors.CLASSIFIER)
    log = writer.PredictionLog(sink, 1, ROOMY)
    log.offer(collectors.record("right", 2))
    log.offer(collectors.record("wrong", chosen=[7]))

    assert log.close(30) == 1
    assert (log.counts.written, log.counts.failed) == (2, 1)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2


def test_nothing_is_taken_after_the_end() -> None:
    shelf = Shelf()
    log = writer.PredictionLog(shelf, 1, ROOMY)
    log.close(30)
    log.offer(collectors.record())

    assert (log.counts.records, log.counts.dropped, shelf.held) == (1, 1, [])


def test_it_says_once_that_writing_fails_and_once_that_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "serin.predictions")
    log = writer.PredictionLog(Shelf([OSError("the disk is full")] * 5), 1, ROOMY)
    log.offer(collectors.record())
    assert log.close(30) == 0

    assert [entry.getMessage() for entry in caplog.records if entry.name == "serin.predictions"] == [
        "the prediction log cannot be written: the disk is full; it is tried again",
        "the prediction log is written again",
    ]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("form", ["r-{}", "{:016x}", "{}"], ids=["counted", "hexadecimal", "numbers"])
def test_about_the_share_of_requests_is_chosen_whatever_ids_look_like(share: float, form: str) -> None:
    chosen = sum(records.sample_number(form.format(n).encode()) < records.sample_limit(share) for n in range(20_000))

    assert chosen == pytest.approx(20_000 * share, rel=0.15)


def test_a_larger_share_chooses_the_same_requests_and_more() -> None:
    ids = [f"r-{number}".encode() for number in range(1000)]
    small, large = (
        {each for each in ids if records.sample_number(each) < records.sample_limit(share)} for share in (0.1, 0.4)
    )

    assert small < large


@given(st.integers(0, 10_000), st.floats(0, 1000), st.floats(0, 1))
def test_a_wait_is_bounded_and_as_long_as_the_sink_asked(attempt: int, asked: float, chance: float) -> None:
    wait = writer.next_wait(attempt, asked, chance)

    assert min(asked, writer.LONGEST_RETRY_AFTER) <= wait
    assert wait <= max(writer.LONGEST_WAIT, writer.LONGEST_RETRY_AFTER)


def test_its_counts_are_metrics() -> None:
    log = writer.PredictionLog(Shelf([sinks.Rejected("no")]), 1, ROOMY)
    log.offer(collectors.record("a", 3))
    log.offer(collectors.record("b", 2))
    log.close(30)
    registry = prometheus_client.CollectorRegistry()
    registry.register(counters.Collector(log, collectors.CLASSIFIER))

    own = {"model": "momentum", "version": "1.2.0"}
    names = ("RECORDS", "DROPPED", "WRITTEN", "FAILED")
    values = [registry.get_sample_value(getattr(metrics, f"PREDICTION_LOG_{name}"), own) for name in names]
    assert values == [5, 0, 2, 3]
