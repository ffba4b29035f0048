"""The open connections of one listening port: what is swept now and then, and waited for at the end."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """A connection, as far as its port must know it."""

    def leave(self) -> None:
        """Close once what has begun to arrive is answered."""
        ...

    def close(self) -> None:
        """Close at once."""
        ...


T = TypeVar("T", bound=Closable)


class Peers(Generic[T]):
    """A set of open connections."""

    def __init__(self) -> None:
        self._open: set[T] = set()
        self._none = asyncio.Event()
        self._none.set()

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._open))

    def __len__(self) -> int:
        return len(self._open)

    def add(self, peer: T) -> None:
        """Keep a new one."""
        self._open.add(peer)
        self._none.clear()

    def discard(self, peer: T) -> None:
        """Let go of one that is closed."""
        self._open.discard(peer)
        if not self._open:
            self._none.set()

    async def end(self, grace: float) -> None:
        """Let them finish for `grace` seconds, and close those that are left."""
        for peer in self:
            peer.leave()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._none.wait(), grace)
        for peer in self:
            peer.close()
