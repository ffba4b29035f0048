"""Where the server stands: starting, serving, draining, or refusing its package, and why."""

import dataclasses
import enum

from serin_services.package import errors


class Phase(enum.Enum):
    """A server goes from starting to serving to draining, or stays refused."""

    STARTING = "Starting"
    SERVING = "Serving"
    DRAINING = "Draining"
    REFUSED = "Refused"


@dataclasses.dataclass
class State:
    """The phase with its reason; the probes of both protocols read it."""

    phase: Phase = Phase.STARTING
    reason: str = "Starting"
    message: str = "the server is starting"

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self.phase is Phase.SERVING

    def serve(self) -> None:
        """Say that requests are welcome."""
        self.phase, self.reason, self.message = Phase.SERVING, "Serving", "requests are answered"

    def drain(self) -> None:
        """Say that no new requests should come; those that do are still answered."""
        self.phase, self.reason, self.message = Phase.DRAINING, "Draining", "the server is about to end"

    def refuse(self, error: errors.PackageError) -> None:
        """Say why this package will never be served."""
        self.phase, self.reason, self.message = Phase.REFUSED, error.reason, error.message
