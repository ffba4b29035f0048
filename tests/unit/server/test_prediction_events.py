"""The log's HTTP sink against a real endpoint, and the addresses that choose a sink."""

import math
from pathlib import Path

import pytest

from serin_services.server.predictions import addresses, events, sinks
from support import collectors


class TestEvents:
    def test_predictions_arrive_as_batches_of_cloud_events(self) -> None:
        headers = [("traceparent", collectors.PARENT)]
        with collectors.collecting() as collector:
            collectors.log_to(
                f"http://127.0.0.1:{collector.port}/in?x=1#batch=2", collectors.record("r", 3, headers=headers)
            )

        assert [headers["Content-Type"] for headers, _ in collector.requests] == [events.CONTENT_TYPE] * 2
        assert collector.ids == ["r/0", "r/1", "r/2"]
        first = dict(collector.taken[0])
        data = first.pop("data")
        assert first == {
            "specversion": "1.0",
            "id": "r/0",
            "source": "/models/momentum/versions/1.2.0",
            "type": "dev.serin.prediction.v1",
            "subject": "r",
            "time": "2026-11-21T12:00:00.250000Z",
            "datacontenttype": "application/json",
            "traceparent": collectors.PARENT,
        }
        assert (data["id"], data["features"]) == ("r/0", {"age": 0.0, "income": 0.5})

    @pytest.mark.parametrize("first", [(503, {}), (429, {"Retry-After": "0"}), (500, {"Connection": "close"})])
    def test_an_endpoint_that_recovers_gets_every_event_once(self, first: tuple[int, dict[str, str]]) -> None:
        with collectors.collecting(first, 200) as collector:
            log = collectors.log_to(f"http://127.0.0.1:{collector.port}/", collectors.record("r", 2))

        assert collector.ids == ["r/0", "r/1"]
        assert (len(collector.requests), log.counts.written) == (2, 2)

    def test_a_connection_that_was_closed_meanwhile_is_opened_again_without_a_word(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with collectors.collecting((200, {"Hang-Up": "1"}), 200) as collector:
            collectors.log_to(f"http://127.0.0.1:{collector.port}/#batch=1", collectors.record("r", 2))

        assert collector.ids == ["r/0", "r/1"]
        assert caplog.text == ""

    @pytest.mark.parametrize("status", [301, 400, 401, 404, 413])
    def test_a_refusal_is_final_and_counted(self, status: int, caplog: pytest.LogCaptureFixture) -> None:
        with collectors.collecting(status, 200) as collector:
            log = collectors.log_to(f"http://127.0.0.1:{collector.port}/", collectors.record("r", 2))

        assert len(collector.requests) == 1
        assert log.counts.failed == 2
        assert f"127.0.0.1 answered {status}" in caplog.text

    def test_nobody_there_is_counted_after_the_last_try(self) -> None:
        with collectors.collecting() as collector:
            port = collector.port
        log = collectors.log_to(f"http://127.0.0.1:{port}/#retry_seconds=0", collectors.record())

        assert log.counts.failed == 1

    def test_a_secret_is_read_where_it_lies_each_time_and_never_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        secret = tmp_path / "token"
        secret.write_text("Bearer first\n")
        with collectors.collecting(200, 403) as collector:
            address = f"http://127.0.0.1:{collector.port}/#authorization=file:{secret}"
            sink = addresses.open_sink(address, collectors.CLASSIFIER)
            sink.write(sinks.Piece(b"[]", 0))
            secret.write_text("Bearer second")
            with pytest.raises(sinks.Rejected) as caught:
                sink.write(sinks.Piece(b"[]", 0))
            secret.write_text("Bearer\x01third")
            with pytest.raises(sinks.Unavailable) as unusable:
                sink.write(sinks.Piece(b"[]", 0))
            sink.close()

        assert [headers["Authorization"] for headers, _ in collector.requests] == ["Bearer first", "Bearer second"]
        said = caplog.text + str(caught.value) + str(unusable.value)
        assert not any(word in said for word in ("first", "second", "third"))

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [("7", 7), ("Sat, 21 Nov 2026 12:00:30 GMT", 30), ("Sat, 21 Nov 2020 12:00:30 GMT", 0), ("soon", 0), ("", 0)],
    )
    def test_retry_after_is_seconds_or_a_date(self, value: str, seconds: float) -> None:
        assert events.read_retry_after(value, math.floor(collectors.NOON)) == seconds


WRONG = {
    "no scheme": ("/var/log/x", "expected - or an address that begins with stdout:, file:, parquet:, http:, https:"),
    "an unknown scheme": ("kafka://x", "expected - or an address"),
    "two slashes": ("file://var/log/x", "expected file:///path, with three slashes"),
    "an unknown option": (
        "file:///tmp/x#size=1",
        "size: expected one of flush_seconds, retry_seconds, rotate_bytes, keep",
    ),
    "a word for a number": (
        "stdout:#flush_seconds=soon",
        "flush_seconds: expected a number from 0.01 to 3600, got 'soon'",
    ),
    "not a number": ("stdout:#flush_seconds=nan", "flush_seconds: expected a number"),
    "too large a number": ("http://x/#batch=1000000", "batch: expected a number from 1 to 10000, got '1000000'"),
    "a secret in the address": ("https://me:secret@x/", "expected no user and password in it"),
    "no host": ("http:///in", "expected a host"),
    "a port that is none": ("http://x:port/", "Port could not be cast"),
    "a variable that is not set": ("http://x/#authorization=env:NOT_SET_ANYWHERE", "authorization: expected env:NAME"),
    "a secret instead of its place": ("http://x/#authorization=Bearer secret", "authorization: expected env:NAME"),
    "a folder that cannot be made": ("file:///proc/none/x", "cannot be opened"),
}


@pytest.mark.parametrize(("address", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_address_is_explained_and_never_quoted(address: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")) as caught:
        addresses.open_sink(address, collectors.CLASSIFIER)

    assert "secret" not in str(caught.value).replace("secret is", "")
