"""What can be wrong with what a caller asked for, each kind once; the API gives each kind its status."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where, and a sentence of what was expected and what came."""

    where: str
    message: str


class RegistryError(Exception):
    """A request that cannot be carried out; the message says what is wrong and what to do about it."""

    def __init__(self, message: str, *faults: Fault) -> None:
        super().__init__(message)
        self.message = message
        self.faults = faults


class NotFoundError(RegistryError):
    """There is no such thing, or the caller may not see it: the answer is the same."""


class ForbiddenError(RegistryError):
    """The caller sees it, but has not the role."""


class InvalidError(RegistryError):
    """The request is not one that can be understood or carried out as it stands."""


class ConflictError(RegistryError):
    """What is there contradicts the request: a version that exists, a move that the lifecycle does not know."""


class PreconditionError(RegistryError):
    """It has changed since the caller read it."""


class TooLargeError(RegistryError):
    """More bytes or rows than are taken."""


class UnavailableError(RegistryError):
    """Something that the registry needs does not answer; the same request may work later."""
