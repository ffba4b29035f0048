"""What every sink of the log is: an encoder that makes pieces of records, and a place that takes a piece whole."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from serin_services.server.predictions import records

# Called between two small parts of work, so that encoding never holds the interpreter for long.
Rest = Callable[[], None]


class Piece(NamedTuple):
    """Some predictions as a sink takes them; `name` is where they belong, for a sink with more than one place."""

    payload: bytes
    rows: int
    name: str = ""


class Rejected(Exception):  # noqa: N818 - the sink's answer, not a fault of ours
    """The sink will never take this piece."""


class Unavailable(Exception):  # noqa: N818 - the sink's state, not a fault of ours
    """The sink may take the piece later; `retry_after` is what it asked for, in seconds."""

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Sink(Protocol):
    """A place for predictions; only the writer's thread calls it.

    It is written to once `flush_bytes` of records wait, or the oldest of them has waited for `flush_seconds`; a piece
    is offered again for `retry_seconds`.
    """

    flush_seconds: float
    flush_bytes: int
    retry_seconds: float

    def encode(self, batch: Sequence[records.Record], rest: Rest) -> Iterator[Piece]:
        """Make pieces that are not larger than the place likes; touches nothing outside the process."""
        ...

    def write(self, piece: Piece) -> None:
        """Take the whole piece, or leave no trace of it.

        Raises:
            OSError, Unavailable: worth another try.
            Rejected: not worth one.
        """
        ...

    def close(self) -> None:
        """Bring what was written to safety."""
        ...
