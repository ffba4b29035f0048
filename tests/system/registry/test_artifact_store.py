"""The store of artifacts over a real S3 server, and what kill -9 of either leaves behind."""

import dataclasses
import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import obstore
import pytest

import support
from bench.registry import artifacts
from serin_services.registry import errors
from serin_services.registry.artifacts import bucket, encryption, folder, multipart, store
from support import artifact_laws, versitygw
from support.artifact_laws import ENCRYPTION, LARGE, LIMIT, MEBIBYTE, NOW, digest_of, new_place, read

TESTS = Path(support.__path__[0]).parent
MIN_PART = 5 * 1024 * 1024
SOON = dt.timedelta(minutes=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with versitygw.run(tmp_path_factory.mktemp("versitygw")) as running:
        yield running


def shelf_of(server: versitygw.Server, address: bucket.Address | None = None) -> artifact_laws.Shelf:
    address = address or server.address
    return artifact_laws.Shelf(bucket.Bucket(address), server.folder / "data" / address.bucket, aside=".sgwtmp")


@pytest.fixture
def shelf(server):
    """A bucket of its own: what a server brings back late of an upload is not found by the next test."""
    return shelf_of(server, server.add_bucket())


class TestBucket(artifact_laws.StoreLaws):
    """A bucket of an S3 server keeps every law of a store."""


@pytest.fixture(params=["folder", "bucket"])
def told(request, tmp_path):
    """A shelf of its own, and what another process has to be told to put there."""
    if request.param == "folder":
        yield (
            artifact_laws.Shelf(folder.Folder(tmp_path / "kept"), tmp_path / "kept"),
            {"folder": str(tmp_path / "kept")},
        )
        return
    with versitygw.run(tmp_path) as own:
        yield shelf_of(own), {"address": dataclasses.asdict(own.address)}


@pytest.mark.parametrize("encrypted", [False, True], ids=["in the clear", "encrypted"])
@pytest.mark.parametrize(
    "sent", [0, 1, len(LARGE) // 2, len(LARGE)], ids=["at the start", "early", "half", "at the end"]
)
def test_an_upload_whose_process_is_killed_shows_nothing_and_succeeds_later(told, encrypted, sent):
    shelf, where = told
    place, text = new_place(), encryption.generate(NOW)
    keys = (encryption.Keys.parse(text, "test"),) if encrypted else ()
    message = {**where, "place": dataclasses.asdict(place), "keys": text if encrypted else "", "sent": sent}
    kill_when_sent(message)
    kept = shelf.open(*keys)
    assert list(kept.keys()) == []
    assert not kept.exists(place.key(digest_of(*LARGE), encrypted=encrypted))

    stored = kept.put(place, LARGE, digest_of(*LARGE), LIMIT)
    assert read(kept, stored.key) == b"".join(LARGE)
    assert kept.remove_unfinished(dt.datetime.now(dt.UTC) - SOON) == 0
    # So early, nothing may have begun.
    assert shelf.unfinished() in ({0, 1} if sent <= 1 else {1})
    assert shelf.files() == [shelf.root / stored.key]
    assert read(kept, stored.key) == b"".join(LARGE)


def kill_when_sent(message: dict[str, object]) -> None:
    argv = [sys.executable, "-m", "support.half_upload"]
    with subprocess.Popen(argv, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            process.stdin.write(json.dumps(message).encode())
            process.stdin.close()
            assert process.stdout.readline() == b"sent\n"
        finally:
            process.kill()


@ENCRYPTION
def test_while_the_server_is_away_nothing_is_acknowledged_and_the_retry_succeeds(tmp_path, keys):
    with versitygw.run(tmp_path) as own:
        shelf, place = shelf_of(own), new_place()
        kept = shelf.open(*keys)
        impatient(kept)

        def source():
            yield from LARGE[:12]
            own.kill()
            yield from LARGE[12:]

        with pytest.raises(errors.UnavailableError, match="the artifact store cannot be used now") as caught:
            kept.put(place, source(), digest_of(*LARGE), LIMIT)
        assert own.address.secret_key not in caught.value.message
        with pytest.raises(errors.UnavailableError):
            kept.health()
        own.start()
        kept.health()
        assert list(kept.keys()) == []
        stored = kept.put(place, LARGE, digest_of(*LARGE), LIMIT)
        assert read(kept, stored.key) == b"".join(LARGE)
        assert shelf.unfinished() == 1
        assert shelf.files() == [shelf.root / stored.key]


def test_an_upload_survives_a_server_that_is_killed_and_started_again(tmp_path):
    with versitygw.run(tmp_path) as own:
        kept, place = shelf_of(own).open(), new_place()

        def source():
            for number, chunk in enumerate(LARGE):
                if number in {1, 12}:
                    own.kill()
                    own.start()
                yield chunk

        stored = kept.put(place, source(), digest_of(*LARGE), LIMIT)
        assert read(kept, stored.key) == b"".join(LARGE)


def test_a_download_survives_a_server_that_is_killed_and_started_again(tmp_path):
    with versitygw.run(tmp_path) as own:
        kept, content = shelf_of(own).open(), [MEBIBYTE] * 64
        stored = kept.put(new_place(), content, digest_of(*content), LIMIT)
        opened = kept.open(stored.key)
        first = next(opened)
        own.kill()
        own.start()
        assert first + b"".join(opened) == b"".join(content)


def impatient(kept: store.Store) -> None:
    """Retry so briefly that a test need not wait for it."""
    kept._backend.objects = bucket._connect(kept._backend._address, {"max_retries": 1}, dt.timedelta(seconds=10))


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_stream_of_500_mb_takes_no_more_memory_than_a_few_parts(server, tmp_path, kind):
    keys = artifact_laws.new_keys()
    subject = (
        artifacts.of_folder(tmp_path / "kept", keys) if kind == "folder" else artifacts.of_bucket(server.address, keys)
    )
    assert artifacts.peak_of(subject, 500 * artifacts.MEGABYTE) < 100


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"secret_key": "not-the-secret"}, id="a wrong secret"),
        pytest.param({"access_key": "nobody"}, id="an unknown access key"),
        pytest.param({"bucket": "missing"}, id="a bucket that is not there"),
        pytest.param({"endpoint": "http://127.0.0.1:1"}, id="a port where nobody listens"),
    ],
)
def test_a_store_that_cannot_be_used_says_so_and_names_no_secret(server, changed, caplog):
    address = dataclasses.replace(server.address, **changed)
    kept = store.Store(bucket.Bucket(address))
    impatient(kept)
    place = new_place()
    for operation in (
        kept.health,
        lambda: kept.remove_unfinished(NOW),
        lambda: list(kept.keys()),
        lambda: kept.put(place, [b"x"], digest_of(b"x"), LIMIT),
    ):
        with pytest.raises(errors.UnavailableError, match="the artifact store cannot be used now") as caught:
            operation()
        for secret in (address.secret_key, server.address.secret_key):
            assert secret not in f"{caught.value!r} {caplog.text} {address!r} {kept._backend.objects!r}"


def test_settings_of_another_cloud_in_the_environment_change_nothing(server, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
    }.items():
        monkeypatch.setitem(os.environ, name, value)
    store.Store(bucket.Bucket(server.address)).health()


def test_unfinished_uploads_are_found_on_every_page(shelf, monkeypatch):
    monkeypatch.setattr(multipart, "PAGE", 2)
    for name in "abcde":
        # Begun, and never ended.
        key = f"acme/m/1/{name}@+="
        obstore.open_writer(shelf.backend.objects, key, buffer_size=MIN_PART).write(b"x" * MIN_PART * 2)
    assert shelf.open().remove_unfinished(dt.datetime.now(dt.UTC) - SOON) == 0
    assert shelf.unfinished() == 5
    assert shelf.unfinished() == 0
