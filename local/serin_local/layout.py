"""Where the local cluster keeps its files: all below one home, so that removing that folder removes everything."""

from __future__ import annotations

import dataclasses
import os
import pathlib


@dataclasses.dataclass(frozen=True)
class Layout:
    """The folders below the home (`SERIN_HOME`, otherwise `~/.cache/serin`)."""

    home: pathlib.Path

    @property
    def store(self) -> pathlib.Path:
        """Built and downloaded things, each in a folder named by the hash of what it was made from."""
        return self.home / "store"

    @property
    def work(self) -> pathlib.Path:
        """Half-made things; nothing in it outlives the command that made it."""
        return self.home / "work"

    @property
    def build_logs(self) -> pathlib.Path:
        """Output of builds and downloads, a file for each step."""
        return self.home / "log"

    @property
    def containerd(self) -> pathlib.Path:
        """Unpacked images; kept when a cluster is wiped, for they are named by content."""
        return self.home / "containerd"

    @property
    def binaries(self) -> pathlib.Path:
        """Links to the programs that people use."""
        return self.home / "bin"

    @property
    def cluster(self) -> pathlib.Path:
        """State of the cluster: what `--wipe` removes."""
        return self.home / "cluster"

    @property
    def run(self) -> pathlib.Path:
        """State that is worth nothing once the cluster is down."""
        return self.cluster / "run"

    @property
    def pki(self) -> pathlib.Path:
        """Certificates and keys."""
        return self.cluster / "pki"

    @property
    def log(self) -> pathlib.Path:
        """One log for each component."""
        return self.cluster / "log"

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The administrator's kubeconfig."""
        return self.cluster / "kubeconfig"

    @property
    def socket(self) -> pathlib.Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    @property
    def processes(self) -> pathlib.Path:
        """The processes that were started, with the times that tell them from later ones of the same id."""
        return self.run / "processes.json"

    @property
    def complete(self) -> pathlib.Path:
        """There once everything was ready that this start brought up: what was killed before has none."""
        return self.run / "complete"

    @property
    def applied(self) -> pathlib.Path:
        """The hash of the add-ons that the API server already holds."""
        return self.cluster / "applied"

    @property
    def loaded(self) -> pathlib.Path:
        """Which image ids were loaded under which names."""
        return self.containerd / "loaded.json"


def default() -> Layout:
    """The layout of this user: `SERIN_HOME` when it is set, otherwise `~/.cache/serin`."""
    home = os.environ.get("SERIN_HOME")
    return Layout(pathlib.Path(home).absolute() if home else pathlib.Path.home() / ".cache" / "serin")
