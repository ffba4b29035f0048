"""HTTP itself: connections that pipeline, chunk, wait, linger, send too much or too slowly."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from serin_services.package import manifest
from support import http_site

FEATURES = (manifest.Feature(name="a"), manifest.Feature(name="b"))
ROWS = http_site.make_document(
    task="regression",
    inputs=(manifest.Tensor(name="rows", dtype="float32", shape=(-1, 2), features=FEATURES),),
    outputs=(manifest.Tensor(name="value", dtype="float32", shape=(-1,)),),
)
LIVE = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
LIMIT = 4096


def add(rows: np.ndarray) -> tuple[np.ndarray, ...]:
    return (rows[:, 0] + rows[:, 1],)


async def behind(scope: Any, receive: Any, send: Any) -> None:
    """Stands where BentoML does: tells what it was asked, without saying how long that is."""
    if scope["path"] == "/broken":
        raise RuntimeError("behind")
    body = (await receive())["body"]
    told = f"{scope['method']} {scope['path']} {scope['query_string'].decode()} ".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": told, "more_body": True})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def served() -> Iterator[http_site.Served]:
    model = http_site.make_model(ROWS, add)
    with http_site.serve(model, behind, max_body_bytes=LIMIT, read_seconds=30.0) as running:
        yield running


def post(body: bytes, *headers: bytes, path: bytes = b"/predict") -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *headers, b"", body]
    return b"\r\n".join(lines)


def statuses(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d{3})", received)]


def values(received: bytes) -> list[float]:
    return [float(value) for value in re.findall(rb'"value":([0-9.]+)', received)]


def rows(number: int) -> bytes:
    return b'{"rows":[[%d,0]]}' % number


def test_pipelined_requests_are_answered_in_their_order(served: http_site.Served) -> None:
    received = served.raw(b"".join(post(rows(number)) for number in range(200)))

    assert values(received) == list(range(200))


def test_pipelined_requests_wait_for_one_that_is_answered_later(served: http_site.Served) -> None:
    slow = post(b"", path=b"/behind")

    received = served.raw(slow + post(rows(1)) + slow + LIVE + b"garbage\r\n\r\n" + LIVE)

    assert statuses(received) == [200, 200, 200, 200, 400]
    assert received.index(b"/behind") < received.index(b'"value":1') < received.rindex(b"/behind")


def test_a_request_may_arrive_byte_by_byte(served: http_site.Served) -> None:
    request = post(rows(7))

    assert values(served.raw(*(request[index : index + 1] for index in range(len(request))))) == [7]


def test_a_body_may_be_chunked_and_its_trailers_are_ignored(served: http_site.Served) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in rows(5))

    received = served.raw(head + chunks + b"0\r\nx-request-id: smuggled\r\n\r\n" + LIVE)

    assert (values(received), statuses(received)) == ([5], [200, 200])
    assert b"smuggled" not in received


def test_a_client_that_asks_first_is_told_to_go_on(served: http_site.Served) -> None:
    head, body = post(rows(3), b"Expect: 100-continue").split(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
        client.sendall(head + b"\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert values(client.recv(4096)) == [3]


REFUSED = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "HTTP/2 without being asked": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "no host": (b"GET /livez HTTP/1.1\r\n\r\n", 400),
    "a length that is none": (b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
    "two lengths": (b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12", 400),
    "a length and chunks": (
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a chunk without a size": (
        b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        400,
    ),
    "a header that is none": (b"GET /livez HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
    "a null byte in a header": (b"GET /livez HTTP/1.1\r\nHost: a\r\nx: \0\r\n\r\n", 400),
    "another expectation": (post(b"", b"Expect: nothing"), 417),
    "another method": (b"BREW /predict HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a body too large, by its length": (post(b" " * (LIMIT + 1)), 413),
    "a body too large, in chunks": (
        b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"800\r\n" + b" " * 2048
        + b"\r\n" + b"801\r\n" + b" " * 2049 + b"\r\n0\r\n\r\n",
        413,
    ),
    "a chunked body without end": (
        b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"400\r\n" + b" " * 1024 + b"\r\n")
        * 100,
        413,
    ),
    "a header without end": (b"GET /livez HTTP/1.1\r\nHost: a\r\nx: " + b"a" * 400_000, 431),
    "headers too large": (b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"x: %b\r\n" % (b"a" * 100) * 1000 + b"\r\n", 431),
    "a target without end": (b"GET /" + b"a" * 400_000, 431),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "status"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(served: http_site.Served, sent: bytes, status: int) -> None:
    received = served.raw(sent)

    assert statuses(received) == [status]
    assert b"connection: close" in received
    assert received.count(b'{"error":"') == 1


def test_a_method_that_a_path_has_not_is_named_with_those_it_has(served: http_site.Served) -> None:
    received = served.raw(b"GET /predict HTTP/1.1\r\nHost: a\r\n\r\n" + post(b"", path=b"/livez"))

    assert statuses(received) == [405, 405]
    assert re.findall(rb"allow: (.*)\r", received) == [b"POST", b"GET, HEAD"]


def test_head_gives_the_head_alone(served: http_site.Served) -> None:
    received = served.raw(LIVE.replace(b"GET", b"HEAD"))

    assert statuses(received) == [200]
    assert b"content-length: 13\r\n" in received
    assert received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("header", [b"Connection: close", b"Connection: Upgrade\r\nUpgrade: h2c"])
def test_a_connection_ends_when_its_client_wants_that_or_another_protocol(
    served: http_site.Served, header: bytes
) -> None:
    received = served.raw(LIVE.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n"), half_close=False)

    assert statuses(received) == [200]
    assert b"connection: close\r\n" in received


def test_a_body_may_come_with_the_wish_for_another_protocol(served: http_site.Served) -> None:
    request = post(rows(4), b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c")

    assert values(served.raw(request)) == values(served.raw(request[:-4], request[-4:])) == [4]


def test_http_1_0_is_answered_and_closed(served: http_site.Served) -> None:
    assert statuses(served.raw(b"GET /livez HTTP/1.0\r\n\r\n", half_close=False)) == [200]


def test_other_paths_are_answered_by_whoever_stands_behind(served: http_site.Served) -> None:
    received = served.raw(post(b"hello", path=b"/a%20b?c=d") + LIVE)

    assert statuses(received) == [200, 200]
    assert b"transfer-encoding: chunked" in received
    assert b"POST /a b c=d " in received
    assert b"5\r\nhello\r\n0\r\n\r\n" in received


def test_a_failure_behind_ends_only_its_connection(served: http_site.Served) -> None:
    assert served.raw(post(b"", path=b"/broken")) == b""
    assert served.call("/livez").status == 200


def test_a_path_may_be_escaped_or_absolute(served: http_site.Served) -> None:
    received = served.raw(LIVE.replace(b"/livez", b"/%6civez") + LIVE.replace(b"/livez", b"http://a/livez?x=1"))

    assert statuses(received) == [200, 200]


def test_an_answer_carries_the_id_that_came_or_one_that_no_other_has(served: http_site.Served) -> None:
    received = served.raw(post(rows(1), b"X-Request-Id: r-1") + post(rows(1)) + post(rows(1), b"X-Request-Id: a b"))

    first, second, third = re.findall(rb"x-request-id: (\S*)\r", received)
    assert first == b"r-1"
    assert len({first, second, third}) == 3
    assert re.findall(rb'"request_id":"(.*?)"', received) == [first, second, third]


def test_a_draining_server_answers_and_closes() -> None:
    with http_site.serve(http_site.make_model(ROWS, add)) as served:
        served.state.drain()
        received = served.raw(post(rows(1)), half_close=False)

    assert b"connection: close" in received
    assert values(received) == [1]


def test_a_server_without_a_model_says_why() -> None:
    with http_site.serve(None) as served:
        assert served.call("/predict", {}).status == 503
        assert served.call("/v2/health/live").body == {"live": True}
        assert served.call("/livez").status == 200


SLOW = {
    "half of its headers": b"GET /livez HTTP/1.1\r\nHost",
    "half of its body": post(rows(1))[:-5],
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_a_client_that_sends_a_part_is_told_and_left(sent: bytes) -> None:
    with http_site.serve(http_site.make_model(ROWS, add), read_seconds=0.05) as served:
        received = served.raw(sent, half_close=False)

    assert statuses(received) == [408]


def test_an_idle_connection_is_closed() -> None:
    with http_site.serve(http_site.make_model(ROWS, add), idle_seconds=0.05) as served:
        assert statuses(served.raw(LIVE, half_close=False)) == [200]


def test_a_client_that_does_not_read_is_not_served_further() -> None:
    """What it asks for waits in its own buffers, not in the server's memory."""
    answered = []

    def count(given: np.ndarray) -> tuple[np.ndarray, ...]:
        answered.append(1)
        return add(given)

    many = b'{"rows":[' + b",".join([b"[1,2]"] * 2000) + b"]}"
    with (
        http_site.serve(http_site.make_model(ROWS, count)) as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=10) as client,
    ):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sender = threading.Thread(target=send_until_refused, args=(client, post(many)))
        sender.start()
        seen = -1
        while seen != len(answered) or not seen:
            seen = len(answered)
            time.sleep(0.2)
        client.close()
        sender.join(10)

    assert 1 <= seen < 400


def send_until_refused(client: socket.socket, request: bytes) -> None:
    try:
        for _ in range(400):
            client.sendall(request)
    except OSError:
        pass
