"""The store of artifacts over a folder, its keys, and what encrypts it."""

import datetime as dt
import os
import stat
import traceback
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies

from serin_services.registry import errors
from serin_services.registry.artifacts import encryption, folder, layout, multipart, pipes
from support import artifact_laws
from support.artifact_laws import LIMIT, NOW, digest_of, new_keys, new_place

DIGEST = "0" * 64
HOSTILE = [
    pytest.param("", id="nothing"),
    pytest.param(".", id="this folder"),
    pytest.param("..", id="the folder above"),
    pytest.param("../../etc/passwd", id="a way out"),
    pytest.param("/etc/passwd", id="an absolute path"),
    pytest.param("a/b", id="two segments"),
    pytest.param("..\\..\\windows", id="a way out on Windows"),
    pytest.param("a\\b", id="a separator on Windows"),
    pytest.param("C:", id="a drive"),
    pytest.param(".hidden", id="a hidden name"),
    pytest.param(".unfinished", id="the store's own folder"),
    pytest.param("a\0b", id="a NUL"),
    pytest.param("a\nb", id="a new line"),
    pytest.param("a\n", id="a new line at the end"),
    pytest.param("a\x1b[2J", id="a control sequence"),
    pytest.param("a\x7f", id="a delete character"),
    pytest.param("%2e%2e", id="an encoded way out"),
    pytest.param("a%2Fb", id="an encoded separator"),
    pytest.param("a#1", id="what obstore names its drafts"),
    pytest.param("a?b", id="a query"),
    pytest.param("a b", id="a space"),
    pytest.param("-rf", id="an option of a command"),
    pytest.param("=x", id="the start of a formula"),
    pytest.param("\u202egnp.exe", id="letters that run backwards"),
    pytest.param("\uff0e\uff0e", id="dots that are normalised"),
    pytest.param("\u0430bc", id="a letter that looks like another"),
    pytest.param("\ud800", id="half a character"),
    pytest.param("a" * 129, id="too long"),
    pytest.param("a" * 1_000_000, id="far too long"),
]


@pytest.fixture
def shelf(tmp_path):
    return artifact_laws.Shelf(folder.Folder(tmp_path / "artifacts"), tmp_path / "artifacts")


class TestFolder(artifact_laws.StoreLaws):
    """A folder keeps every law of a store."""

    def test_only_old_drafts_are_removed(self, shelf):
        kept, drafts = shelf.open(), shelf.root / folder.UNFINISHED
        for name, age in [("old#1", 7200), ("young", 60)]:
            (drafts / name).write_bytes(b"half")
            os.utime(drafts / name, (NOW.timestamp() - age,) * 2)
        assert kept.remove_unfinished(NOW - dt.timedelta(hours=1)) == 1
        assert [file.name for file in drafts.iterdir()] == ["young"]
        assert list(kept.keys()) == []

    def test_what_came_there_meanwhile_is_not_written_over(self, shelf):
        place, first = new_place(), []
        target = shelf.root / place.key(digest_of(b"content"), encrypted=False)

        def overtaken():
            target.parent.mkdir(parents=True)
            target.write_bytes(b"content")
            first.append(target.stat().st_ino)
            yield b"content"

        stored = shelf.open().put(place, overtaken(), digest_of(b"content"), LIMIT)
        assert shelf.files() == [shelf.root / stored.key]
        assert [target.stat().st_ino] == first

    def test_an_upload_whose_draft_was_removed_says_so_and_keeps_nothing(self, shelf):
        def removed():
            yield b"x" * pipes.CAPACITY
            for file in (shelf.root / folder.UNFINISHED).iterdir():
                file.unlink()
            yield b"y"

        content = digest_of(b"x" * pipes.CAPACITY, b"y")
        with pytest.raises(errors.UnavailableError):
            shelf.open().put(new_place(), removed(), content, LIMIT)
        assert shelf.files() == []

    def test_a_disk_that_takes_nothing_is_not_healthy(self, shelf):
        (shelf.root / folder.UNFINISHED).rmdir()
        with pytest.raises(errors.UnavailableError, match="cannot be used now"):
            shelf.open().health()

    def test_the_disk_keeps_the_content_before_it_is_seen_and_its_name_before_it_is_acknowledged(
        self, shelf, monkeypatch
    ):
        kept, place = shelf.open(), new_place()
        target = shelf.root / place.key(digest_of(b"content"), encrypted=False)
        synced = []

        def fsync(descriptor):
            synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), target.exists()))

        monkeypatch.setattr(os, "fsync", fsync)
        kept.put(place, [b"content"], digest_of(b"content"), LIMIT)
        (draft, seen), *folders = synced
        assert (draft.parent, seen) == (shelf.root / folder.UNFINISHED, False)
        assert folders == [(parent, True) for parent in target.parents if parent.is_relative_to(shelf.root)]

    def test_what_a_link_points_to_outside_is_not_written(self, shelf, tmp_path):
        kept, outside, place = shelf.open(), tmp_path / "outside", new_place()
        outside.write_bytes(b"untouched")
        target = shelf.root / place.key(digest_of(b"new"), encrypted=False)
        target.parent.mkdir(parents=True)
        target.symlink_to(outside)
        kept.put(place, [b"new"], digest_of(b"new"), LIMIT)
        assert outside.read_bytes() == b"untouched"


@pytest.mark.parametrize("field", ["tenant", "model", "version", "name"])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_segment_is_refused(field, text):
    fields = {"tenant": "acme", "model": "fraud", "version": "1.0.0", "name": "model.bin"} | {field: text}
    with pytest.raises(errors.InvalidError, match=f"{field}: expected 1 to 128 of the letters") as caught:
        layout.Place(**fields)
    assert caught.value.faults[0].where == field
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("text", [case.values[0] for case in HOSTILE if case.values[0]])
def test_a_hostile_key_or_prefix_is_refused(shelf, text):
    kept = shelf.open()
    for key in (text, f"{text}/fraud/1/{DIGEST}/m", f"acme/fraud/1/{DIGEST}/{text}"):
        for operation in (kept.open, kept.exists, kept.delete):
            with pytest.raises(errors.InvalidError):
                operation(key)
    # A prefix of two names is one.
    if text != "a/b":
        with pytest.raises(errors.InvalidError):
            list(kept.keys(text))


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("acme", id="a tenant alone"),
        pytest.param(f"acme/fraud/{DIGEST}/m", id="no version"),
        pytest.param(f"acme/fraud/1/{DIGEST}/m/x", id="more than a name"),
        pytest.param(f"acme/users/u/1/{DIGEST}/m", id="a user without a model"),
        pytest.param(f"acme/users/1/{DIGEST}/m", id="a model named users"),
        pytest.param("acme/fraud/1/abc/m", id="a short digest"),
        pytest.param(f"acme/fraud/1/{'A' * 64}/m", id="a digest in capitals"),
        pytest.param(f"acme/fraud/1/{DIGEST}.gz/m", id="a digest with another ending"),
        pytest.param(f"acme/fraud/1/{DIGEST}\n/m", id="a digest with a new line"),
    ],
)
def test_what_is_no_key_is_refused(key):
    with pytest.raises(errors.InvalidError, match="key: expected"):
        layout.Key.parse(key)


@pytest.mark.parametrize(
    "digest", ["", "abc", "0" * 63, "0" * 65, "g" * 64, "A" * 64, "0" * 64 + "\n", "../" + "0" * 61]
)
def test_what_is_no_digest_is_refused(shelf, digest):
    with pytest.raises(errors.InvalidError, match="expected a SHA-256"):
        shelf.open().put(new_place(), artifact_laws.never(), digest, LIMIT)


@pytest.mark.parametrize(
    ("place", "key"),
    [
        pytest.param(
            layout.Place("acme", "fraud", "1.2.3+gpu", "model.onnx"),
            f"acme/fraud/1.2.3+gpu/{DIGEST}/model.onnx",
            id="a tenant's",
        ),
        pytest.param(
            layout.Place("acme", "fraud", "1.2.3", "model.onnx", user="ann"),
            f"acme/users/ann/fraud/1.2.3/{DIGEST}/model.onnx",
            id="a user's",
        ),
        pytest.param(
            layout.Place("acme", "fraud", "1.2.3", "model.onnx", user="auth0|../x"),
            f"acme/users/auth0=7C..=2Fx/fraud/1.2.3/{DIGEST}/model.onnx",
            id="a user's with a subject that is no name",
        ),
    ],
)
def test_a_key_says_whose_artifact_it_is(place, key):
    assert place.key(DIGEST, encrypted=False) == key
    assert layout.Key.parse(key) == layout.Key(key, DIGEST, encrypted=False)
    encrypted = place.key(DIGEST, encrypted=True)
    assert layout.Key.parse(encrypted) == layout.Key(encrypted, DIGEST, encrypted=True)


def test_a_model_cannot_have_the_name_of_the_users_folder():
    with pytest.raises(errors.InvalidError, match="model: expected a name other than 'users'"):
        layout.Place("acme", "users", "1", "m")


TEXTS = strategies.one_of(
    strategies.text(), strategies.text("aA.=/@-_2EF|\u00e9", max_size=12), strategies.text(min_size=100)
)


@hypothesis.given(TEXTS)
@hypothesis.example("")
@hypothesis.example("\ud800")
def test_every_text_is_written_as_a_segment(text):
    layout.check_segment("segment", layout.encode(text))


@hypothesis.given(TEXTS, TEXTS)
@hypothesis.example(".", "=2E")
@hypothesis.example("a.b", "a=2Eb")
@hypothesis.example("|", "=7C")
@hypothesis.example("a" * 129, "a" * 130)
def test_no_two_texts_are_written_alike(first, second):
    assert (layout.encode(first) == layout.encode(second)) == (first == second)


def test_a_key_file_is_written_for_its_owner_alone_and_read_again(tmp_path):
    file = tmp_path / "keys"
    encryption.write_new(file, NOW)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = file.read_text().splitlines()
    assert lines[0] == "# created: 2026-03-14T09:26:53+00:00"
    assert str(encryption.Keys.read(file).identities[0].to_public()) == lines[1].removeprefix("# public key: ")
    with pytest.raises(FileExistsError):
        encryption.write_new(file, NOW)


def test_a_key_is_not_shown():
    keys = new_keys()
    assert str(keys.identities[0]) not in f"{keys!r} {keys}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "expected a line AGE-SECRET-KEY-1.*found none", id="an empty file"),
        pytest.param("# public key: age1xyz\n", "expected a line AGE-SECRET-KEY-1.*found none", id="comments alone"),
        pytest.param("\n# x\nAGE-SECRET-KEY-1SECRET\n", "file:3: expected a line", id="a key that is cut off"),
        pytest.param("hunter2", "file:1: expected a line", id="a password"),
    ],
)
def test_what_is_no_key_file_is_refused_without_showing_it(text, said):
    with pytest.raises(encryption.KeysError, match=said) as caught:
        encryption.Keys.parse(text, "file")
    shown = "".join(traceback.format_exception(caught.value))
    assert "1SECRET" not in shown
    assert "hunter2" not in shown


def test_a_key_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(encryption.KeysError, match=r"missing: expected a file .* FileNotFoundError"):
        encryption.Keys.read(tmp_path / "missing")


def test_a_pipe_gives_the_readers_error_to_the_writer_that_waits():
    def write(pipe):
        while True:
            pipe.write(b"x" * pipes.CAPACITY)

    def read(chunks):
        next(chunks)
        raise ValueError("the reader's own")

    with pytest.raises(ValueError, match="the reader's own"):
        pipes.connect(write, read)
    assert not artifact_laws.threads()


def test_a_pipe_gives_what_the_reader_returns_where_it_wants_no_more():
    def write(pipe):
        while True:
            pipe.write(b"x" * pipes.CAPACITY)

    assert pipes.connect(write, lambda chunks: len(next(chunks))) == pipes.CAPACITY


def test_a_stream_gives_all_that_came_before_its_error():
    def write(pipe):
        pipe.write(b"first")
        raise ValueError("then this")

    chunks = pipes.stream(write)
    assert next(chunks) == b"first"
    with pytest.raises(ValueError, match="then this"):
        next(chunks)
    assert not artifact_laws.threads()


def test_a_pipe_holds_no_more_than_its_capacity_and_a_chunk():
    written = 0

    def write(pipe):
        nonlocal written
        for _ in range(40):
            pipe.write(b"x" * (pipes.CAPACITY // 4))
            written += 1

    def read(chunks):
        ahead = []
        for taken, _ in enumerate(chunks, 1):
            ahead.append(written - taken)
        return max(ahead)

    assert pipes.connect(write, read) <= 5


def test_a_request_is_signed_as_in_the_published_example():
    # "GET Bucket Lifecycle" of "Signature Calculations for the Authorization Header" in the S3 API reference.
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    credentials = multipart.Credentials("AKIAIOSFODNN7EXAMPLE", secret, "us-east-1")
    moment = dt.datetime(2013, 5, 24, tzinfo=dt.UTC)
    headers = multipart.sign("GET\n/\nlifecycle=", "examplebucket.s3.amazonaws.com", credentials, moment)
    assert headers["authorization"].endswith("=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
    assert secret not in repr(credentials)
