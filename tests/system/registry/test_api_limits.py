"""What a caller may ask for: how often, how much, how slowly; and what comes of it where that is too much."""

import collections
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serin_services.registry.database.sessions import Database
from support.registry_server import Served, make_services, make_token, serve

Start = Callable[..., Served]
MIB = 1024 * 1024


@pytest.fixture
def start(sqlite_database: Database, tmp_path: Path) -> Iterator[Start]:
    open_servers = []

    def start(**changes: Any) -> Served:
        server = serve(make_services(sqlite_database, tmp_path / "artifacts", **changes))
        open_servers.append(server)
        return server.__enter__()

    yield start
    for server in open_servers:
        server.__exit__(None, None, None)


def exchange(served: Served, sent: bytes) -> tuple[bytes, float]:
    """What the server answers to bytes, and after how many seconds it closes the connection."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(sent)
        return connection.makefile("rb").read(), time.monotonic() - began


def head(method: str, path: str, **headers: object) -> bytes:
    given = {"Host": "registry", "Authorization": f"Bearer {make_token()}"} | headers
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in given.items()]
    return "\r\n".join([f"{method} /api/v1{path} HTTP/1.1", *lines, "", ""]).encode()


def test_a_caller_who_asks_too_often_is_told_when_to_come_again(start: Start) -> None:
    served = start(rate="3/minute")
    client = served.client()

    answers = [client.get("/me") for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].headers["Content-Type"] == "application/problem+json"
    # Another caller is not held back by this one, neither one of the same name in another tenant.
    assert served.client(sub="otto").get("/me").status_code == 200
    assert served.client(tenant="beta").get("/me").status_code == 200


def test_an_address_is_limited_before_anyone_is_known(start: Start) -> None:
    served = start(address_rate="3/minute")

    statuses = [served.anonymous(f"forged{number}").get("/me").status_code for number in range(5)]

    assert statuses == [401, 401, 401, 429, 429]
    # The probes of the kubelet come from an address like any other, and are no attack.
    assert served.anonymous().get(f"{served.url}/livez").status_code == 200


def test_a_body_that_is_too_large_is_refused(start: Start) -> None:
    served = start(body_bytes=1000)
    client = served.client()
    body = b'{"name": "a", "description": "' + b"x" * 2000 + b'"}'
    headers = {"Content-Type": "application/json"}

    assert client.post("/models", data=body, headers=headers).status_code == 413
    assert client.post("/models", data=iter([body[:1500], body[1500:]]), headers=headers).status_code == 413
    assert client.post("/models", json={"name": "a"}).status_code == 201


@pytest.mark.parametrize("length", ["-1", "abc", "1, 2", "99999999999999999999999", "0x10"])
def test_a_length_that_is_none_is_refused(start: Start, length: str) -> None:
    answer, _ = exchange(start(), head("POST", "/models", Content_Length=length, Connection="close") + b"{}")

    assert answer.split()[1] in {b"400", b"413"}


def test_a_request_with_two_lengths_is_refused(start: Start) -> None:
    sent = head("POST", "/models", Content_Length="2", Transfer_Encoding="chunked", Connection="close") + b"0\r\n\r\n"

    answer, _ = exchange(start(), sent)

    assert answer.split()[1] == b"400"


def test_a_head_that_never_ends_is_not_awaited(start: Start) -> None:
    served = start(header_seconds=0.5)

    for sent in (b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: a\r\nX: "):
        answer, seconds = exchange(served, sent)
        assert answer == b""
        assert 0.4 < seconds < 5


def test_a_second_head_on_a_connection_is_not_awaited_either(start: Start) -> None:
    served = start(header_seconds=0.5)

    answer, seconds = exchange(served, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HT")

    assert answer.startswith(b"HTTP/1.1 200")
    assert 0.4 < seconds < 5


def test_a_head_of_many_headers_is_cut_off(start: Start) -> None:
    served = start()
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n")
        lines = (b"X-%d: %s\r\n" % (number, b"x" * 4000) for number in range(10_000))
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            collections.deque(map(connection.sendall, lines), maxlen=0)


def test_a_body_that_trickles_is_not_awaited(start: Start) -> None:
    served = start(body_seconds=0.5)

    answer, seconds = exchange(
        served, head("POST", "/models", Content_Length=100, Content_Type="application/json") + b"{"
    )

    assert answer.startswith(b"HTTP/1.1 408")
    assert 0.4 < seconds < 5


def test_the_rest_of_a_refused_body_is_not_awaited_for_ever(start: Start) -> None:
    served = start(header_seconds=0.5, body_bytes=10)

    answer, seconds = exchange(served, head("POST", "/nowhere", Content_Length=9, Authorization="Bearer x") + b"{")

    assert answer.startswith(b"HTTP/1.1 401")
    assert seconds < 5


def test_a_body_that_comes_slowly_but_fast_enough_is_taken(start: Start) -> None:
    served = start(body_seconds=5)
    body = b'{"name": "slow"}'
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(head("POST", "/models", Content_Length=len(body), Content_Type="application/json"))
        for byte in body:
            connection.sendall(bytes([byte]))
        assert connection.recv(1000).startswith(b"HTTP/1.1 201")
