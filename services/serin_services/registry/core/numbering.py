"""The number of a new version: which one comes next on its parent's line, and whether a given one says enough.

A version may be made from an older one, so what comes next is looked for among those that share with the parent what the
change leaves alone: a fix of 1.2.0 is 1.2.1, whatever 2.0.0 there is by now.
"""

from collections.abc import Callable, Collection

from serin_services.registry.core.semver import Change, Part, Version, next_version

# What two versions have in common that are on one line for a change.
_LINES: dict[Part, Callable[[Version], tuple[int, ...]]] = {
    Part.PATCH: lambda version: (version.major, version.minor),
    Part.MINOR: lambda version: (version.major,),
    Part.MAJOR: lambda version: (),  # noqa: ARG005 - there is one line for all
}


def choose(parent: Version | None, taken: Collection[Version], change: Change | None) -> Version:
    """Give the number for a change of a parent; without one, for a model's first version or a new beginning."""
    if parent is None or change is None:
        return next_version(max(taken, default=None), Change(Part.MAJOR))
    line = _LINES[change.part]
    return max((version for version in taken if line(version) == line(parent)), default=parent).bump(change.part)


def find_problem(given: Version, parent: Version | None, change: Change | None) -> str | None:
    """Say why a given number is smaller than its change demands, or nothing where it is not."""
    if parent is None or change is None:
        return None
    least = parent.bump(change.part)
    if given > parent and Version(given.major, given.minor, given.patch) >= least:
        return None
    return f"{given} is too small: against {parent} it takes {least} or more, because {change}"
