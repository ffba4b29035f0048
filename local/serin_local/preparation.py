"""Everything that a start needs, built or downloaded, all of it kept by content."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import pathlib
import threading

from . import addons, builds, components, downloads, images, versions
from .layout import Layout
from .progress import Progress


@dataclasses.dataclass(frozen=True)
class Artifacts:
    """All that a start needs: folders of programs, archives of images by name, rendered add-ons."""

    folders: components.Binaries
    archives: dict[str, pathlib.Path]
    rendered: pathlib.Path
    pause_image: str


def prepare(place: Layout, pins: versions.Versions, progress: Progress) -> Artifacts:
    """Build and download what is not in the cache. Raises `ClusterError`."""
    programs, daemons = _fetch_and_build(place, pins, progress)
    system = images.make_system_images(pins)
    data = {"alertmanager": downloads.alertmanager_data(daemons)}
    archives = {
        image.reference: images.ensure_archive(place, image, programs[name], data.get(name, {}))
        for name, image in system.items()
    }
    variables = addons.make_variables(pins, system)
    rendered = addons.ensure(place, pins, variables, programs["helm"], progress)
    _link_binaries(place, programs)
    folders = components.Binaries(programs["kube"].parent, daemons / "usr" / "bin", daemons / "usr" / "lib" / "cni")
    return Artifacts(folders, archives, rendered, system["pause"].reference)


def build_all(
    place: Layout, pins: versions.Versions, progress: Progress, failed: threading.Event
) -> dict[str, pathlib.Path]:
    """Build one program after another, for go uses all cores by itself; begin none once `failed` is set."""
    made = {}
    for item in builds.make_builds(pins):
        if not failed.is_set():
            made[item.output] = builds.ensure(place, item, progress) / item.output
    return made


def _fetch_and_build(
    place: Layout, pins: versions.Versions, progress: Progress
) -> tuple[dict[str, pathlib.Path], pathlib.Path]:
    """The programs by name, and the folder of Debian's daemons."""
    failed = threading.Event()

    def fetch() -> tuple[pathlib.Path, pathlib.Path]:
        # What mostly waits for the network goes beside the builds.
        try:
            downloads.ensure_tools(place, pins, progress)
            daemons = downloads.ensure_daemons(place, pins, progress)
            envoy = downloads.ensure_envoy(place, pins, progress)
            images.base(progress, place)
        except BaseException:
            failed.set()
            raise
        return daemons, envoy

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        builder, fetcher = pool.submit(build_all, place, pins, progress, failed), pool.submit(fetch)
        daemons, envoy = fetcher.result()
        programs = builder.result()
    alertmanager = daemons / "usr" / "bin" / "prometheus-alertmanager"
    return {**programs, "envoy": envoy / "envoy", "alertmanager": alertmanager}, daemons


def _link_binaries(place: Layout, programs: dict[str, pathlib.Path]) -> None:
    place.binaries.mkdir(parents=True, exist_ok=True)
    targets = {"kubectl": programs["kube"].parent / "kubectl"}
    targets |= {name: programs[name] for name in ("helm", "promtool")}
    for name, target in targets.items():
        link = place.binaries / name
        temporary = link.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(link)
