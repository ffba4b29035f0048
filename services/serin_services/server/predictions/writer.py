"""The log itself: requests leave their record and go on; a thread of its own writes."""

import dataclasses
import logging
import random
import threading
import time
from collections.abc import Sequence

from serin_services.server.predictions import records, sinks

log = logging.getLogger("serin.predictions")

# The first wait before another try at most, doubled each time up to the longest, in seconds.
FIRST_WAIT = 0.2
LONGEST_WAIT = 10.0
# A sink may ask for more time, but not for this much.
LONGEST_RETRY_AFTER = 120.0
# So long the writer works at a stretch, and so long it lets go of the interpreter then, in seconds: a request that
# arrives meanwhile waits no longer than the stretch, where the interpreter alone would let it wait 5 ms.
STRETCH = 0.0002
PAUSE = 0.00005
# So many records are let go of at once: freeing thousands of them would be one long stretch.
FREED_TOGETHER = 32


@dataclasses.dataclass
class Counts:
    """Rows, not requests: chosen for the log, dropped because the sink was slow, written, and given up on.

    What is in none of the last three waits.
    """

    records: int = 0
    dropped: int = 0
    written: int = 0
    failed: int = 0


def next_wait(attempt: int, retry_after: float, chance: float) -> float:
    """Give the seconds until the next try: anything up to a bound that doubles, so that replicas do not come together."""
    backed_off = chance * min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt, 16))
    return max(backed_off, min(retry_after, LONGEST_RETRY_AFTER))


class PredictionLog:
    """Takes records at once and writes them later; what does not fit into `limit_bytes` is dropped and counted."""

    def __init__(self, sink: sinks.Sink, share: float, limit_bytes: int) -> None:
        self.counts = Counts()
        self._sink = sink
        self._sample_limit = records.sample_limit(share)
        self._limit_bytes = limit_bytes
        # A batch that is being written still counts, so at half the limit there is room for as much again.
        self._flush_bytes = min(sink.flush_bytes, limit_bytes // 2)
        self._lock = threading.Lock()
        self._pending: list[records.Record] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._held_bytes = 0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._healthy = True
        self._worked_since = 0.0
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def offer(self, record: records.Record) -> None:
        """Take a record or drop it; never waits for the sink."""
        if records.sample_number(record.id) >= self._sample_limit:
            return
        size, rows = record.size, record.rows
        with self._lock:
            self.counts.records += rows
            if self._held_bytes + size > self._limit_bytes or self._closing.is_set():
                self.counts.dropped += rows
                return
            self._pending.append(record)
            self._pending_rows += rows
            self._held_bytes += size
            self._pending_bytes += size
            full = self._pending_bytes >= self._flush_bytes
        if full and not self._wake.is_set():
            self._wake.set()

    def close(self, seconds: float) -> int:
        """Write what waits, for so many seconds at most; gives the number of rows that waited and were not written."""
        self._deadline = time.monotonic() + seconds
        with self._lock:
            self._closing.set()
            failed_before = self.counts.failed
        self._wake.set()
        self._thread.join(seconds)
        with self._lock:
            counts = dataclasses.replace(self.counts)
        lost = counts.records - counts.written - counts.dropped - failed_before
        if lost:
            log.error("%d predictions were not written to the log before the end", lost)
        return lost

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(self._sink.flush_seconds)
            self._flush()
        self._flush()
        try:
            self._sink.close()
        except OSError as error:
            log.error("the prediction log cannot be closed: %s", error)  # noqa: TRY400 - the message says it all

    def _flush(self) -> None:
        with self._lock:
            batch, self._pending = self._pending, []
            rows, self._pending_rows = self._pending_rows, 0
            size, self._pending_bytes = self._pending_bytes, 0
            self._wake.clear()
        written_before = self.counts.written
        self._worked_since = time.perf_counter()
        try:
            self._write(batch)
        except Exception:
            if self._healthy:
                log.exception("predictions cannot be put into words")
            self._healthy = False
        while batch:
            del batch[-FREED_TOGETHER:]
            self._rest()
        with self._lock:
            self._held_bytes -= size
            self.counts.failed += rows - (self.counts.written - written_before)

    def _write(self, batch: Sequence[records.Record]) -> None:
        """Write a batch piece by piece."""
        for piece in self._sink.encode(batch, self._rest) if batch else ():
            if self._deliver(piece):
                with self._lock:
                    self.counts.written += piece.rows

    def _rest(self) -> None:
        """Let requests have the interpreter; in a hurry there are none any more."""
        if time.perf_counter() - self._worked_since > STRETCH and not self._closing.is_set():
            time.sleep(PAUSE)
            self._worked_since = time.perf_counter()

    def _deliver(self, piece: sinks.Piece) -> bool:
        """Offer a piece to the sink until it takes it, rejects it, or time is up."""
        give_up = time.monotonic() + self._sink.retry_seconds
        attempt = 0
        while True:
            try:
                self._sink.write(piece)
            except sinks.Rejected as error:
                self._tell(f"{error}; what it refuses is lost")
                return False
            except (sinks.Unavailable, OSError) as error:
                self._tell(f"{error}; it is tried again")
                asked = error.retry_after if isinstance(error, sinks.Unavailable) else 0
                wait = next_wait(attempt, asked, random.random())  # noqa: S311 - no secret is made of it
            else:
                self._tell("")
                return True
            attempt += 1
            if not self._wait(wait, give_up):
                return False

    def _wait(self, seconds: float, give_up: float) -> bool:
        """Wait before another try, less when the process ends; gives whether there is time for one."""
        seconds = min(seconds, give_up - time.monotonic())
        if seconds > 0 and self._closing.wait(seconds):
            time.sleep(max(0.0, min(seconds, FIRST_WAIT, self._deadline - time.monotonic())))
        return time.monotonic() < min(give_up, self._deadline)

    def _tell(self, problem: str) -> None:
        """Say once that writing began to fail and once that it goes on, instead of once for each try."""
        if self._healthy and problem:
            log.warning("the prediction log cannot be written: %s", problem)
        elif problem == "" and not self._healthy:
            log.info("the prediction log is written again")
        self._healthy = not problem
