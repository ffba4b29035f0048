"""A bounded pipe between two threads, for libraries of which one writes where the other would read.

Both ends end together: an error of either reaches the other, and no thread outlives the call or the iterator.
"""

import collections
import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

# Bytes that may lie between the two ends.
CAPACITY = 8 * 1024 * 1024

Result = TypeVar("Result")


class LeftError(Exception):
    """What the writer sees where the reader is gone: the reader's own error says why."""


class AbandonedError(Exception):
    """What the reader sees where the writer gave up: no more comes, and what came is not all."""


class Pipe:
    """A file to write to in one thread, and an iterator to read from in another."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._chunks: collections.deque[bytes] = collections.deque()
        self._held = 0
        self._ended = self._abandoned = self._left = False

    def write(self, chunk: bytes) -> None:
        """Hand on a chunk; waits while the pipe is full.

        Raises:
            LeftError: nobody reads any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._left or self._held < CAPACITY)
            if self._left:
                raise LeftError
            self._chunks.append(chunk)
            self._held += len(chunk)
            self._changed.notify_all()

    def end(self, *, abandoned: bool = False) -> None:
        """Say that nothing more comes: because that was all, or because the writer gave up."""
        with self._changed:
            self._ended, self._abandoned = True, abandoned
            self._changed.notify_all()

    def leave(self) -> None:
        """Say that nobody reads any more."""
        with self._changed:
            self._left = True
            self._chunks.clear()
            self._changed.notify_all()

    def read_chunks(self) -> Iterator[bytes]:
        """Give what is written, until the writer ends.

        Raises:
            AbandonedError: the writer gave up.
        """
        while (chunk := self._take()) is not None:
            yield chunk

    def _take(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._ended)
            if self._abandoned:
                raise AbandonedError
            if not self._chunks:
                return None
            chunk = self._chunks.popleft()
            self._held -= len(chunk)
            self._changed.notify_all()
            return chunk


class _Work(Generic[Result]):
    """A function that runs in a thread of its own; not one of a pool, which would keep the process from ending."""

    def __init__(self, function: Callable[[], Result]) -> None:
        self._function = function
        self._result: Result
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="artifact", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self._error = error

    def wait(self) -> None:
        """Wait until the thread is gone, and leave what became of it aside."""
        self._thread.join()

    def result(self) -> Result:
        """Give what the function returned, or raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result


def connect(write: Callable[[Pipe], None], read: Callable[[Iterator[bytes]], Result]) -> Result:
    """Let the first function write, in the caller's own thread, what the second reads; gives what the second returns.

    The caller's thread is the writer's because what is sent often comes from a library that is bound to it.
    """
    pipe = Pipe()

    def consume() -> Result:
        try:
            return read(pipe.read_chunks())
        finally:
            pipe.leave()

    reading = _Work(consume)
    try:
        write(pipe)
    except LeftError:
        return reading.result()
    except BaseException:
        pipe.end(abandoned=True)
        reading.wait()
        raise
    pipe.end()
    return reading.result()


def stream(write: Callable[[Pipe], None]) -> Generator[bytes, None, None]:
    """Give what a function writes, which runs in a thread as long as the iterator; raises what it raises."""
    pipe = Pipe()

    def produce() -> None:
        try:
            with contextlib.suppress(LeftError):
                write(pipe)
        finally:
            pipe.end()

    writing = _Work(produce)
    try:
        yield from pipe.read_chunks()
    finally:
        pipe.leave()
        writing.wait()
    writing.result()
