"""Artifacts between connections and the store, in constant memory: a transfer's thread asks for one chunk after the other."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.requests import Request

from serin_services.registry.artifacts.layout import Place
from serin_services.registry.artifacts.store import Store, Stored

Result = TypeVar("Result")


class Transfers:
    """The threads of all transfers of a process; apart from those of the other requests, which wait for none of them."""

    def __init__(self, store: Store, threads: int, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._threads = threads
        self._limiter: anyio.CapacityLimiter | None = None

    async def receive(self, request: Request, place: Place, sha256: str) -> Stored:
        """Store a request's body; the next chunk is read when the store has taken the last one.

        Raises:
            errors.RegistryError: the store's own, as that the digest is another.
            RequestError: the body is too large, or comes too slowly.
            ClientDisconnect: it broke off; nothing is stored.
        """
        chunks = request.stream()

        def read() -> Iterator[bytes]:
            while chunk := anyio.from_thread.run(_next, chunks):
                yield chunk

        return await self._run(lambda: self._store.put(place, read(), sha256, self._limit))

    async def send(self, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Give what `open` opened, chunk by chunk.

        Each is held back until the next is there: whether all are right is known at the end, and a client that has got
        everything would not see a connection break.
        """
        held = b""
        try:
            while chunk := await self._run(lambda: next(chunks, b"")):
                if held:
                    yield held
                held = chunk
            yield held
        finally:
            with anyio.CancelScope(shield=True):
                await self._run(getattr(chunks, "close", lambda: None))

    async def open(self, key: str) -> Iterator[bytes]:
        """Open an artifact; what is wrong with it is raised here, as far as it can be known."""
        return await self._run(lambda: self._store.open(key))

    async def _run(self, function: Callable[[], Result]) -> Result:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._threads)
        return await anyio.to_thread.run_sync(function, limiter=self._limiter)


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    """Give the next chunk that is not empty, or an empty one at the end."""
    async for chunk in chunks:
        if chunk:
            return chunk
    return b""
