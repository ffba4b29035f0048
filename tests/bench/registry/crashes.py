"""kill -9 of the registry or of its database in the midst of uploads, transitions and ingest: what was acknowledged stays.

Each moment has callers of one kind at work, and one victim. Afterwards the victim is started again, everything that was
acknowledged is looked for, what was cut off is sent again, and what must always hold is checked.
"""

import contextlib
import dataclasses
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from bench.registry import invariants
from bench.registry.callers import KINDS, Caller
from bench.registry.cluster import Follower
from serin_services.registry import wiring
from serin_services.registry.artifacts.store import Store
from serin_services.registry.client import Client
from serin_services.registry.database.sessions import Database
from serin_services.registry.settings import Settings
from support import postgres, registry_process, report, versitygw
from support.registry_process import RegistryProcess

Victim = Literal["registry", "database"]
Kept = Literal["folder", "s3"]
VICTIMS: tuple[Victim, ...] = ("registry", "database")
NAME = "registry"
CALLERS = 2
# Of one moment, from the first answer on.
LONGEST_SECONDS = 0.8
SEED = 20261121
MOMENTS, QUICK_MOMENTS = 50, 6


@dataclasses.dataclass(frozen=True)
class Moment:
    """What is asked for when, who is killed, and how long after the first answers."""

    kind: type[Caller]
    victim: Victim
    seconds: float


@dataclasses.dataclass
class Tally:
    """What the rounds showed; a problem is a sentence."""

    moments: int = 0
    acknowledged: int = 0
    cut_off: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.moments + other.moments,
            self.acknowledged + other.acknowledged,
            self.cut_off + other.cut_off,
            self.problems + other.problems,
        )


def plan(count: int, seed: int = SEED) -> list[Moment]:
    """Draw moments: the kinds and the victims in turn, the times by chance."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    pairs = [(kind, victim) for victim in VICTIMS for kind in KINDS]
    # As many of each pair as there is room for, in any order.
    chosen = [pairs[number % len(pairs)] for number in range(count)]
    chance.shuffle(chosen)
    return [Moment(kind, victim, chance.uniform(0.0, LONGEST_SECONDS)) for kind, victim in chosen]


class Rounds:
    """The servers, and all that was ever acknowledged by them."""

    def __init__(self, server: postgres.Server, registry: RegistryProcess, database: Database) -> None:
        self.server, self.registry, self.database = server, registry, database
        self.store = _open_store(registry.settings)
        self.scratch = registry.log.parent
        self.callers: list[Caller] = []
        self.tally = Tally()

    def client(self) -> Client:
        # What was not answered is not sent again by itself: the test has to know.
        return self.registry.client(attempts=1)

    def play(self, moment: Moment) -> None:
        """Kill the victim at the moment, start it again, and look at what is there."""
        number = self.tally.moments
        callers = [moment.kind(self.client, SEED + number * CALLERS + each) for each in range(CALLERS)]
        for caller in callers:
            caller.prepare()
        threads = [threading.Thread(target=caller.work) for caller in callers]
        follower = self._follow(number) if moment.kind.kind == Follower.kind else None
        for thread in threads:
            thread.start()
        for working in [*callers, *([follower] if follower else [])]:
            working.started.wait(60)
        time.sleep(moment.seconds)
        for caller in callers:
            caller.killed.set()
        self._kill(moment.victim, follower)
        for thread in threads:
            thread.join(120)
        self._start(moment.victim)
        self._look(moment, callers, follower)

    def _follow(self, number: int) -> Follower:
        return Follower(self.server, NAME, f"round-{number}", self.scratch / "follower.log")

    def _kill(self, victim: Victim, follower: Follower | None) -> None:
        if victim == "registry":
            self.registry.kill()
            if follower:
                follower.kill()
        else:
            self.server.kill()

    def _start(self, victim: Victim) -> None:
        if victim == "registry":
            self.registry.start()
        else:
            self.server.start()
        # A registry whose database was away comes back by itself.
        self.registry.wait()

    def _look(self, moment: Moment, callers: Sequence[Caller], follower: Follower | None) -> None:
        found: list[str] = []
        if follower:
            follower.end()
            found += follower.check(self.database)
        with self.client() as client:
            for caller in callers:
                found += [f"{caller.model}: {caller.failure!r}"] if caller.failure else []
                found += caller.check(client, self.database)
                found += caller.try_again(client)
                found += caller.check(client, self.database)
        with self.registry.client("admin") as admin:
            found += invariants.check(self.database, self.store, admin)
        self.callers += callers
        where = f"moment {self.tally.moments} ({moment.kind.kind}, {moment.victim} after {moment.seconds:.2f} s)"
        self.tally += Tally(
            moments=1,
            acknowledged=sum(caller.acknowledged for caller in callers) + (follower.acknowledged if follower else 0),
            cut_off=sum(caller.cut_off for caller in callers) + (follower.cut_off if follower else 0),
            problems=[f"{where}: {sentence}" for sentence in found],
        )

    def look_at_all(self) -> None:
        """Look once more for all that was ever acknowledged: later moments must not have taken it."""
        with self.client() as client:
            found = [sentence for caller in self.callers for sentence in caller.check(client, self.database)]
        self.tally += Tally(problems=[f"in the end: {sentence}" for sentence in found])


def run(moments: Sequence[Moment], kept: Kept, scratch: Path, say: Callable[[str], None] = lambda _: None) -> Tally:
    """Play the moments one after the other on servers of their own."""
    with open_rounds(kept, scratch) as rounds:
        for number, moment in enumerate(moments, start=1):
            rounds.play(moment)
            say(
                f"{number}/{len(moments)} {moment.kind.kind}, {moment.victim}: {rounds.tally.acknowledged} acknowledged"
            )
        rounds.look_at_all()
        return rounds.tally


@contextlib.contextmanager
def open_rounds(kept: Kept, scratch: Path) -> Iterator[Rounds]:
    """Start PostgreSQL, a store and the registry."""
    scratch.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(postgres.run())
        server.make_database(NAME)
        database = server.open(NAME)
        stack.callback(database.close)
        database.upgrade()
        settings = {
            "DATABASE": server.url(postgres.APPLICATION, NAME),
            "DATABASE_OWNER": server.url(postgres.OWNER, NAME),
            **_keep(kept, stack, scratch),
        }
        registry = registry_process.make(settings, scratch)
        stack.callback(registry.kill)
        registry.start()
        registry.wait()
        yield Rounds(server, registry, database)


def _keep(kept: Kept, stack: contextlib.ExitStack, scratch: Path) -> dict[str, str]:
    if kept == "folder":
        return {"ARTIFACTS": str(scratch / "artifacts")}
    folder = scratch / "s3"
    folder.mkdir()
    address = stack.enter_context(versitygw.run(folder)).address
    return {
        "ARTIFACTS": f"s3://{address.bucket}",
        "S3_ENDPOINT": address.endpoint,
        "S3_ACCESS_KEY": address.access_key,
        "S3_SECRET_KEY": address.secret_key,
        "S3_REGION": address.region,
    }


def _open_store(settings: Mapping[str, str]) -> Store:
    given = {name.lower(): value for name, value in settings.items()}
    identity = {"jwt_algorithm": "HS256", "jwt_secret": "0" * 64, "jwt_issuer": registry_process.ISSUER}
    return wiring.open_store(Settings.model_validate(given | identity))


NOTES = """
Crashes: callers of one kind ask for one change after the other and note each answer; then the registry's process, or the
database server with all its processes, gets SIGKILL and is started again. Half of the moments have their files in a folder,
half in versitygw. After each one, all that was acknowledged is looked for, what was cut off is held to be there wholly or
not at all and sent again, and rows and files, sums and rows, entries and changes are held against each other.
"""


def measure(quick: bool, scratch: Path) -> list[report.Figure]:
    """Play all moments, half on a folder and half on S3."""
    moments = plan(QUICK_MOMENTS if quick else MOMENTS)
    half = len(moments) // 2
    parts: list[tuple[Kept, list[Moment]]] = [("folder", moments[:half]), ("s3", moments[half:])]
    tally = Tally()
    for kept, part in parts:
        tally += run(part, kept, scratch / kept, lambda line: print(line, flush=True))
    for sentence in tally.problems:
        print(sentence, flush=True)
    killed = f"kill -9 at {tally.moments} moments: "
    return [
        report.Figure(
            f"{killed}acknowledged and lost, or half there", "0", str(len(tally.problems)), not tally.problems
        ),
        report.Figure(
            f"{killed}changes acknowledged, requests cut off", "-", f"{tally.acknowledged}, {tally.cut_off}", None
        ),
    ]
