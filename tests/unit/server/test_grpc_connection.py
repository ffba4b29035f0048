"""What the HTTP/2 connection of gRPC answers, refuses and survives, frame by frame."""

import asyncio
import gzip
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serin_services.server.rpc import calls, connection, frames, messages
from serin_services.server.rpc.frames import Code
from support import http2
from support.http2 import START

pytestmark = pytest.mark.asyncio(loop_scope="module")


def pack(kind: int, flags: int = 0, stream: int = 1, payload: bytes = b"") -> bytes:
    return frames.pack(kind, flags, stream, payload)


def number(kind: int, value: int, stream: int = 1) -> bytes:
    return frames.pack_number(kind, stream, value)


async def test_a_call_is_answered_in_the_turn_that_brings_its_end() -> None:
    client = http2.Client()

    found = client.send(START, http2.headers(), http2.data(b"hello"))

    assert http2.body(found) == messages.pack(b"hello")
    assert client.headers(found)[b"grpc-status"] == b"0"
    assert found[-1].flags & frames.END_STREAM
    assert len(client.peers) == 1


@settings(deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(1, 400), max_size=8))
async def test_it_does_not_matter_how_the_bytes_are_cut(cuts: list[int]) -> None:
    client = http2.Client()
    whole = START + b"".join(http2.headers(stream) + http2.data(b"%d" % stream, stream) for stream in (1, 3, 5))

    found = []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(whole)], strict=True):
        found += client.send(whole[begin:end])

    assert [http2.body(found, stream) for stream in (1, 3, 5)] == [messages.pack(b"%d" % n) for n in (1, 3, 5)]


@settings(deadline=None, max_examples=100)
@given(sent=st.lists(st.binary(max_size=30), max_size=4), cuts=st.lists(st.integers(0, 140), max_size=8))
async def test_it_does_not_matter_which_frames_messages_come_in(sent: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(map(messages.pack, sent))
    places = sorted(min(cut, len(whole)) for cut in cuts)
    pieces = [whole[begin:end] for begin, end in zip([0, *places], [*places, len(whole)], strict=True)]
    sending = [pack(frames.DATA, payload=piece) for piece in pieces] + [pack(frames.DATA, frames.END_STREAM)]

    talking = http2.Client({http2.ECHO: calls.Conversation(lambda message: message)})
    said = talking.send(START, http2.headers(), *sending)
    asking = http2.Client()
    answered = asking.send(START, http2.headers(), *sending)

    assert http2.body(said) == whole
    if len(sent) == 1:
        assert http2.body(answered) == whole
    else:
        status = b"%d" % messages.Status.UNIMPLEMENTED
        assert asking.headers(answered)[b"grpc-status"] == status


STREAM, CONNECTION = "stream", "connection"
BLOCK = http2.headers()[frames.HEAD_BYTES :]
WRONG = {
    "HTTP/1.1": (b"GET / HTTP/1.1\r\n\r\n", CONNECTION, Code.PROTOCOL_ERROR),
    "no settings first": (frames.PREFACE + pack(frames.PING, 0, 0, b"12345678"), CONNECTION, Code.PROTOCOL_ERROR),
    "a frame larger than allowed": (START + b"\xff\xff\xff\0\0\0\0\0\1", CONNECTION, Code.FRAME_SIZE_ERROR),
    "data on a stream that was never opened": (START + http2.data(b"", 7), CONNECTION, Code.PROTOCOL_ERROR),
    "data behind the end": (START + http2.headers() + http2.data(b"") * 2, CONNECTION, Code.STREAM_CLOSED),
    "an even stream": (START + http2.headers(2), CONNECTION, Code.PROTOCOL_ERROR),
    "a stream below the last": (
        START + http2.headers(5) + http2.headers(3), CONNECTION, Code.STREAM_CLOSED),
    "more padding than payload": (
        START + http2.headers() + pack(frames.DATA, frames.PADDED, 1, b"\x09x"), CONNECTION, Code.PROTOCOL_ERROR),
    "a block that no table explains": (START + pack(frames.HEADERS, 4, 1, b"\xff\xff"), CONNECTION, Code.COMPRESSION_ERROR),
    "a bomb of headers": (
        START + http2.headers(bomb=b"x" * 40_000), CONNECTION, Code.COMPRESSION_ERROR),
    "another frame within a block": (
        START + pack(frames.HEADERS, 0, 1, BLOCK) + pack(frames.PING, 0, 0, b"12345678"), CONNECTION, Code.PROTOCOL_ERROR),
    "a continuation of nothing": (START + pack(frames.CONTINUATION, 4), CONNECTION, Code.PROTOCOL_ERROR),
    "a promise": (START + pack(frames.PUSH_PROMISE), CONNECTION, Code.PROTOCOL_ERROR),
    "a short ping": (START + pack(frames.PING, 0, 0, b"1"), CONNECTION, Code.FRAME_SIZE_ERROR),
    "a ping on a stream": (START + pack(frames.PING, 0, 1, b"12345678"), CONNECTION, Code.PROTOCOL_ERROR),
    "a window that grows by 0": (START + number(frames.WINDOW_UPDATE, 0, 0), CONNECTION, Code.PROTOCOL_ERROR),
    "the connection's window beyond its limit": (
        START + number(frames.WINDOW_UPDATE, 0x7FFFFFFF, 0), CONNECTION, Code.FLOW_CONTROL_ERROR),
    "a stream's window beyond its limit": (
        START + http2.headers() + number(frames.WINDOW_UPDATE, 0x7FFFFFFF), STREAM, Code.FLOW_CONTROL_ERROR),
    "settings of half an entry": (START + pack(frames.SETTINGS, 0, 0, b"123"), CONNECTION, Code.FRAME_SIZE_ERROR),
    "a frame size out of its range": (
        START + frames.pack_settings({frames.MAX_FRAME: 1}), CONNECTION, Code.PROTOCOL_ERROR),
    "a stream that depends on itself": (
        START + pack(frames.PRIORITY, 0, 1, b"\0\0\0\1\0"), CONNECTION, Code.PROTOCOL_ERROR),
    "no path": (START + http2.headers(**{":path": None}), STREAM, Code.PROTOCOL_ERROR),
    "an unknown pseudo-header": (START + http2.headers(**{":colour": b"red"}), STREAM, Code.PROTOCOL_ERROR),
    "a header of HTTP/1.1": (START + http2.headers(connection=b"close"), STREAM, Code.PROTOCOL_ERROR),
    "a name in capitals": (START + http2.headers(Big=b"1"), STREAM, Code.PROTOCOL_ERROR),
    "another length than promised": (
        START + http2.headers(content_length=b"3") + http2.data(b"hello"), STREAM, Code.PROTOCOL_ERROR),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "what", "code"), WRONG.values(), ids=WRONG)
async def test_what_is_against_the_protocol_ends_the_stream_or_the_connection(
    sent: bytes, what: str, code: Code
) -> None:
    client = http2.Client()

    found = client.send(sent)

    assert http2.ending(found) == (what, code)
    assert client.pipe.closed == (what == CONNECTION)


FLOODS = {
    "resets (CVE-2023-44487)": lambda n: http2.headers(2 * n + 1) + number(frames.RST_STREAM, 8, 2 * n + 1),
    "pings (CVE-2019-9512)": lambda _: pack(frames.PING, 0, 0, b"12345678"),
    "settings (CVE-2019-9515)": lambda _: pack(frames.SETTINGS, 0, 0),
    "empty data (CVE-2019-9518)": lambda n: (http2.headers() if n == 0 else b"") + pack(frames.DATA),
    "empty continuations (CVE-2024-27316)": lambda n: pack(frames.HEADERS if n == 0 else frames.CONTINUATION),
    "priorities (CVE-2019-9513)": lambda _: pack(frames.PRIORITY, 0, 3, b"\0\0\0\1\0"),
    "unknown frames": lambda _: pack(99),
}


@pytest.mark.parametrize("make", FLOODS.values(), ids=FLOODS)
async def test_a_flood_that_brings_no_request_ends_the_connection(make: object) -> None:
    client = http2.Client()

    found = client.send(START, *(make(n) for n in range(connection.PATIENCE + 1)))

    assert http2.ending(found[-1:]) == (CONNECTION, Code.ENHANCE_YOUR_CALM)


async def test_an_honest_client_may_send_as_many_requests_as_it_likes() -> None:
    client = http2.Client()
    client.send(START)

    for n in range(3 * connection.PATIENCE):
        found = client.send(http2.headers(2 * n + 1), http2.data(b"x", 2 * n + 1), pack(frames.PING, 0, 0, b"12345678"))
        assert http2.body(found, 2 * n + 1) == messages.pack(b"x")


async def test_more_streams_than_allowed_are_refused_and_can_be_sent_again() -> None:
    client = http2.Client()

    found = client.send(START, *(http2.headers(2 * n + 1) for n in range(connection.MAX_STREAMS + 1)))

    assert http2.ending(found) == (STREAM, Code.REFUSED_STREAM)
    assert found[-1].stream == 2 * connection.MAX_STREAMS + 1
    assert not client.pipe.closed


async def test_an_answer_waits_for_the_clients_window() -> None:
    client = http2.Client()
    message = bytes(range(256)) * 400

    found = client.send(START, frames.pack_settings({frames.INITIAL_WINDOW: 10}), http2.headers(), http2.data(message))
    assert http2.body(found) == messages.pack(message)[:10]

    found += client.send(frames.pack_settings({frames.INITIAL_WINDOW: 1}), number(frames.WINDOW_UPDATE, 29))
    assert http2.body(found) == messages.pack(message)[:30]

    found += client.send(number(frames.WINDOW_UPDATE, 200_000))
    assert len(http2.body(found)) == frames.DEFAULT_WINDOW

    found += client.send(number(frames.WINDOW_UPDATE, 200_000, 0))
    assert http2.body(found) == messages.pack(message)
    assert found[-1].flags & frames.END_STREAM
    assert max(len(frame.payload) for frame in found) <= frames.DEFAULT_FRAME


async def test_the_client_is_given_room_for_a_large_message() -> None:
    client = http2.Client(most=8 * 1024 * 1024)
    client.send(START, http2.headers())
    part = bytes(1024 * 1024 - 5)

    found = client.send(messages.pack(part * 6)[:0], pack(frames.DATA, 0, 1, (6 * len(part)).to_bytes(5, "big") + part))
    for _ in range(5):
        found += client.send(pack(frames.DATA, 0, 1, part))
    found += client.send(pack(frames.DATA, frames.END_STREAM))

    grown = [
        frames.read_number(frame.payload) for frame in found if frame.kind == frames.WINDOW_UPDATE and frame.stream
    ]
    assert sum(grown) >= connection.STREAM_WINDOW
    assert len(http2.body(found)) == frames.DEFAULT_WINDOW


async def test_a_message_beyond_the_limit_is_refused_before_it_is_whole() -> None:
    client = http2.Client(most=1000)

    found = client.send(START, http2.headers(), pack(frames.DATA, 0, 1, bytes(2000)))

    assert client.headers(found)[b"grpc-status"] == b"%d" % messages.Status.RESOURCE_EXHAUSTED
    assert http2.ending(found) == (STREAM, Code.NO_ERROR)
    # What was on its way is let pass, and the connection goes on.
    found = client.send(pack(frames.DATA, frames.END_STREAM, 1, bytes(99)), http2.headers(3), http2.data(b"x", 3))
    assert http2.body(found, 3) == messages.pack(b"x")


async def test_unfinished_requests_hold_a_limited_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_HELD_BYTES", 10_000)
    client = http2.Client()

    found = client.send(START, *(http2.headers(n) + pack(frames.DATA, 0, n, bytes(4000)) for n in (1, 3, 5)))

    assert http2.ending(found) == (STREAM, Code.ENHANCE_YOUR_CALM)
    found = client.send(http2.data(b"", 3, frames.END_STREAM), http2.headers(7), http2.data(b"x", 7))
    assert http2.body(found, 7) == messages.pack(b"x")


async def test_who_does_not_read_is_not_listened_to() -> None:
    client = http2.Client()

    client.server.pause_writing()
    assert not client.pipe.reading
    client.server.resume_writing()
    assert client.pipe.reading


async def test_a_request_that_does_not_come_whole_is_given_up() -> None:
    client = http2.Client()
    client.send(START, http2.headers())

    client.server.sweep(asyncio.get_running_loop().time() + 31, 30)

    assert client.headers(client.frames())[b"grpc-status"] == b"%d" % messages.Status.DEADLINE_EXCEEDED


async def test_who_does_not_greet_is_sent_away() -> None:
    client = http2.Client()

    client.server.sweep(connection.GREETING_SECONDS + 1, 30)

    assert client.pipe.closed


async def test_at_the_end_the_client_is_told_and_what_it_has_sent_is_answered() -> None:
    client = http2.Client()
    client.send(START, http2.headers(1))

    client.server.leave()
    first, ping = client.frames()
    # Sent before it knew.
    found = client.send(http2.headers(3), http2.data(b"three", 3))
    assert http2.body(found, 3) == messages.pack(b"three")
    found = client.send(pack(frames.PING, frames.ACK, 0, ping.payload))
    found += client.send(http2.headers(5), http2.data(b"five", 5))
    assert not client.pipe.closed
    found += client.send(http2.data(b"one", 1))

    assert int.from_bytes(first.payload[:4], "big") == frames.STREAM_MASK
    assert [int.from_bytes(frame.payload[:4], "big") for frame in found if frame.kind == frames.GOAWAY] == [3]
    assert http2.body(found, 1) == messages.pack(b"one")
    assert http2.body(found, 5) == b""
    assert client.pipe.closed


async def test_work_is_stopped_for_a_client_that_has_gone() -> None:
    stopped = asyncio.Event()

    async def wait(_message: bytes) -> bytes:
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            stopped.set()

    client = http2.Client({http2.ECHO: calls.Unary(lambda _call, message: wait(message))})
    client.send(START, http2.headers(), http2.data(b""))
    await asyncio.sleep(0)

    client.lose()

    await asyncio.wait_for(stopped.wait(), 10)
    assert len(client.peers) == 0


ENCODED = {
    "gzip": (b"gzip", gzip.compress(b"hello"), b"hello"),
    "deflate": (b"deflate", zlib.compress(b"hello"), b"hello"),
    "another": (b"br", b"hello", messages.Status.UNIMPLEMENTED),
    "broken": (b"gzip", b"hello", messages.Status.INTERNAL),
    "cut short": (b"gzip", gzip.compress(b"hello")[:-9], messages.Status.INTERNAL),
    "a bomb": (b"gzip", gzip.compress(bytes(2_000_000)), messages.Status.RESOURCE_EXHAUSTED),
}


@pytest.mark.parametrize(("encoding", "sent", "expected"), ENCODED.values(), ids=ENCODED)
async def test_a_compressed_message_is_read(encoding: bytes, sent: bytes, expected: bytes | messages.Status) -> None:
    client = http2.Client()
    compressed = b"\1" + len(sent).to_bytes(4, "big") + sent

    found = client.send(
        START, http2.headers(grpc_encoding=encoding), pack(frames.DATA, frames.END_STREAM, 1, compressed)
    )

    if isinstance(expected, bytes):
        assert http2.body(found) == messages.pack(expected)
    else:
        assert client.headers(found)[b"grpc-status"] == b"%d" % expected
        assert b"identity,deflate,gzip" in client.headers(found)[b"grpc-accept-encoding"]


REFUSED = {
    "another method": ({":path": b"/a/b"}, b"grpc-status", b"12"),
    "no gRPC": ({"content_type": b"text/html"}, b":status", b"415"),
    "a timeout without a unit": ({"grpc_timeout": b"1"}, b"grpc-status", b"3"),
    "no message": ({"grpc_timeout": b"1S"}, b"grpc-status", b"12"),
}


@pytest.mark.parametrize(("changes", "name", "value"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_call_is_refused(changes: dict[str, bytes], name: bytes, value: bytes) -> None:
    client = http2.Client()

    found = client.send(START, http2.headers(flags=http2.WHOLE, **changes))

    assert client.headers(found)[name] == value


async def test_headers_are_understood_whether_they_are_remembered_or_not() -> None:
    client = http2.Client({http2.ECHO: calls.Unary(lambda call, _message: call.headers.by_name[b"x-colour"])})
    first = http2.hpack.Encoder()
    client.send(START)

    colours = [b"red", b"red", b"blue", b"red", b"green"] * 3
    for n, colour in enumerate(colours):
        block = first.encode([*http2.REQUEST.items(), (b"x-colour", colour)])
        found = client.send(pack(frames.HEADERS, http2.OPEN, 2 * n + 1, block), http2.data(b"", 2 * n + 1))
        assert http2.body(found, 2 * n + 1) == messages.pack(colour)


VALID = START + b"".join(
    http2.headers(n) + http2.data(b"hello", n, 0) + pack(frames.DATA, frames.END_STREAM, n) for n in (1, 3)
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.binary(max_size=12)), min_size=1, max_size=4), st.data())
async def test_no_bytes_do_more_than_end_their_connection(
    changes: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    sent = bytearray(VALID)
    for position, other in changes:
        sent[position : position + data.draw(st.integers(0, 12))] = other
    client = http2.Client()

    found = client.send(bytes(sent))
    client.lose()

    assert client.pipe.closed == any(frame.kind == frames.GOAWAY for frame in found)
    assert not client.server.busy
