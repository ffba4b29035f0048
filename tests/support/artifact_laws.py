"""What holds for every store of artifacts, whatever keeps the bytes: tests to inherit, and what they need."""

import concurrent.futures
import dataclasses
import datetime as dt
import hashlib
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pyrage
import pytest
from hypothesis import strategies

from serin_services.registry import errors
from serin_services.registry.artifacts import encryption, integrity, layout, store

NOW = dt.datetime(2026, 3, 14, 9, 26, 53, tzinfo=dt.UTC)
LIMIT = 100 * 1024 * 1024
MEBIBYTE = bytes(range(256)) * 4096
# More than two parts of an upload, so that some are on their way when it breaks off.
LARGE = [MEBIBYTE] * 20

_numbers = itertools.count()


def new_keys() -> encryption.Keys:
    return encryption.Keys.parse(encryption.generate(NOW), "test")


def new_place() -> layout.Place:
    """A place that no test has used, in a store that tests share."""
    return layout.Place("acme", "fraud", f"1.0.{next(_numbers)}", "model.bin")


def digest_of(*chunks: bytes) -> str:
    return hashlib.sha256(b"".join(chunks)).hexdigest()


def read(shelf: store.Store, key: str) -> bytes:
    return b"".join(shelf.open(key))


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "artifact"]


@dataclasses.dataclass(frozen=True)
class Shelf:
    """A store's backend, and the folder below which its files lie on this machine."""

    backend: store.Backend
    root: Path
    # The server's own folder, in which parts arrive, where a server keeps the files.
    aside: str | None = None

    def open(self, *keys: encryption.Keys) -> store.Store:
        """The store, with the identities of all keys, or without encryption."""
        identities = tuple(identity for each in keys for identity in each.identities)
        return store.Store(self.backend, encryption.Keys(identities) if identities else None)

    def files(self, place: layout.Place | None = None) -> list[Path]:
        """All files, seen or not; with a place, those that lie at it."""
        folder = self.root / place.prefix if place else self.root
        return [file for file in folder.rglob("*") if file.is_file() and self.aside not in file.parts]

    def unfinished(self) -> int:
        """How many uploads have begun and not ended; they are removed."""
        return self.open().remove_unfinished(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1))

    def has_forgotten(self, chunks: list[bytes]) -> bool:
        """Tell whether an upload that broke off after these chunks is gone.

        A part that a server is just taking in while it is told to forget the upload may bring the upload back, as the
        S3 API says of AbortMultipartUpload; upkeep removes it then. Of a single chunk no part is on its way.
        """
        late = 1 if self.aside and len(chunks) > 1 else 0
        return self.unfinished() <= late


def breaking_off(chunks: list[bytes], error: BaseException) -> Iterator[bytes]:
    yield from chunks
    raise error


def never() -> Iterator[bytes]:
    """A source that must not be read."""
    raise AssertionError("the content was read")
    yield b""


ENCRYPTION = pytest.mark.parametrize(
    "keys", [pytest.param((), id="in the clear"), pytest.param((new_keys(),), id="encrypted")]
)


class StoreLaws:
    """Inherit these, and give the fixture `shelf`."""

    @pytest.fixture(autouse=True)
    def _ends_its_threads(self):
        yield
        assert not threads()

    @ENCRYPTION
    @hypothesis.given(
        block=strategies.binary(min_size=1, max_size=64),
        size=strategies.one_of(
            strategies.integers(0, 200), strategies.sampled_from([65535, 65536, 65537, 131072, 1048575, 1048577])
        ),
        cuts=strategies.lists(strategies.integers(0, 1_100_000), max_size=12),
    )
    @hypothesis.settings(
        max_examples=30, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
    )
    def test_what_was_put_comes_back_however_it_was_cut(self, shelf, keys, block, size, cuts):
        content = (block * (size // len(block) + 1))[:size]
        edges = [0, *sorted(min(cut, size) for cut in cuts), size]
        chunks = [content[start:end] for start, end in itertools.pairwise(edges)]
        kept, place = shelf.open(*keys), new_place()
        stored = kept.put(place, chunks, digest_of(content), LIMIT)
        key = place.key(digest_of(content), encrypted=bool(keys))
        assert stored == store.Stored(key, digest_of(content), size, bool(keys))
        assert read(kept, stored.key) == content
        # What is there is found with its size, without a byte of the content.
        assert kept.put(place, never(), digest_of(content), LIMIT) == stored

    @ENCRYPTION
    def test_content_of_many_parts_comes_back(self, shelf, keys):
        kept = shelf.open(*keys)
        stored = kept.put(new_place(), LARGE, digest_of(*LARGE), LIMIT)
        chunks = list(kept.open(stored.key))
        assert b"".join(chunks) == b"".join(LARGE)
        assert max(map(len, chunks)) <= 8 * 1024 * 1024

    @ENCRYPTION
    @pytest.mark.parametrize("chunks", [[], [b"one chunk"], LARGE], ids=["nothing", "little", "many parts"])
    @pytest.mark.parametrize("error", [ConnectionError("gone"), BrokenPipeError(), KeyboardInterrupt()], ids=repr)
    def test_an_upload_that_breaks_off_leaves_nothing(self, shelf, keys, chunks, error):
        kept, place, before = shelf.open(*keys), new_place(), shelf.files()
        with pytest.raises(type(error)) as caught:
            kept.put(place, breaking_off(chunks, error), digest_of(*chunks), LIMIT)
        assert caught.value is error
        assert shelf.files() == before
        assert shelf.has_forgotten(chunks)
        assert not kept.exists(place.key(digest_of(*chunks), encrypted=bool(keys)))

    @ENCRYPTION
    @pytest.mark.parametrize("chunks", [[], [b"other"], LARGE], ids=["nothing", "little", "many parts"])
    def test_another_content_than_was_declared_is_not_kept(self, shelf, keys, chunks):
        kept, before = shelf.open(*keys), shelf.files()
        with pytest.raises(errors.InvalidError, match=f"declared as {digest_of(b'declared')}.*{digest_of(*chunks)}"):
            kept.put(new_place(), chunks, digest_of(b"declared"), LIMIT)
        assert shelf.files() == before
        assert shelf.has_forgotten(chunks)

    @ENCRYPTION
    def test_more_than_the_limit_is_not_kept_and_exactly_the_limit_is(self, shelf, keys):
        kept, before, size = shelf.open(*keys), shelf.files(), len(LARGE) * len(MEBIBYTE)
        with pytest.raises(errors.TooLargeError, match=f"larger than {size - 1:,} bytes"):
            kept.put(new_place(), LARGE, digest_of(*LARGE), size - 1)
        assert shelf.files() == before
        assert shelf.has_forgotten(LARGE)
        assert kept.put(new_place(), LARGE, digest_of(*LARGE), size).size == size

    @ENCRYPTION
    def test_many_who_put_the_same_at_once_all_succeed_and_it_is_there_once(self, shelf, keys):
        kept, place, start = shelf.open(*keys), new_place(), threading.Barrier(6)

        def source() -> Iterator[bytes]:
            start.wait(60)
            yield from LARGE[:9]

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            puts = [pool.submit(kept.put, place, source(), digest_of(*LARGE[:9]), LIMIT) for _ in range(6)]
        (stored,) = {put.result() for put in puts}
        assert read(kept, stored.key) == b"".join(LARGE[:9])
        assert shelf.files(place) == [shelf.root / stored.key]
        assert shelf.unfinished() == 0

    @ENCRYPTION
    @pytest.mark.parametrize("position", [0.0, 0.5, 1.0], ids=["first byte", "in the middle", "last byte"])
    def test_a_byte_that_was_changed_on_the_disk_is_found(self, shelf, keys, position):
        kept = shelf.open(*keys)
        stored = kept.put(new_place(), LARGE[:3], digest_of(*LARGE[:3]), LIMIT)
        file = shelf.root / stored.key
        content = bytearray(file.read_bytes())
        content[int(position * (len(content) - 1))] ^= 1
        file.write_bytes(content)
        with pytest.raises(integrity.CorruptError, match=r"model\.bin: .*take it from a backup"):
            read(kept, stored.key)

    @ENCRYPTION
    @pytest.mark.parametrize("left", [0, 10, 1_000_000, -1])
    def test_a_file_that_was_cut_off_is_found(self, shelf, keys, left):
        kept = shelf.open(*keys)
        stored = kept.put(new_place(), LARGE[:2], digest_of(*LARGE[:2]), LIMIT)
        file = shelf.root / stored.key
        file.write_bytes(file.read_bytes()[:left])
        with pytest.raises(integrity.CorruptError):
            read(kept, stored.key)

    def test_what_is_encrypted_is_an_age_file_that_shows_nothing(self, shelf):
        keys, content = new_keys(), b"the weights of the model " * 10_000
        stored = shelf.open(keys).put(new_place(), [content], digest_of(content), LIMIT)
        at_rest = (shelf.root / stored.key).read_bytes()
        assert at_rest.startswith(b"age-encryption.org/v1\n-> X25519 ")
        assert b"weights" not in at_rest
        assert pyrage.decrypt(at_rest, list(keys.identities)) == content

    def test_each_file_has_a_key_of_its_own(self, shelf):
        kept = shelf.open(new_keys())
        first, second = (kept.put(new_place(), [b"same"], digest_of(b"same"), LIMIT) for _ in range(2))
        assert (shelf.root / first.key).read_bytes()[-20:] != (shelf.root / second.key).read_bytes()[-20:]

    def test_after_a_rotation_old_and_new_artifacts_are_read(self, shelf):
        old, new = new_keys(), new_keys()
        before = shelf.open(old).put(new_place(), [b"before"], digest_of(b"before"), LIMIT)
        rotated = shelf.open(new, old)
        after = rotated.put(new_place(), [b"after"], digest_of(b"after"), LIMIT)
        assert read(rotated, before.key) == b"before"
        assert read(shelf.open(new), after.key) == b"after"

    def test_what_lay_there_before_encryption_was_switched_on_is_found_and_read(self, shelf):
        place, keys = new_place(), new_keys()
        plain = shelf.open().put(place, [b"age-encryption.org/v1\n"], digest_of(b"age-encryption.org/v1\n"), LIMIT)
        kept = shelf.open(keys)
        assert kept.put(place, never(), plain.sha256, LIMIT) == plain
        assert read(kept, plain.key) == b"age-encryption.org/v1\n"

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            pytest.param((new_keys(), new_keys()), r"none of the registry's keys \(2\) opens it", id="other keys"),
            pytest.param((), f"no file of keys is set .{encryption.SETTING}", id="no keys"),
        ],
    )
    def test_without_its_key_an_artifact_is_not_opened_and_no_key_is_named(self, shelf, given, said):
        keys = new_keys()
        stored = shelf.open(keys).put(new_place(), LARGE, digest_of(*LARGE), LIMIT)
        with pytest.raises(encryption.KeysError, match=said) as caught:
            shelf.open(*given).open(stored.key)
        assert "AGE-SECRET-KEY" not in str(caught.value)
        assert not threads()

    @ENCRYPTION
    def test_a_reader_that_stops_early_leaves_no_thread(self, shelf, keys):
        kept = shelf.open(*keys)
        stored = kept.put(new_place(), LARGE, digest_of(*LARGE), LIMIT)
        opened = kept.open(stored.key)
        assert next(opened)
        opened.close()
        assert not threads()
        forgotten = kept.open(stored.key)
        del forgotten
        assert not threads()

    @ENCRYPTION
    def test_an_artifact_is_copied_from_one_place_to_another(self, shelf, keys):
        kept = shelf.open(*keys)
        first = kept.put(new_place(), LARGE, digest_of(*LARGE), LIMIT)
        second = kept.put(new_place(), kept.open(first.key), first.sha256, LIMIT)
        assert read(kept, second.key) == b"".join(LARGE)

    def test_keys_are_listed_below_a_prefix_of_whole_segments(self, shelf):
        kept = shelf.open()
        places = [
            layout.Place("listed", "a", "1", "x"),
            layout.Place("listed", "a", "1", "y"),
            layout.Place("listed", "ab", "1", "x"),
            layout.Place("listed", "a", "1", "x", user="auth0|7"),
        ]
        keys = [kept.put(place, [b"-"], digest_of(b"-"), LIMIT).key for place in places]
        assert set(kept.keys("listed")) == set(keys)
        assert set(kept.keys("listed/a")) == set(keys[:2])
        assert set(kept.keys("listed/users")) == {keys[3]}
        assert set(kept.keys("missing")) == set()
        assert set(keys) <= set(kept.keys())
        now = dt.datetime.now(dt.UTC)
        assert set(kept.keys("listed", before=now - dt.timedelta(hours=1))) == set()
        assert set(kept.keys("listed", before=now + dt.timedelta(hours=1))) == set(keys)

    def test_what_is_deleted_is_gone_and_its_neighbour_is_not(self, shelf):
        kept, place = shelf.open(), new_place()
        gone, stays = (kept.put(place, [content], digest_of(content), LIMIT).key for content in (b"gone", b"stays"))
        kept.delete(gone)
        kept.delete(gone)
        assert (kept.exists(gone), kept.exists(stays)) == (False, True)
        with pytest.raises(errors.NotFoundError):
            kept.open(gone)
        assert kept.put(place, [b"gone"], digest_of(b"gone"), LIMIT).key == gone

    def test_nothing_unfinished_is_removed_where_nothing_is(self, shelf):
        kept = shelf.open()
        key = kept.put(new_place(), [b"finished"], digest_of(b"finished"), LIMIT).key
        assert kept.remove_unfinished(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)) == 0
        assert kept.exists(key)

    def test_a_store_that_can_be_used_is_healthy(self, shelf):
        shelf.open().health()
