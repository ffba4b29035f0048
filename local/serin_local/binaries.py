"""Single programs of the cluster's, for those who need no cluster: built when missing, no root needed."""

from __future__ import annotations

import pathlib

from . import builds, errors, layout, versions
from .progress import Progress


def path(name: str, progress: Progress | None = None) -> pathlib.Path:
    """The program `name` (`helm`, `promtool`, `kubectl` and so on), built from its Go module unless it is in the cache.

    Raises `ClusterError` when nothing of that name is built here, or when go fails.
    """
    made = builds.make_builds(versions.load())
    build = next((build for build in made if name in {build.output, *build.links}), None)
    if build is None:
        known = ", ".join(sorted({name for build in made for name in (build.output, *build.links)}))
        raise errors.ClusterError(f"find {name}", "nothing of this name is built here", f"ask for one of: {known}")
    return builds.ensure(layout.default(), build, progress or Progress()) / name
