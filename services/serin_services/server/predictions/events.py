"""CloudEvents over HTTP: batches of JSON events, as the specification's HTTP binding has them."""

import dataclasses
import email.utils
import http.client
import re
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from serin_services.server.predictions import documents, records, sinks

EVENT_TYPE = "dev.serin.prediction.v1"
CONTENT_TYPE = "application/cloudevents-batch+json; charset=utf-8"
# Statuses that another try may change; every other one from 300 up is final.
RETRIED = {408, 425, 429, 500, 502, 503, 504}
# As much of an answer as is read to use its connection again, in bytes.
ANSWER_BYTES = 64 * 1024
# What a header can carry; http.client's own complaint would quote the value.
HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


class Event(msgspec.Struct, omit_defaults=True, gc=False):
    """A CloudEvent 1.0 with the extension for distributed tracing."""

    id: str
    source: str
    type: str
    subject: str
    time: Any
    data: documents.Prediction
    # Not defaults, because those are left out.
    specversion: str
    datacontenttype: str
    traceparent: str | None = None
    tracestate: str | None = None


@dataclasses.dataclass
class EventEncoder:
    """Makes an event of each prediction, at most so many and so many bytes together."""

    describer: documents.Describer
    events: int
    piece_bytes: int = 1024 * 1024

    def encode(self, batch: Sequence[records.Record], rest: sinks.Rest) -> Iterator[sinks.Piece]:
        """Give pieces that are JSON arrays of events."""
        encoder = msgspec.json.Encoder()
        buffer, rows = bytearray(), 0
        for prediction in self.describer.describe(batch, rest):
            buffer += b"," if rows else b"["
            encoder.encode_into(self._make_event(prediction), buffer, -1)
            rows += 1
            if rows >= self.events or len(buffer) >= self.piece_bytes:
                yield sinks.Piece(bytes(buffer + b"]"), rows)
                buffer, rows = bytearray(), 0
        if rows:
            yield sinks.Piece(bytes(buffer + b"]"), rows)

    def _make_event(self, prediction: documents.Prediction) -> Event:
        return Event(
            id=prediction.id,
            source=f"/models/{prediction.model}/versions/{prediction.version}",
            type=EVENT_TYPE,
            subject=prediction.request_id,
            time=prediction.time,
            data=prediction,
            specversion="1.0",
            datacontenttype="application/json",
            traceparent=prediction.traceparent,
            tracestate=prediction.tracestate,
        )


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where events go, and where what they are let in with is found: never a secret itself."""

    scheme: str
    host: str
    port: int | None
    target: str
    authorization: Callable[[], str] | None
    timeout_seconds: float


class EventEndpoint:
    """An HTTP endpoint, over one connection that stays open."""

    flush_bytes = 256 * 1024

    def __init__(
        self, endpoint: Endpoint, encoder: EventEncoder, *, flush_seconds: float, retry_seconds: float
    ) -> None:
        self.flush_seconds = flush_seconds
        self.retry_seconds = retry_seconds
        self.encode = encoder.encode
        self._endpoint = endpoint
        self._connection = connect(endpoint)

    def write(self, piece: sinks.Piece) -> None:
        """Post a piece; only an answer of 2xx means that it was taken."""
        headers = self._headers()
        kept = self._connection.sock is not None
        try:
            response = self._post(piece, headers)
        except ConnectionError:
            if not kept:
                raise
            # The endpoint has closed a connection that nothing had been sent on for a while, as it may.
            response = self._post(piece, headers)
        if response.status in RETRIED:
            asked = read_retry_after(response.headers.get("Retry-After", ""), time.time())
            raise sinks.Unavailable(f"{self._endpoint.host} answered {response.status}", asked)
        if response.status >= 300:
            raise sinks.Rejected(f"{self._endpoint.host} answered {response.status}")

    def _post(self, piece: sinks.Piece, headers: dict[str, str]) -> http.client.HTTPResponse:
        try:
            self._connection.request("POST", self._endpoint.target, piece.payload, headers)
            response = self._connection.getresponse()
            response.read(ANSWER_BYTES)
        except OSError:
            self._connection.close()
            raise
        except http.client.HTTPException as error:
            self._connection.close()
            raise sinks.Unavailable(f"{self._endpoint.host}: {type(error).__name__}") from error
        if not response.isclosed():
            self._connection.close()
        return response

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": CONTENT_TYPE, "User-Agent": "serin"}
        if self._endpoint.authorization:
            # Read each time, because a mounted token is renewed in its place.
            value = self._endpoint.authorization()
            if not HEADER_VALUE.fullmatch(value):
                raise sinks.Unavailable("the authorization is empty or holds what a header cannot carry")
            headers["Authorization"] = value
        return headers


def connect(endpoint: Endpoint) -> http.client.HTTPConnection:
    """Prepare a connection; it opens when it is first used, and again after it was closed."""
    if endpoint.scheme == "http":
        return http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=endpoint.timeout_seconds)
    context = ssl.create_default_context()
    return http.client.HTTPSConnection(endpoint.host, endpoint.port, timeout=endpoint.timeout_seconds, context=context)


def read_retry_after(value: str, now: float) -> float:
    """Read the header's two forms, seconds and a date (RFC 9110, 10.2.3), as seconds from now; 0 if it is neither."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return 0
