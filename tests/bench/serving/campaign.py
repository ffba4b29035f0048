"""The order of the measurements: in each round every peer is started, asked in every way, and ended.

Rounds alternate between the peers, so that a slow minute of the machine falls on all of them.
"""

import contextlib
import http.client
import statistics
import tempfile
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil

from serin_local import errors
from serin_services.package import errors as package_errors

from . import bare, environments, figures, images, loads, measure, models, peers, processes, results, targets

# What a server that fails may raise here; it is noted, and the others are measured.
FAILURES = (processes.NotServedError, OSError, psutil.Error, http.client.HTTPException, LookupError, ValueError)
# The model of the soak and the overload.
STRESSED = "xgboost"
LIBRARY_ROWS = (1, 8, 64, 1024)


@dataclass(frozen=True)
class Plan:
    """What is measured, and for how long; `parts` are models by name, the images and the stress."""

    peers: tuple[peers.Peer, ...]
    parts: tuple[str, ...]
    rounds: int = 3
    seconds: float = 2.0
    open_seconds: float = 5.0
    turns: int = 5
    steady_seconds: float = 30.0
    soak_seconds: float = 300.0
    overload_seconds: float = 60.0

    def describe(self, part: str) -> str:
        """Say how long a part is measured."""
        if part == results.IMAGES_PART:
            return f"{images.BUILDS} further builds"
        if part == results.STRESS_PART:
            return f"a soak of {self.soak_seconds:g} s and an overload of {self.overload_seconds:g} s"
        return f"{self.rounds} rounds, windows of {self.seconds:g} s, open loops of {self.open_seconds:g} s, {self.turns} turns"


@dataclass
class Campaign:
    """Measures a plan into results; each window is given as it comes."""

    plan: Plan
    workshop: environments.Workshop
    scratch: Path
    seen: results.Results

    def run(self) -> Iterator[measure.Window]:
        """Measure everything."""
        self.generator, self.artifacts = self.workshop.generator(), self.workshop.artifacts()
        for part in self.plan.parts:
            if part == results.STRESS_PART and peers.PEERS[0] not in self.plan.peers:
                continue
            self.seen.forget(part)
            self.seen.plans[part] = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {self.plan.describe(part)}"
            if part == results.IMAGES_PART:
                self.measure_images()
            elif part == results.STRESS_PART:
                yield from self.stress()
            else:
                yield from self.compare(part)

    def package(self, name: str) -> models.Model:
        """Package the model of this name."""
        kind = next(kind for kind in models.KINDS if kind.name == name)
        return models.package(kind, self.artifacts, Path(tempfile.mkdtemp(dir=self.scratch)))

    def compare(self, name: str) -> Iterator[measure.Window]:
        """Measure all peers with one model, round by round, and then what batches gain."""
        model = self.package(name)
        for _ in range(self.plan.rounds):
            self.expected = self.measure_library(model)
            for peer in self.plan.peers:
                if name in peer.asked:
                    yield from self.measure_peer(peer, model)
        for _, batched, dialect, batched_model in targets.BATCHES:
            if batched_model == name and {batched, figures.OFF} <= {peer.name for peer in self.plan.peers}:
                yield from self.measure_gain(peers.BY_NAME[batched], dialect, model)

    def measure_gain(self, batched: peers.Peer, dialect_name: str, model: models.Model) -> Iterator[measure.Window]:
        """Ask a server with batches and one without in turn, both on the servers' core; who is not asked takes none of it."""
        key = results.make_key(batched.name, dialect_name, model.kind.name)
        off = peers.BY_NAME[figures.OFF]
        load = self.sized(loads.SIXTY_FOUR, model.kind)
        try:
            with contextlib.ExitStack() as running:
                askings = []
                for peer in (off, batched):
                    scratch = self.scratch / f"turns-{peer.name.replace(' ', '-')}"
                    server = running.enter_context(processes.start(peer, model, self.environment(peer, model), scratch))
                    dialect = next(each for each in peer.asked[model.kind.name] if each.name == dialect_name)
                    askings.append(measure.Asking(peer.name, dialect, model, server))
                for _ in range(self.plan.turns):
                    windows = [window for asking in askings for window in self.windows(asking, [load])]
                    self.seen.gains.setdefault(key, []).append(windows[1].per_second / windows[0].per_second)
                    yield from windows
        except FAILURES as error:
            self.miss(key, str(error) or type(error).__name__)

    def measure_library(self, model: models.Model) -> models.Array:
        """Time the bare calls, and give what the library answers."""
        answers = self.scratch / f"{model.kind.name}.npy"
        rows = [count for count in LIBRARY_ROWS if count <= model.kind.most_rows]
        with bare.open_library(model, rows, answers) as time:
            self.seen.add_library(model.kind.name, time())
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
            environment = self.environment(peer, model)
            with processes.start(peer, model, environment, self.scratch / peer.name.replace(" ", "-")) as server:
                self.seen.ready.setdefault(key, []).append(server.ready_seconds)
                for dialect in peer.asked[model.kind.name]:
                    asking = measure.Asking(peer.name, dialect, model, server)
                    yield from self.measure_dialect(asking, predicts=peer.predicts)
        except (errors.ClusterError, *FAILURES) as error:
            self.miss(key, str(error) or type(error).__name__)

    def environment(self, peer: peers.Peer, model: models.Model) -> Path:
        """Where a peer's programs are."""
        if not peer.lock:
            return self.workshop.control()
        return self.workshop.environment(peer.lock.replace("$family", model.kind.family))

    def measure_dialect(self, asking: measure.Asking, *, predicts: bool) -> Iterator[measure.Window]:
        """The closed loops, and the open one at half of the capacity that they have shown so far."""
        name = asking.dialect.name
        key = results.make_key(asking.peer, name, asking.model.kind.name)
        if key in self.seen.missing:
            return
        try:
            if predicts:
                asking.check(2, self.expected)
            yield from self.windows(asking, self.closed_loads(asking.model.kind))
            if (asking.peer, name) in targets.SHARED and asking.model.kind.name in targets.TREES:
                yield from self.take_turns(asking)
            capacity = self.seen.capacity(asking.peer, name, asking.model.kind.name)
            if capacity:
                half = loads.HALF.shortened(self.plan.open_seconds)
                yield from self.windows(asking, [half], capacity)
        except FAILURES as error:
            self.miss(key, str(error) or type(error).__name__)

    def take_turns(self, asking: measure.Asking) -> Iterator[measure.Window]:
        """Ask for the largest requests in turn with the bare call: the machine's speed changes from second to second."""
        key = results.make_key(asking.peer, asking.dialect.name, asking.model.kind.name)
        with bare.open_library(asking.model, [loads.TURN.rows], self.scratch / "answers.npy") as time:
            for _ in range(self.plan.turns):
                call = min(by_rows[str(loads.TURN.rows)] for by_rows in time().values())
                for window in self.windows(asking, [loads.TURN]):
                    self.seen.shares.setdefault(key, []).append(window.per_second * call / 1e6)
                    yield window

    def closed_loads(self, kind: models.Kind) -> list[loads.Load]:
        """The closed loops that a model is asked in, with windows that a slow model answers often enough in."""
        return [self.sized(load, kind) for load in loads.CLOSED if load.rows <= kind.most_rows]

    def sized(self, load: loads.Load, kind: models.Kind) -> loads.Load:
        """A load with windows of the plan, or longer ones where the model is slow."""
        call = (self.seen.library_call(kind.name, load.rows) or 0) / 1e6
        return load.shortened(self.plan.seconds).holding(call * load.connections)

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

    def measure_images(self) -> None:
        """Build images."""
        try:
            self.seen.images = images.measure(models.KINDS, self.artifacts, self.workshop, self.scratch)
        except (errors.ClusterError, package_errors.PackageError) as error:
            self.miss("all/images", str(error))

    def stress(self) -> Iterator[measure.Window]:
        """Serin for minutes at 80 % of what it can, for a minute at twice that, and at half of it at once after."""
        peer = peers.PEERS[0]
        model = self.package(STRESSED)
        try:
            with processes.start(peer, model, self.environment(peer, model), self.scratch / "stress") as server:
                asking = measure.Asking(peer.name, peer.asked[STRESSED][0], model, server)
                capacity = yield from self.reach(asking, loads.STEADY)
                soak = loads.SOAK.lasting(self.plan.soak_seconds)
                for window in measure.run(asking, soak, self.generator, self.scratch, capacity * soak.share):
                    self.seen.soak.append(window)
                    yield window
                capacity = yield from self.reach(asking, loads.AROUND)
                overload = loads.OVERLOAD.lasting(self.plan.overload_seconds)
                yield from self.windows(asking, (overload, loads.RECOVERY), capacity)
                yield from self.reach(asking, loads.AROUND)
        except FAILURES as error:
            self.miss("soak and overload/stress", str(error) or type(error).__name__)

    def reach(self, asking: measure.Asking, load: loads.Load) -> Generator[measure.Window, None, float]:
        """Give the requests per second that a server reaches for a while, in the median of the windows."""
        seconds = min(self.plan.steady_seconds, load.seconds * load.intervals)
        reached = []
        for window in self.windows(asking, [load.lasting(seconds)]):
            reached.append(window.per_second)
            yield window
        return statistics.median(reached)
