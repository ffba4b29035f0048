"""Encryption at rest in the age format (age-encryption.org/v1): a key of its own for each file, wrapped for the registry's.

The registry's keys are X25519 identities as `age-keygen` writes them, so whoever holds the key file and a bucket can
read every artifact with age alone.
"""

import dataclasses
import datetime as dt
import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Self, cast

import pyrage
from pyrage import x25519

from serin_services.registry import errors
from serin_services.registry.artifacts import integrity, pipes

SETTING = "SERIN_REGISTRY_ARTIFACTS_KEY_FILE"
# A header with one recipient is a few hundred bytes; `pyrage` adds one of random length that stands for nobody.
MAX_HEADER = 64 * 1024
# The payload: a nonce, then chunks with a tag each (age-encryption.org/v1, section "Payload").
_NONCE, _CHUNK, _TAG = 16, 64 * 1024, 16
# pyrage writes and reads 8 KiB at a time, of which each would be a call into Python.
_BUFFER = 256 * 1024


class KeysError(errors.UnavailableError):
    """The registry's keys are missing, are none, or are not those that an artifact was encrypted for."""


@dataclasses.dataclass(frozen=True)
class Keys:
    """The registry's keys: the first one encrypts, and each decrypts what it or an earlier first one encrypted."""

    identities: tuple[x25519.Identity, ...] = dataclasses.field(repr=False)

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """Read a key file: a line for each key, the newest first; empty lines and those with # are left out.

        Raises:
            KeysError: a line is no key, or there is none.
        """
        lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
        found = tuple(_identity(line, f"{source}:{number}") for number, line in lines if line and line[0] != "#")
        if not found:
            raise KeysError(f"{source}: expected a line AGE-SECRET-KEY-1..., as age-keygen writes it, found none")
        return cls(found)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a key file.

        Raises:
            KeysError: it cannot be read, or holds something else.
        """
        try:
            return cls.parse(path.read_text(), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise KeysError(f"{path}: expected a file with the registry's keys, but {type(error).__name__}") from None

    def encrypt(self, chunks: Iterable[bytes], sink: pipes.Pipe) -> None:
        """Write the chunks to the sink, encrypted with a new key that is wrapped for the first of these."""
        recipients = [self.identities[0].to_public()]
        _run(lambda source, target: pyrage.encrypt_io(source, target, recipients), chunks, sink)

    def decrypt(self, chunks: Iterable[bytes], sink: pipes.Pipe, key: str) -> None:
        """Write what the chunks are to the sink, in the clear; every 64 KiB are checked before they are written.

        Raises:
            KeysError: it was encrypted for none of these.
            integrity.CorruptError: it is not as it was written.
        """
        try:
            _run(lambda source, target: pyrage.decrypt_io(source, target, list(self.identities)), chunks, sink)
        except (pyrage.DecryptError, OSError) as error:
            raise self._explain(error, key) from None

    def _explain(self, error: Exception, key: str) -> errors.RegistryError:
        if "No matching keys" in str(error):
            return KeysError(
                f"{key}: none of the registry's keys ({len(self.identities)}) opens it; add the one that it was encrypted "
                f"with to the file that {SETTING} names, behind the first; if it is there, the artifact was damaged"
            )
        return integrity.CorruptError(f"{key}: it cannot be decrypted ({error}); take it from a backup")


def generate(now: dt.datetime) -> str:
    """Make a new key, as the text of a key file."""
    identity = x25519.Identity.generate()
    return f"# created: {now.isoformat(timespec='seconds')}\n# public key: {identity.to_public()}\n{identity}\n"


def write_new(path: Path, now: dt.datetime) -> None:
    """Write a new key to a new file that only its owner reads. Raises FileExistsError: a key is never written over."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(generate(now))


def size_in_the_clear(beginning: bytes, size: int, key: str) -> int:
    """Tell how many bytes were encrypted, from the first `MAX_HEADER` bytes of the result and its size.

    Raises:
        integrity.CorruptError: it does not begin with a header of age.
    """
    end_of_header = beginning.find(b"\n", beginning.find(b"\n--- ") + 1) + 1
    payload = size - end_of_header - _NONCE
    if not beginning.startswith(b"age-encryption.org/v1\n") or b"\n--- " not in beginning or payload < _TAG:
        raise integrity.CorruptError(f"{key}: expected a file in the age format, found something else")
    return payload - _TAG * -(-payload // (_CHUNK + _TAG))


def _identity(line: str, where: str) -> x25519.Identity:
    try:
        return x25519.Identity.from_str(line)
    except pyrage.IdentityError:
        # Without the line, and without what pyrage says of it.
        raise KeysError(f"{where}: expected a line AGE-SECRET-KEY-1..., as age-keygen writes it") from None


class _Source(io.RawIOBase):
    """Chunks as a file to read; what they raise is kept, for pyrage gives on only its text."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__()
        self.error: BaseException | None = None
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader gives
        try:
            while not self._rest:
                self._rest = memoryview(next(self._chunks))
        except StopIteration:
            return 0
        except BaseException as error:
            self.error = error
            raise
        taken = min(len(buffer), len(self._rest))
        buffer[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken


class _Sink:
    """A pipe as a file to write, in larger chunks than pyrage's; what it raises is kept, as above."""

    def __init__(self, pipe: pipes.Pipe) -> None:
        self.error: BaseException | None = None
        self._pipe = pipe
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        if len(self._held) >= _BUFFER:
            self.flush()
        return len(data)

    def flush(self) -> None:
        held, self._held = bytes(self._held), bytearray()
        try:
            self._pipe.write(held)
        except BaseException as error:
            self.error = error
            raise


def _run(convert: Callable[[BinaryIO, BinaryIO], None], chunks: Iterable[bytes], pipe: pipes.Pipe) -> None:
    """Convert from chunks to a pipe; raises what either of them raised, rather than pyrage's word for it."""
    source, sink = _Source(chunks), _Sink(pipe)
    try:
        convert(cast("BinaryIO", io.BufferedReader(source, _BUFFER)), cast("BinaryIO", sink))
        sink.flush()
    except BaseException:
        if error := source.error or sink.error:
            raise error from None
        raise
