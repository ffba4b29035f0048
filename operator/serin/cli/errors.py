"""What a person reads when a command cannot do its work: a sentence on what is wrong, and one on what to do."""


class CliError(Exception):
    """A failure that the user can act on; the command ends with `code` (1 failed, 2 wrong use)."""

    def __init__(self, problem: str, advice: str = "", code: int = 1) -> None:
        super().__init__(problem)
        self.problem, self.advice, self.code = problem, advice, code

    def __str__(self) -> str:
        return f"{self.problem}\n  {self.advice}" if self.advice else self.problem


class MissingExtraError(CliError):
    """A command whose libraries are not installed."""


class UnreachableError(CliError):
    """The cluster does not answer; a wait goes on through it, because a rollout does too."""


class NotFoundError(CliError):
    """There is no such object."""


def install_advice(*extras: str) -> str:
    """Say how to install some extras; never by the bare name, which another project has on the public index."""
    return f"in Serin's source tree: pip install '.[{','.join(extras)}]'"
