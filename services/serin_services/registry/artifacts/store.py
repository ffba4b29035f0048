"""The store of artifacts: each is written once, at a key made of its place and its content's digest, and never changed."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import itertools
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import obstore
import requests
from obstore.exceptions import BaseError

from serin_services.registry import errors
from serin_services.registry.artifacts import encryption, integrity, layout, pipes

if TYPE_CHECKING:
    from obstore.store import ObjectStore


@dataclasses.dataclass(frozen=True)
class Stored:
    """An artifact in the store: its key, and the digest and size in bytes of its content, not of what is encrypted."""

    key: str
    sha256: str
    size: int
    encrypted: bool


class Backend(Protocol):
    """What keeps the bytes: a folder, or a bucket."""

    @property
    def objects(self) -> ObjectStore:
        """What is finished, by key."""

    def write(self, key: str, chunks: Iterator[bytes]) -> None:
        """Keep all chunks, or nothing where they end with an error."""

    def read(self, key: str) -> Iterator[bytes]:
        """Give the bytes. Raises FileNotFoundError at once."""

    def remove_unfinished(self, older_than: dt.datetime) -> int:
        """Remove what broken uploads left; gives their number."""

    def check(self) -> None:
        """Raise where it cannot be used."""


class Opened(Iterator[bytes]):
    """An artifact's content, of which the first chunk is there."""

    def __init__(self, first: bytes, rest: Generator[bytes, None, None]) -> None:
        self._chunks = itertools.chain([first], rest)
        self._rest = rest

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """Let go of the rest, and of what it is read with."""
        self._rest.close()


@dataclasses.dataclass(frozen=True)
class Lying:
    """An artifact's bytes as they lie in the store, and their number; `chunks` may be closed before their end."""

    size: int
    encrypted: bool
    chunks: Generator[bytes, None, None]


class Store:
    """Artifacts by key, for any thread; each method raises errors.UnavailableError where nothing answers."""

    def __init__(self, backend: Backend, keys: encryption.Keys | None = None) -> None:
        """Take what keeps the bytes, and the keys where what comes from now on is encrypted."""
        self._backend = backend
        self._keys = keys

    def put(self, place: layout.Place, chunks: Iterable[bytes], sha256: str, limit: int) -> Stored:
        """Keep an artifact, which is seen when all of it is there and has the declared digest, and never before.

        The chunks are taken in the caller's thread. Of an artifact that is there already none is, so that a retry
        costs nothing.

        Args:
            place: whose it is.
            chunks: its content; what iterating them raises is raised here, and nothing is kept.
            sha256: its digest, 64 hexadecimal digits in lower case.
            limit: how many bytes are taken at most.

        Raises:
            errors.InvalidError: the digest is not the content's.
            errors.TooLargeError: it has more bytes.
        """
        layout.check_digest("sha256", sha256)
        if found := self._find(place, sha256):
            return found
        received = integrity.Received(chunks, sha256, limit)
        key = place.key(sha256, encrypted=self._keys is not None)

        def send(pipe: pipes.Pipe) -> None:
            if self._keys:
                self._keys.encrypt(received, pipe)
            else:
                for chunk in received:
                    pipe.write(chunk)

        def keep(arriving: Iterator[bytes]) -> None:
            with _answering(key):
                self._backend.write(key, arriving)

        pipes.connect(send, keep)
        return Stored(key, sha256, received.size, self._keys is not None)

    def open(self, key: str) -> Opened:
        """Give an artifact's content; close the iterator where not all of it is wanted.

        Whatever can be known at the beginning is raised here, and what is known only at the end from the iterator.

        Raises:
            errors.InvalidError: this is no key.
            errors.NotFoundError: there is no such artifact.
            encryption.KeysError: the registry has not the key that it is encrypted with.
            integrity.CorruptError: the stored bytes are not those that were put.
        """
        parsed = layout.Key.parse(key)
        chunks = integrity.verified(self._read(parsed), parsed.sha256, key)
        return Opened(next(chunks, b""), chunks)

    def open_stored(self, key: str) -> Lying:
        """Give an artifact's bytes as they lie, encrypted or not: what a copy is made of, and needs no keys.

        Raises:
            errors.NotFoundError: there is no such artifact.
        """
        parsed = layout.Key.parse(key)
        size = self._size(parsed.text)
        if size is None:
            raise errors.NotFoundError(f"{key}: there is no such artifact")
        return Lying(size, parsed.encrypted, self._read_stored(parsed.text))

    def put_stored(self, key: str, chunks: Iterable[bytes]) -> None:
        """Keep bytes that `open_stored` gave, under the same key; nothing is seen where the chunks end with an error."""
        text = layout.Key.parse(key).text

        def send(pipe: pipes.Pipe) -> None:
            for chunk in chunks:
                pipe.write(chunk)

        def keep(arriving: Iterator[bytes]) -> None:
            with _answering(key):
                self._backend.write(text, arriving)

        pipes.connect(send, keep)

    def exists(self, key: str) -> bool:
        """Tell whether there is an artifact of this key."""
        return self._size(layout.Key.parse(key).text) is not None

    def delete(self, key: str) -> None:
        """Remove an artifact that nothing refers to any more; one that is gone already is no error."""
        text = layout.Key.parse(key).text
        with _answering(key), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._backend.objects, text)

    def keys(self, prefix: str = "", before: dt.datetime | None = None) -> Iterator[str]:
        """Give the keys below a prefix of whole segments, or all; with `before`, only of what was written by then.

        Whoever removes what nothing refers to asks with `before`: an artifact is there earlier than its row.
        """
        for segment in prefix.split("/") if prefix else ():
            layout.check_segment("prefix", segment)
        with _answering(prefix or "all keys"):
            for page in obstore.list(self._backend.objects, prefix or None, chunk_size=1000):
                for found in page:
                    if found["path"][0] != "." and (before is None or found["last_modified"] < before):
                        yield found["path"]

    def health(self) -> None:
        """Try whether the store can be used. Raises errors.UnavailableError with the reason where it cannot."""
        with _answering("health"):
            self._backend.check()

    def remove_unfinished(self, older_than: dt.datetime) -> int:
        """Remove what uploads that broke off before this moment have left; gives their number."""
        with _answering("unfinished uploads"):
            return self._backend.remove_unfinished(older_than)

    def _find(self, place: layout.Place, sha256: str) -> Stored | None:
        for encrypted in (True, False):
            key = place.key(sha256, encrypted=encrypted)
            size = self._size(key)
            if size is not None:
                return Stored(key, sha256, self._size_in_the_clear(key, size) if encrypted else size, encrypted)
        return None

    def _size(self, key: str) -> int | None:
        with _answering(key):
            try:
                return obstore.head(self._backend.objects, key)["size"]
            except FileNotFoundError:
                return None

    def _size_in_the_clear(self, key: str, size: int) -> int:
        with _answering(key):
            beginning = bytes(
                obstore.get_range(self._backend.objects, key, start=0, end=min(size, encryption.MAX_HEADER))
            )
        return encryption.size_in_the_clear(beginning, size, key)

    def _read(self, key: layout.Key) -> Generator[bytes, None, None]:
        stored = self._read_stored(key.text)
        if not key.encrypted:
            return stored
        if not self._keys:
            raise encryption.KeysError(
                f"{key.text}: it is encrypted, and no file of keys is set ({encryption.SETTING})"
            )
        keys = self._keys
        return pipes.stream(lambda pipe: keys.decrypt(stored, pipe, key.text))

    def _read_stored(self, key: str) -> Generator[bytes, None, None]:
        with _answering(key):
            try:
                yield from self._backend.read(key)
            except FileNotFoundError:
                raise errors.NotFoundError(f"{key}: there is no such artifact") from None


@contextlib.contextmanager
def _answering(what: str) -> Iterator[None]:
    """Say in the registry's words that the store cannot be used.

    Without the store's own error: a server's refusal repeats the request with its credentials.
    """
    try:
        yield
    except (BaseError, OSError, requests.RequestException) as error:
        raise errors.UnavailableError(f"{what}: the artifact store cannot be used now: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    # Behind < stands what the server wrote.
    first = str(error).partition("\n")[0].partition("<")[0].strip(" :")
    return f"{type(error).__name__}: {first[:300]}"
