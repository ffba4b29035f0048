"""Digests of what streams by: what comes in is what was declared, and what goes out is what came in."""

import contextlib
import hashlib
from collections.abc import Generator, Iterable, Iterator

from serin_services.registry import errors


class CorruptError(errors.RegistryError):
    """What lies in the store is not what was put there: it was changed, or its disk lost it."""


class Received:
    """What a caller sends, counted and hashed while it passes.

    Iterating it ends with an error, and never with the last chunk alone, where it is not what was declared.
    """

    def __init__(self, chunks: Iterable[bytes], sha256: str, limit: int) -> None:
        """Take the chunks, the digest that they were declared to have, and how many bytes are taken at most."""
        self.size = 0
        self._chunks = chunks
        self._sha256 = sha256
        self._limit = limit

    def __iter__(self) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for chunk in self._chunks:
            self.size += len(chunk)
            if self.size > self._limit:
                raise errors.TooLargeError(
                    f"the artifact is larger than {self._limit:,} bytes, which is the most that is taken; nothing of it is kept"
                )
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != self._sha256:
            raise errors.InvalidError(
                f"the SHA-256 was declared as {self._sha256}, but that of the {self.size:,} bytes which came is "
                f"{digest.hexdigest()}; nothing of it is kept: send the whole file again, with its own digest"
            )


def verified(chunks: Generator[bytes, None, None], sha256: str, key: str) -> Generator[bytes, None, None]:
    """Give the chunks on, and raise behind the last one where they are not the content that the key stands for.

    Raises:
        CorruptError: the digest is another one.
    """
    digest = hashlib.sha256()
    with contextlib.closing(chunks):
        for chunk in chunks:
            digest.update(chunk)
            yield chunk
    if digest.hexdigest() != sha256:
        raise CorruptError(f"{key}: its content has the SHA-256 {digest.hexdigest()}; take it from a backup")
