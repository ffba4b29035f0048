"""One request and its answer on an HTTP/2 connection; `calls.Call` says what they mean."""


class Stream:
    """What the connection keeps of a stream, and what it tells it."""

    __slots__ = (
        "closed", "expected", "half_closed", "held", "length", "number", "opened", "trailer", "unread", "unsent", "window",
    )  # fmt: skip

    def __init__(self, number: int, opened: float) -> None:
        self.number = number
        # On the event loop's clock.
        self.opened = opened
        self.window = 0
        # In bytes: received and not yet given back to the client's window; kept for a request that is not whole yet;
        # received in all; and what the headers promised, or -1.
        self.unread = 0
        self.held = 0
        self.length = 0
        self.expected = -1
        # What waits for the client's window to open, and what ends the stream after it.
        self.unsent = bytearray()
        self.trailer: bytes | None = None
        self.half_closed = False
        self.closed = False

    @property
    def whole(self) -> bool:
        """Whether as much has come as was promised."""
        return self.expected in {-1, self.length}

    def begin(self) -> None:
        """Look at the headers."""

    def receive(self, data: bytes, *, ended: bool) -> None:
        """Take data, and learn whether it is the last."""

    def expire(self) -> None:
        """Learn that the request did not come whole in time."""

    def cancel(self) -> None:
        """Learn that nobody waits for the answer any more."""
