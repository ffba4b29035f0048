"""A connection that breaks off: a port in front of another one, which lets through so many bytes of answers and no more."""

import contextlib
import socket
import threading
from collections.abc import Iterator

CHUNK = 16 * 1024


class Breaker:
    """Passes on what comes until its budget is spent; then all connections end, and new ones too, until it is mended."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._left: int | None = None
        self._open: set[socket.socket] = set()
        self.broken = 0
        self.passed = 0

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def break_after(self, count: int) -> None:
        """Let through so many bytes of answers."""
        with self._lock:
            self._left = count

    def mend(self) -> None:
        with self._lock:
            self._left = None

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._join, args=(self._listener.accept()[0],), daemon=True).start()

    def close(self) -> None:
        # Else the thread would wait in accept for ever.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end_all()

    def _join(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            with self._lock:
                self._open |= {client, server}
                is_open = self._left is None or self._left > 0
            if is_open:
                back = threading.Thread(
                    target=self._pass_on, args=(client, server), kwargs={"counted": False}, daemon=True
                )
                back.start()
                self._pass_on(server, client, counted=True)
                back.join()
            with self._lock:
                self._open -= {client, server}

    def _pass_on(self, source: socket.socket, target: socket.socket, *, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if counted and not self._may_pass(len(data)):
                    self._end_all()
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _may_pass(self, count: int) -> bool:
        with self._lock:
            if self._left is not None:
                if self._left < count:
                    self._left = 0
                    self.broken += 1
                    return False
                self._left -= count
            self.passed += count
            return True

    def _end_all(self) -> None:
        with self._lock:
            ended, self._open = self._open, set()
        for each in ended:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def before(port: int) -> Iterator[Breaker]:
    """Give a breaker before a port of this machine, as long as the block."""
    breaker = Breaker(port)
    thread = threading.Thread(target=breaker.serve)
    thread.start()
    try:
        yield breaker
    finally:
        breaker.close()
        thread.join()
