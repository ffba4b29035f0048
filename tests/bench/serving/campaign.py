"""The order of the measurements: in each round every peer is started, asked in every way, and ended.

Rounds alternate between the peers, so that a slow minute of the machine falls on all of them.
"""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from serin_local import errors
from serin_services.package import errors as package_errors

from . import environments, images, loads, measure, models, peers, processes, results

# What a server that fails may raise here; it is noted, and the others are measured.
FAILURES = (processes.NotServedError, OSError, psutil.Error, http.client.HTTPException, LookupError, ValueError)
# The model of the soak and the overload.
STRESSED = "xgboost"
STALL_SECONDS = 5
LIBRARY_ROWS = (1, 8, 64, 1024)


@dataclass(frozen=True)
class Plan:
    """What is measured, and for how long."""

    peers: tuple[peers.Peer, ...]
    kinds: tuple[models.Kind, ...]
    rounds: int = 3
    seconds: float = 2.0
    open_seconds: float = 5.0
    soak_seconds: float = 300.0
    overload_seconds: float = 60.0

    def describe(self) -> str:
        """Say how long it measures."""
        return (
            f"{self.rounds} rounds, windows of {self.seconds:g} s, open loops of {self.open_seconds:g} s, a soak of "
            f"{self.soak_seconds:g} s and an overload of {self.overload_seconds:g} s"
        )


@dataclass
class Campaign:
    """Measures a plan into results; each window is given as it comes."""

    plan: Plan
    workshop: environments.Workshop
    scratch: Path
    seen: results.Results

    def run(self) -> Iterator[measure.Window]:
        """Measure everything."""
        self.seen.plan = self.plan.describe()
        self.generator, artifacts = self.workshop.generator(), self.workshop.artifacts()
        made = [models.package(kind, artifacts, self.scratch) for kind in self.plan.kinds]
        for model in made:
            for _ in range(self.plan.rounds):
                self.measure_stalls()
                self.expected = self.measure_library(model)
                for peer in self.plan.peers:
                    if model.kind.name in peer.asked:
                        yield from self.measure_peer(peer, model)
        self.measure_images(artifacts)
        if stressed := [model for model in made if model.package and model.kind.name == STRESSED]:
            try:
                yield from self.stress(stressed[0])
            except FAILURES as error:
                self.miss("soak and overload", str(error) or type(error).__name__)

    def measure_stalls(self) -> None:
        """See how often the machine itself stands still while both the servers' core and the generator's are busy."""
        script = [sys.executable, str(environments.APPS / "stalls.py"), str(STALL_SECONDS)]
        cores = {"servers'": processes.SERVER_CORE, "generator's": processes.CLIENT_CORE}
        running = {
            name: subprocess.Popen(["taskset", "-c", str(core), *script], stdout=subprocess.PIPE)
            for name, core in cores.items()
        }
        for name, process in running.items():
            self.seen.stalls.setdefault(name, []).append(json.loads(process.communicate()[0]))

    def measure_library(self, model: models.Model) -> models.Array:
        """Time the bare calls on the servers' core, and give what the library answers."""
        forms = {model.kind.family: model.artifact, **({"onnx": model.onnx} if model.onnx else {})}
        rows = [str(count) for count in LIBRARY_ROWS if count <= model.kind.most_rows]
        answers = self.scratch / f"{model.kind.name}.npy"
        pairs = ",".join(f"{form}={path}" for form, path in forms.items())
        pinned = ("taskset", "-c", str(processes.SERVER_CORE), "env", "OMP_NUM_THREADS=1")
        inputs = str(model.folder / model.kind.inputs)
        script = str(environments.APPS / "library.py")
        printed = environments.run(*pinned, sys.executable, script, inputs, pairs, ",".join(rows), str(answers))
        self.seen.add_library(model.kind.name, json.loads(printed))
        expected: models.Array = np.load(answers)
        return expected

    def measure_peer(self, peer: peers.Peer, model: models.Model) -> Iterator[measure.Window]:
        """Start a peer and ask it in each of its ways; what cannot be measured is noted and left out."""
        key = f"{peer.name}/{model.kind.name}"
        if model.package is None and "$package" in peer.settings.values():
            self.miss(key, f"`serin package` refused the model: {model.refusal}")
        if model.onnx is None and peer.settings.get("BENCH_FORM") == "onnx":
            self.miss(key, "the package has no ONNX form")
        if key in self.seen.missing:
            return
        try:
            environment = self.workshop.environment(peer.lock.replace("$family", model.kind.family))
            with processes.start(peer, model, environment, self.scratch / peer.name.replace(" ", "-")) as server:
                self.seen.ready.setdefault(key, []).append(server.ready_seconds)
                for dialect in peer.asked[model.kind.name]:
                    asking = measure.Asking(peer.name, dialect, model, server)
                    yield from self.measure_dialect(asking)
        except (errors.ClusterError, *FAILURES) as error:
            self.miss(key, str(error) or type(error).__name__)

    def measure_dialect(self, asking: measure.Asking) -> Iterator[measure.Window]:
        """The closed loops, and the open one at half of the capacity that they have shown so far."""
        name = asking.dialect.name
        key = f"{asking.peer}, {name}/{asking.model.kind.name}"
        if key in self.seen.missing:
            return
        try:
            # The bare server answers nothing that could be compared.
            if asking.peer != "bare grpcio":
                asking.check(2, self.expected)
            yield from self.windows(asking, self.closed_loads(asking.model.kind))
            capacity = self.seen.capacity(asking.peer, name, asking.model.kind.name)
            if capacity:
                half = loads.HALF.shortened(self.plan.open_seconds)
                yield from self.windows(asking, [half], capacity)
        except FAILURES as error:
            self.miss(key, str(error) or type(error).__name__)

    def closed_loads(self, kind: models.Kind) -> list[loads.Load]:
        """The closed loops that a model is asked in, with windows that a slow model answers often enough in."""
        wanted = [load for load in loads.CLOSED if load.rows <= kind.most_rows]
        bare = [(self.seen.library_call(kind.name, load.rows) or 0) / 1e6 for load in wanted]
        return [
            load.shortened(self.plan.seconds).holding(call * load.connections)
            for load, call in zip(wanted, bare, strict=True)
        ]

    def windows(
        self, asking: measure.Asking, wanted: Iterable[loads.Load], capacity: float = 0.0
    ) -> Iterator[measure.Window]:
        """Measure loads one after another and keep what was seen."""
        for load in wanted:
            for window in measure.run(asking, load, self.generator, self.scratch, capacity * load.share):
                self.seen.windows.append(window)
                yield window

    def miss(self, key: str, reason: str) -> None:
        """Note why there are no figures, and go on."""
        self.seen.missing[key] = reason
        self.workshop.said.say(f"not measured: {key}: {reason}")

    def measure_images(self, artifacts: Path) -> None:
        """Build images where this machine can."""
        try:
            self.seen.images = images.measure(self.plan.kinds, artifacts, self.scratch)
        except (package_errors.PackageError, subprocess.CalledProcessError) as error:
            self.miss("images", str(error))

    def stress(self, model: models.Model) -> Iterator[measure.Window]:
        """Serin for minutes at 80 % of what it can, for a minute at twice that, and at half of it at once after."""
        peer = peers.PEERS[0]
        dialect = peer.asked[model.kind.name][0]
        capacity = self.seen.capacity(peer.name, dialect.name, model.kind.name)
        if not capacity:
            return
        environment = self.workshop.environment(peer.lock.replace("$family", model.kind.family))
        with processes.start(peer, model, environment, self.scratch / "stress") as server:
            asking = measure.Asking(peer.name, dialect, model, server)
            soak = loads.SOAK.lasting(self.plan.soak_seconds)
            for window in measure.run(asking, soak, self.generator, self.scratch, capacity * soak.share):
                self.seen.soak.append(window)
                yield window
            overload = loads.OVERLOAD.lasting(self.plan.overload_seconds)
            yield from self.windows(asking, (overload, loads.RECOVERY), capacity)
