"""The time now, read in this one place: ages and the time left of a step are counted from it."""

from datetime import UTC, datetime


def now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)  # noqa: TID251 - the command line is a shell; everything behind it is given the time
