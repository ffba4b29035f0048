"""The log's files: lines that are never torn, a full disk, and Parquet as other libraries read it."""

import datetime as dt
import json
import math
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pyarrow.parquet
import pytest

from serin_services.server.predictions import addresses, lines, sinks, writer
from support import collectors

ROOMY = 1 << 26


def read_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestLines:
    def test_a_line_holds_the_whole_prediction(self, tmp_path: Path) -> None:
        headers = [(b"host", b"x"), (b"traceparent", collectors.PARENT.encode()), (b"tracestate", b"a=1")]
        collectors.log_to(f"file://{tmp_path}/log.jsonl", collectors.record("r/1", 2, headers=headers))

        first, second = read_lines(tmp_path / "log.jsonl")
        assert first == {
            "id": "r/1/0",
            "request_id": "r/1",
            "row": 0,
            "time": "2026-11-21T12:00:00.250000Z",
            "model": "momentum",
            "version": "1.2.0",
            "protocol": "http",
            "seconds": 0.002,
            "outputs": {"probabilities": [0.25, 0.75]},
            "features": {"age": 0.0, "income": 0.5},
            "label": "up",
            "confidence": 0.75,
            "traceparent": collectors.PARENT,
            "tracestate": "a=1",
        }
        assert (second["id"], second["features"]) == ("r/1/1", {"age": 1.0, "income": 1.5})

    def test_a_model_of_tensors_has_them_by_name(self, tmp_path: Path) -> None:
        sent = collectors.sequence_record("s", 2, 2)
        collectors.log_to(f"file://{tmp_path}/log.jsonl", sent, document=collectors.SEQUENCE)

        second = read_lines(tmp_path / "log.jsonl")[1]
        assert second["inputs"] == {"series": [[4.0, 5.0], [6.0, 7.0]], "static": 1}
        assert second["outputs"] == {"forecast": [3.0, 4.0, 5.0]}
        assert "label" not in second

    def test_what_json_has_no_number_for_is_null_or_named(self, tmp_path: Path) -> None:
        odd = np.array([[math.nan, 1], [math.inf, 2], [-math.inf, math.nan]], dtype="float32")
        collectors.log_to(f"file://{tmp_path}/log.jsonl", collectors.record(rows=3, inputs=(odd,)))

        found = [line["features"] for line in read_lines(tmp_path / "log.jsonl")]
        assert found == [
            {"age": None, "income": 1.0},
            {"age": "Infinity", "income": 2.0},
            {"age": "-Infinity", "income": None},
        ]

    def test_a_large_request_is_written_in_pieces_and_in_order(self, tmp_path: Path) -> None:
        log = collectors.log_to(f"file://{tmp_path}/log.jsonl", collectors.record(rows=2500))

        assert [line["row"] for line in read_lines(tmp_path / "log.jsonl")] == list(range(2500))
        assert log.counts.written == 2500

    def test_full_files_are_renamed_and_the_newest_kept(self, tmp_path: Path) -> None:
        sink = addresses.open_sink(f"file://{tmp_path}/log.jsonl#rotate_bytes=4096&keep=2", collectors.CLASSIFIER)
        for number in range(40):
            sink.write(sinks.Piece(b"%04d" % number * 200 + b"\n", 1))
        sink.close()

        full = sorted(tmp_path.glob("log-*.jsonl"))
        assert len(full) == 2
        everything = [line[:4] for path in [*full, tmp_path / "log.jsonl"] for line in path.read_text().splitlines()]
        assert everything == [f"{number:04d}" for number in range(40 - len(everything), 40)]
        assert all(path.stat().st_size <= 4096 for path in full)

    def test_a_file_that_somebody_took_away_is_made_again_when_it_would_be_full(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        sink = addresses.open_sink(f"file://{path}#rotate_bytes=4096", collectors.CLASSIFIER)
        sink.write(sinks.Piece(b"1" * 3000 + b"\n", 1))
        path.unlink()
        sink.write(sinks.Piece(b"2" * 3000 + b"\n", 1))
        sink.close()

        assert path.read_bytes() == b"2" * 3000 + b"\n"

    def test_a_line_that_a_power_cut_tore_is_taken_back(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(b'{"row":0}\n{"row":1}\n{"ro' + b"w" * 100_000)
        collectors.log_to(f"file://{path}", collectors.record())

        assert [line["row"] for line in read_lines(path)] == [0, 1, 0]

    def test_a_file_of_nothing_but_a_torn_line_is_emptied(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(b"w" * 100_000)
        collectors.log_to(f"file://{path}", collectors.record())

        assert len(read_lines(path)) == 1

    def test_a_folder_gives_each_host_a_file_of_its_own(self, tmp_path: Path) -> None:
        collectors.log_to(f"file://{tmp_path}/logs/", collectors.record())

        assert [path.name for path in (tmp_path / "logs").iterdir()] == [f"{os.uname().nodename}.jsonl"]

    def test_two_processes_never_write_to_one_file(self, tmp_path: Path) -> None:
        address = f"file://{tmp_path}/log.jsonl"
        held = addresses.open_sink(address, collectors.CLASSIFIER)
        with pytest.raises(ValueError, match="cannot be opened"):
            addresses.open_sink(address, collectors.CLASSIFIER)
        held.close()

    def test_standard_output_gets_lines_even_where_nobody_waits_for_it(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        describer = addresses.documents.Describer(collectors.CLASSIFIER)
        sink = lines.StandardOutput(lines.LineEncoder(describer), flush_seconds=0.01, descriptor=writing)
        log = writer.PredictionLog(sink, 1, ROOMY)
        log.offer(collectors.record(rows=1000))
        with os.fdopen(reading) as pipe:
            found = [json.loads(pipe.readline())["row"] for _ in range(1000)]
            log.close(30)
        os.close(writing)

        assert found == list(range(1000))

    def test_nobody_reading_standard_output_is_final(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with pytest.raises(sinks.Rejected, match="Broken pipe"):
            lines.StandardOutput(
                lines.LineEncoder(addresses.documents.Describer(collectors.CLASSIFIER)),
                flush_seconds=1,
                descriptor=writing,
            ).write(sinks.Piece(b"{}\n", 1))
        os.close(writing)


@pytest.fixture
def small_files() -> Iterator[int]:
    """Let this process write no file larger than 8 KiB: to a sink it looks like a full disk, in the middle of a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    yield 8192
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestFullDisk:
    def test_a_file_keeps_whole_lines_and_the_rest_is_counted(
        self, tmp_path: Path, small_files: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "log.jsonl"
        monkeypatch.setattr(lines, "PIECE_BYTES", 1)
        log = collectors.log_to(
            f"file://{path}#retry_seconds=0", *(collectors.record(f"r-{number}") for number in range(60))
        )

        found = read_lines(path)
        assert path.stat().st_size <= small_files
        assert len(found) == log.counts.written > 10
        assert log.counts.failed == 60 - len(found) > 0

    def test_a_piece_is_written_once_there_is_room_again(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        sink = addresses.open_sink(f"file://{path}", collectors.CLASSIFIER)
        piece = sinks.Piece(b"x" * 9000 + b"\n", 1)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                sink.write(piece)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.stat().st_size == 0
        sink.write(piece)
        sink.close()

        assert path.read_bytes() == piece.payload

    @pytest.mark.usefixtures("small_files")
    def test_a_folder_of_parquet_has_no_half_file(self, tmp_path: Path) -> None:
        log = collectors.log_to(f"parquet://{tmp_path}#retry_seconds=0", collectors.record(rows=4000))

        assert (log.counts.written, log.counts.failed) == (0, 4000)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class TestParquet:
    def test_other_libraries_read_the_folder_as_one_table(self, tmp_path: Path) -> None:
        late = collectors.record(
            "late", 2, time=collectors.NOON + 86_400, headers=[(b"traceparent", collectors.PARENT.encode())]
        )
        collectors.log_to(f"parquet://{tmp_path}", collectors.record("r", 3), late)

        kinds = pyarrow.schema([(name, pyarrow.string()) for name in ("model", "version", "date")])
        partitions = pyarrow.dataset.partitioning(kinds, flavor="hive")
        table = pyarrow.dataset.dataset(tmp_path, format="parquet", partitioning=partitions).to_table()
        rows = sorted(table.to_pylist(), key=lambda row: row["id"])
        assert [row["id"] for row in rows] == ["late/0", "late/1", "r/0", "r/1", "r/2"]
        assert rows[4] == {
            "id": "r/2",
            "request_id": "r",
            "row": 2,
            "time": dt.datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=dt.UTC),
            "protocol": "http",
            "seconds": 0.002,
            "label": "up",
            "confidence": 0.75,
            "traceparent": None,
            "tracestate": None,
            "features": {"age": 2.0, "income": 2.5},
            "outputs": {"probabilities": [0.25, 0.75]},
            "model": "momentum",
            "version": "1.2.0",
            "date": "2026-11-21",
        }
        assert (rows[0]["date"], rows[0]["traceparent"]) == ("2026-11-22", collectors.PARENT)

    def test_sequences_of_every_length_lie_in_one_column(self, tmp_path: Path) -> None:
        sent = [collectors.sequence_record("a", 2, 1), collectors.sequence_record("b", 1, 3)]
        collectors.log_to(f"parquet://{tmp_path}", *sent, document=collectors.SEQUENCE)

        (path,) = tmp_path.rglob("*.parquet")
        rows = pyarrow.parquet.read_table(path, partitioning=None).to_pylist()
        assert [row["inputs"] for row in rows] == [
            {"series": [[0.0, 1.0]], "static": 0},
            {"series": [[2.0, 3.0]], "static": 1},
            {"series": [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], "static": 0},
        ]
        assert rows[2]["outputs"] == {"forecast": [0.0, 1.0, 2.0]}
        assert (rows[0]["label"], rows[0]["confidence"]) == (None, None)

    def test_a_large_request_lies_in_several_row_groups_in_order(self, tmp_path: Path) -> None:
        collectors.log_to(f"parquet://{tmp_path}", collectors.record("small"), collectors.record("large", 60_000))

        (path,) = tmp_path.rglob("*.parquet")
        file = pyarrow.parquet.ParquetFile(path)
        assert file.metadata.num_row_groups == 5
        assert file.read(["row"])["row"].to_pylist() == [0, *range(60_000)]
        assert file.schema_arrow.metadata is None or b"pandas" not in file.schema_arrow.metadata

    def test_what_a_killed_process_left_is_removed_and_others_parts_are_not(self, tmp_path: Path) -> None:
        folder = tmp_path / "model=momentum" / "version=1.2.0" / "date=2026-11-20"
        folder.mkdir(parents=True)
        own, other = folder / f".{os.uname().nodename}-1-1-000001.parquet.part", folder / ".elsewhere-1-1.parquet.part"
        own.touch()
        other.touch()
        collectors.log_to(f"parquet://{tmp_path}")

        assert (own.exists(), other.exists()) == (False, True)

    def test_nobody_else_may_read_what_was_predicted(self, tmp_path: Path) -> None:
        collectors.log_to(f"parquet://{tmp_path}/p", collectors.record())
        collectors.log_to(f"file://{tmp_path}/log.jsonl", collectors.record())

        for path in [*tmp_path.rglob("*.parquet"), tmp_path / "log.jsonl"]:
            assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
