"""Artifacts over HTTP: put once and whole, streamed in constant memory, and checked by their digest."""

import concurrent.futures
import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from serin_services.registry.database.sessions import Database
from support.registry_server import Client, Served, digest_of, make_services, serve

PATH = "/models/momentum/versions/1.0.0/artifacts"
MIB = 1024 * 1024


@pytest.fixture
def served(sqlite_database: Database, tmp_path: Path) -> Iterator[Served]:
    limits = {"artifact_bytes": 64 * MIB, "body_seconds": 1.0}
    with serve(make_services(sqlite_database, tmp_path / "artifacts", **limits)) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Client:
    client = served.client()
    client.make_model()
    client.register()
    return client


def stored(tmp_path: Path) -> list[Path]:
    """What lies in the store; what begins with a dot is the store's own."""
    root = tmp_path / "artifacts"
    found = [path for path in root.rglob("*") if path.is_file()]
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts)]


def test_an_artifact_is_put_and_got(client: Client) -> None:
    content = os.urandom(3 * MIB)

    answer = client.upload(f"{PATH}/model", content)
    got = client.get(f"{PATH}/model")

    digest = hashlib.sha256(content).hexdigest()
    assert (answer.status_code, answer.json()["sha256"], answer.json()["size"]) == (201, digest, len(content))
    assert got.content == content
    assert (got.headers["ETag"], got.headers["Repr-Digest"]) == (f'"{digest}"', digest_of(content))
    assert client.get(f"{PATH}/model", headers={"If-None-Match": f'"{digest}"'}).status_code == 304
    head = client.head(f"{PATH}/model")
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(content)), b"")
    assert [each["name"] for each in client.ok("GET", PATH)["items"]] == ["model"]
    # The trained model's digest is the version's.
    assert client.ok("GET", "/models/momentum/versions/1.0.0")["artifact_sha256"] == digest


def test_sent_again_it_is_there_already_and_another_content_is_refused(client: Client) -> None:
    assert client.upload(f"{PATH}/config.json", b"{}").status_code == 201
    assert client.upload(f"{PATH}/config.json", b"{}").status_code == 200
    assert client.upload(f"{PATH}/config.json", b"[]").status_code == 409
    assert client.get(f"{PATH}/config.json").content == b"{}"


def test_the_model_is_the_one_that_the_version_was_registered_with(client: Client) -> None:
    client.register(artifact_sha256="a" * 64, target="other")

    assert client.upload("/models/momentum/versions/2.0.0/artifacts/model", b"another").status_code == 409


def test_of_uploads_of_one_name_at_once_one_content_stays(served: Served, client: Client) -> None:
    contents = [bytes([number]) * MIB for number in range(4)]

    def upload(content: bytes) -> int:
        return served.client().upload(f"{PATH}/scaler", content).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(upload, contents * 2))

    assert statuses.count(201) == 1
    assert set(statuses) <= {200, 201, 409}
    assert client.get(f"{PATH}/scaler").content in contents


@pytest.mark.parametrize(
    ("name", "status"),
    [
        pytest.param("model", 201, id="the model"),
        pytest.param("model.onnx", 201, id="its ONNX form"),
        pytest.param("logs/train/epoch-1.txt", 201, id="a log in a folder"),
        pytest.param("package/manifest.json", 201, id="a file of the package"),
        pytest.param("opaque/weights.pkl", 201, id="what another tool brought"),
        pytest.param("weights.pkl", 422, id="no other name"),
        pytest.param("logs", 422, id="a folder is no file"),
        pytest.param("logs/", 422, id="an empty name"),
        pytest.param("logs//a", 422, id="an empty folder"),
        pytest.param("logs/..%2f..%2fetc%2fpasswd", 422, id="a path out of the folder, coded"),
        pytest.param("logs/%2e%2e/%2e%2e/a", 422, id="a path out of the folder, coded otherwise"),
        pytest.param("logs/a%00b", 400, id="a NUL"),
        pytest.param("logs/a%5cb", 422, id="a backslash"),
        pytest.param("logs/.hidden", 422, id="a hidden file"),
        pytest.param("logs/" + "a" * 600, 422, id="a name without end"),
    ],
)
def test_names(client: Client, name: str, status: int) -> None:
    # Prepared by hand: the library would tidy the path up.
    with socket.create_connection(("127.0.0.1", int(client.url.rsplit(":", 1)[1]))) as connection:
        head = f"PUT /api/v1{PATH}/{name} HTTP/1.1\r\nHost: a\r\nAuthorization: {client.headers['Authorization']}\r\n"
        head += f"Repr-Digest: {digest_of(b'abc')}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        connection.sendall(head.encode())
        answer = connection.makefile("rb").read()

    assert int(answer.split()[1]) == status, answer


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 422, id="without a digest"),
        pytest.param({"Repr-Digest": "sha-256=:AAAA:"}, 422, id="with half a digest"),
        pytest.param({"Repr-Digest": "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"}, 422, id="with another algorithm"),
        pytest.param({"Content-Digest": digest_of(b"abc")}, 201, id="with the digest of the content"),
        pytest.param(
            {"Content-Digest": digest_of(b"abc"), "Repr-Digest": digest_of(b"b")}, 422, id="with two that differ"
        ),
        pytest.param({"Repr-Digest": digest_of(b"other")}, 422, id="with the digest of something else"),
        pytest.param({"Repr-Digest": digest_of(b"abc"), "Content-Encoding": "gzip"}, 415, id="coded"),
        pytest.param({"Repr-Digest": digest_of(b"abc"), "Content-Type": "text"}, 422, id="of no media type"),
    ],
)
def test_digests(client: Client, headers: dict[str, str], status: int, tmp_path: Path) -> None:
    answer = client.put(f"{PATH}/model", b"abc", headers=headers)

    assert answer.status_code == status, answer.text
    assert len(stored(tmp_path)) == (1 if status == 201 else 0)
    assert client.get(f"{PATH}/model").status_code == (200 if status == 201 else 404)


def test_an_upload_that_breaks_off_leaves_nothing(served: Served, client: Client, tmp_path: Path) -> None:
    content = os.urandom(4 * MIB)
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(head_of(client, content) + content[: 2 * MIB])
    assert client.get(f"{PATH}/model").status_code == 404

    # Whatever became of it: sent again, it is whole.
    assert client.upload(f"{PATH}/model", content).status_code == 201
    assert client.get(f"{PATH}/model").content == content
    assert len(stored(tmp_path)) == 1


def test_an_upload_that_trickles_is_ended(served: Served, client: Client, tmp_path: Path) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(head_of(client, b"x" * MIB) + b"x" * 1000)
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 408"), answer
    assert b"connection: close" in answer.lower()
    assert stored(tmp_path) == []


def test_an_artifact_that_says_it_is_too_large_is_refused_before_it_comes(served: Served, client: Client) -> None:
    head = head_of(client, b"").replace(b"Content-Length: 0", b"Content-Length: %d" % (100 * MIB))
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_an_artifact_that_becomes_too_large_is_refused(client: Client, tmp_path: Path) -> None:
    chunks = (b"x" * MIB for _ in range(66))

    try:
        assert client.put(f"{PATH}/model", chunks, headers={"Repr-Digest": digest_of(b"x")}).status_code == 413
    except requests.ConnectionError:
        # The client went on sending after the answer, on a connection that was closed with it.
        assert client.get(f"{PATH}/model").status_code == 404
    assert stored(tmp_path) == []


def test_uploads_and_downloads_take_little_memory(client: Client) -> None:
    size, block = 60 * MIB, b"serin" * 1024 * 50
    digest = hashlib.sha256()
    for _ in range(size // len(block)):
        digest.update(block)
    process, peak, done = psutil.Process(), [0], threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    chunks = (block for _ in range(size // len(block)))
    answer = client.put(f"{PATH}/model", chunks, headers={"Repr-Digest": digest_of(b"", digest.hexdigest())})
    got = hashlib.sha256()
    with client.get(f"{PATH}/model", stream=True) as download:
        for chunk in download.iter_content(MIB):
            got.update(chunk)
    done.set()
    watcher.join()

    assert answer.status_code == 201, answer.text
    assert got.hexdigest() == digest.hexdigest()
    assert peak[0] - before < 30 * MIB


def test_a_corrupt_artifact_is_not_given_as_whole(client: Client, tmp_path: Path) -> None:
    client.upload(f"{PATH}/model", os.urandom(8 * MIB))
    (file,) = stored(tmp_path)
    file.chmod(0o600)
    with file.open("r+b") as content:
        content.seek(5 * MIB)
        content.write(b"corrupt")

    with pytest.raises(OSError, match=r"IncompleteRead|ended prematurely|Connection broken"):
        client.get(f"{PATH}/model")


def head_of(client: Client, content: bytes) -> bytes:
    """The head of an upload."""
    return (
        f"PUT /api/v1{PATH}/model HTTP/1.1\r\nHost: a\r\nAuthorization: {client.headers['Authorization']}\r\n"
        f"Repr-Digest: {digest_of(content)}\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode()
