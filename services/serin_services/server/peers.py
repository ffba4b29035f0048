"""A listening port and its open connections: how they are accepted, swept now and then, and waited for at the end."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

log = logging.getLogger("serin.server")

# Connections that may wait to be accepted. A client whose connection finds no place tries again a second later, and then
# after two and four.
BACKLOG = 4096
# How many are accepted in one turn of the loop, and how long to wait when the process can have no more files open.
ACCEPTED_AT_ONCE = 256
PAUSE_SECONDS = 1.0


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


class Listener:
    """Accepts all that waits in each turn of the event loop.

    The loop's own servers accept one connection in a turn (libuv since 1.45), so under load requests would wait where no
    clock of ours sees them, and be answered long after anybody wanted the answer.
    """

    def __init__(self, listening: socket.socket, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listening = listening
        self._make_protocol = make_protocol
        self._loop = asyncio.get_running_loop()
        self._starting: set[asyncio.Task[object]] = set()
        self._open = True
        listening.setblocking(False)
        self._loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Accept no more."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._listening)
            self._listening.close()

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connected, _address = self._listening.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:
                log.warning("no connection can be accepted: %s", error.strerror)
                self._loop.remove_reader(self._listening)
                self._loop.call_later(PAUSE_SECONDS, self._go_on)
                return
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._loop.connect_accepted_socket(self._make_protocol, connected))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    def _go_on(self) -> None:
        if self._open:
            self._loop.add_reader(self._listening, self._accept)
