"""The loads as data."""

import dataclasses

# Fewer requests than this in a window say little.
SOME = 8


@dataclasses.dataclass(frozen=True)
class Load:
    """Connections with one request of so many rows at a time each; `share` makes it an open loop at that capacity."""

    name: str
    connections: int
    rows: int
    seconds: float = 3.0
    warm_up: float = 0.7
    intervals: int = 1
    # Of the requests per second that the closed loops of one row reached.
    share: float = 0.0

    def shortened(self, seconds: float) -> "Load":
        """The same with windows of at most so many seconds."""
        return dataclasses.replace(self, seconds=min(self.seconds, seconds), warm_up=min(self.warm_up, seconds / 3))

    def holding(self, request_seconds: float) -> "Load":
        """The same with windows long enough for some requests that take so long each."""
        return dataclasses.replace(self, seconds=max(self.seconds, SOME * request_seconds))

    def lasting(self, seconds: float) -> "Load":
        """The same with as many windows as fit into so many seconds."""
        return dataclasses.replace(self, intervals=int(seconds / self.seconds))


ONE, SIXTEEN, SIXTY_FOUR = Load("1 connection", 1, 1), Load("16 connections", 16, 1), Load("64 connections", 64, 1)
BATCH, LARGE = Load("64 rows", 1, 64), Load("1,024 rows", 1, 1024)
CLOSED = (ONE, SIXTEEN, SIXTY_FOUR, BATCH, LARGE)
HALF = Load("open loop at 50 %", 64, 1, seconds=10, warm_up=1, share=0.5)
# One window of several, each in turn with the bare call.
TURN = dataclasses.replace(LARGE, seconds=1.0, warm_up=0.3)
# What a server can do for half a minute, right before it is held at a share of it, and again before and after an overload.
STEADY = Load("64 connections, steady", 64, 1, seconds=5, warm_up=2, intervals=6)
AROUND = dataclasses.replace(STEADY, name="64 connections, around the overload", intervals=3)
# Five minutes in windows of ten seconds.
SOAK = Load("open loop at 80 %", 64, 1, seconds=10, warm_up=5, intervals=30, share=0.8)
# A minute of twice what the server can, from more connections than it answers at a time, and what follows at once.
OVERLOAD = Load("open loop at 200 %", 512, 1, seconds=10, warm_up=2, intervals=6, share=2.0)
RECOVERY = Load("after the overload", 64, 1, seconds=5, warm_up=0, share=0.5)
STRESS = (STEADY, SOAK, AROUND, OVERLOAD, RECOVERY)
