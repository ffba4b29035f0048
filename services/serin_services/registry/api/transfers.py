"""Artifacts between connections and the store, in constant memory: a transfer's thread asks for one block after the other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.requests import ClientDisconnect, Request

from serin_services.registry.artifacts.layout import Place
from serin_services.registry.artifacts.store import Store, Stored

Result = TypeVar("Result")

# What goes from a connection to a transfer's thread at once. A connection gives up to 256 KiB, and handing over takes as long
# whatever the size: 100 MB were stored in 0.32 s as they came, and in 0.26 s by blocks.
BLOCK = 1024 * 1024
# Blocks that are read while the thread is busy with one.
AHEAD = 4


class Transfers:
    """The threads of all transfers of a process; apart from those of the other requests, which wait for none of them."""

    def __init__(self, store: Store, threads: int, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._threads = threads
        self._limiter: anyio.CapacityLimiter | None = None

    async def receive(self, request: Request, place: Place, sha256: str) -> Stored:
        """Store a request's body; it is read a few blocks ahead of the store.

        Raises:
            errors.RegistryError: the store's own, as that the digest is another.
            RequestError: the body is too large, or comes too slowly.
            ClientDisconnect: it broke off; nothing is stored.
        """
        ahead = _ReadAhead(request.stream())

        def take() -> Iterator[bytes]:
            # Not before a thread is free: those that wait for one hold nothing.
            anyio.from_thread.run_sync(ahead.begin)
            while block := anyio.from_thread.run(ahead.next):
                yield block

        async with ahead:
            return await self._run(lambda: self._store.put(place, take(), sha256, self._limit))

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


class _ReadAhead:
    """A body that is read in a task of its own, in blocks, while whoever wants them is busy with an earlier one."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._blocks: asyncio.Queue[bytes | Exception] = asyncio.Queue(AHEAD)
        self._reading: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to read."""
        self._reading = asyncio.create_task(self._read())

    async def next(self) -> bytes:
        """Give the next block, and an empty one at the end; raises what ended the body early."""
        block = await self._blocks.get()
        if isinstance(block, Exception):
            raise block
        return block

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *error: object) -> None:
        if self._reading:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        # Where the request was cancelled somebody still waits for a block, and would for ever.
        while not self._blocks.empty():
            self._blocks.get_nowait()
        self._blocks.put_nowait(ClientDisconnect())

    async def _read(self) -> None:
        try:
            async for block in _gather(self._chunks):
                await self._blocks.put(block)
            await self._blocks.put(b"")
        except Exception as error:  # noqa: BLE001 - raised again where the blocks are taken
            await self._blocks.put(error)


async def _gather(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join chunks to blocks; none is empty."""
    gathered: list[bytes] = []
    size = 0
    async for chunk in chunks:
        gathered.append(chunk)
        size += len(chunk)
        if size >= BLOCK:
            yield b"".join(gathered)
            gathered, size = [], 0
    if size:
        yield b"".join(gathered)
