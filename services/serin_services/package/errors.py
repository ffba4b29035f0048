"""Why a package is refused: a reason for machines and a sentence for people."""


class PackageError(Exception):
    """A package that must not be served, or that cannot be made.

    The reason is one word that an operator can put on a condition; the message says what is wrong, where, what was
    expected, what came and what to do.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"
