"""Clients of the registry that remember what was acknowledged to them, and what was on its way when the answer did not come.

Each kind asks for one sort of change until nothing answers any more. Afterwards it says what does not hold: of what was
acknowledged all must be there, of what was on its way all or nothing; and sent again, it must be there once.
"""

import abc
import collections
import hashlib
import io
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from serin_services.registry import errors
from serin_services.registry.client import Client
from serin_services.registry.client.transport import quote
from serin_services.registry.core.access import SYSTEM
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database

# Large enough that most kills hit an upload in its midst.
UPLOAD_BYTES = 6 * 1024 * 1024
BATCH = 200
# How the registry answers what it did not expect.
UNKNOWN = "the request failed"
# Moves that a caller may ask for, round and round.
CYCLE = ("TRAINING", "TESTING", "DRAFT")


class Caller(abc.ABC):
    """One client, with a model of its own."""

    def __init__(self, make_client: Callable[[], Client], seed: int) -> None:
        self.make_client = make_client
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.model = f"{self.kind}-{uuid.UUID(int=self.chance.getrandbits(128)).hex[:12]}"
        self.acknowledged = 0
        # Set before the victim is killed: an answer that is missing earlier has another reason.
        self.killed = threading.Event()
        # Whether an answer was missing.
        self.cut_off = False
        self.failure: Exception | None = None
        self.started = threading.Event()

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """What it asks for."""

    def prepare(self) -> None:
        """Make what the requests are about."""
        with self.make_client() as client:
            client.create_model(self.model)

    def work(self) -> None:
        """Ask until nothing answers."""
        try:
            with self.make_client() as client:
                while True:
                    self.step(client)
                    self.started.set()
        except errors.UnavailableError as error:
            self.cut_off = True
            # A registry whose database is away says so (503); what it does not know (500) is a fault of its own.
            if not self.killed.is_set() or error.message.startswith(UNKNOWN):
                self.failure = error
        except Exception as error:  # noqa: BLE001 - it is shown, with what else does not hold
            self.failure = error
        finally:
            self.started.set()

    @abc.abstractmethod
    def step(self, client: Client) -> None:
        """Ask for the next change, and remember that it was acknowledged."""

    @abc.abstractmethod
    def check(self, client: Client, database: Database) -> Iterator[str]:
        """Say what does not hold."""

    def try_again(self, client: Client) -> Iterator[str]:
        """Send what was not acknowledged once more, and say what does not hold then."""
        try:
            yield from self.send_again(client)
        except errors.RegistryError as error:
            yield f"{self.model}: what was cut off and sent again was refused: {error.message}"

    @abc.abstractmethod
    def send_again(self, client: Client) -> Iterator[str]:
        """Send it, and say what is wrong with the answer."""


class Uploads(Caller):
    """Registers versions and uploads their models."""

    kind = "upload"

    def __init__(self, make_client: Callable[[], Client], seed: int) -> None:
        super().__init__(make_client, seed)
        self.count = 0
        self.registered: dict[int, str] = {}
        self.digests: dict[str, str] = {}
        self.registering: tuple[str, dict[str, Any]] | None = None
        self.uploading: tuple[str, bytes] | None = None

    def step(self, client: Client) -> None:
        self.count += 1
        body = {"family": "xgboost", "hyperparameters": {"seed": self.count}, "labels": {"count": str(self.count)}}
        self.registering = (uuid.UUID(int=self.chance.getrandbits(128)).hex, body)
        self._register(client)
        self.uploading = (self.registered[self.count], self.chance.randbytes(UPLOAD_BYTES))
        self._upload(client)

    def _register(self, client: Client) -> None:
        if self.registering:
            key, body = self.registering
            self.registered[int(body["labels"]["count"])] = client.register(self.model, body, key=key).version
            self.registering = None
            self.acknowledged += 1

    def _upload(self, client: Client) -> None:
        if self.uploading:
            version, content = self.uploading
            client.upload(self.model, version, "model", io.BytesIO(content))
            self.digests[version] = hashlib.sha256(content).hexdigest()
            self.uploading = None
            self.acknowledged += 1

    def check(self, client: Client, database: Database) -> Iterator[str]:  # noqa: ARG002 - others ask it
        there = {version.version: version for version in client.versions(self.model)}
        for version in self.registered.values():
            if version not in there:
                yield f"{self.model} {version} was registered and is not there"
        counts = collections.Counter(version.labels["count"] for version in there.values())
        yield from (
            f"{self.model}: what was sent once is there {number} times" for number in counts.values() if number > 1
        )
        for version in there.values():
            yield from self._check_files(client, version)

    def _check_files(self, client: Client, version: Any) -> Iterator[str]:
        digest = self.digests.get(version.version)
        names = [artifact.name for artifact in client.artifacts(self.model, version.version)]
        if digest and names != ["model"]:
            yield f"{self.model} {version.version}: the model was uploaded, and its files are {names}"
        if bool(version.artifact_sha256) != bool(names):
            yield f"{self.model} {version.version}: the digest is {version.artifact_sha256!r} and the files are {names}"
        if names:
            read = hashlib.sha256(b"".join(client.read(self.model, version.version, "model"))).hexdigest()
            if read not in {digest or read, version.artifact_sha256}:
                yield f"{self.model} {version.version}: the model is not what was uploaded"

    def send_again(self, client: Client) -> Iterator[str]:
        self._register(client)
        self._upload(client)
        yield from ()


class Moves(Caller):
    """Moves a version through its lifecycle."""

    kind = "transition"

    def __init__(self, make_client: Callable[[], Client], seed: int) -> None:
        super().__init__(make_client, seed)
        self.version = ""
        self.moves: list[tuple[str, str]] = []
        self.moving: tuple[str, str] | None = None

    def prepare(self) -> None:
        super().prepare()
        with self.make_client() as client:
            self.version = client.register(self.model, {"family": "xgboost"}).version

    def step(self, client: Client) -> None:
        self.moving = (CYCLE[len(self.moves) % len(CYCLE)], f"move {len(self.moves)}")
        self._move(client)

    def _move(self, client: Client) -> None:
        if self.moving:
            client.move(self.model, self.version, *self.moving)
            self.moves.append(self.moving)
            self.moving = None
            self.acknowledged += 1

    def check(self, client: Client, database: Database) -> Iterator[str]:  # noqa: ARG002 - others ask it
        there = [(str(each.target), each.why) for each in client.transitions(self.model, self.version)][::-1]
        with_last = [*self.moves, self.moving] if self.moving else self.moves
        if there not in (self.moves, with_last):
            yield f"{self.model}: {len(self.moves)} moves were acknowledged, and there are {there[-3:]} of {len(there)}"
        stage = str(client.version(self.model, self.version).stage)
        if stage != (there[-1][0] if there else "DRAFT"):
            yield f"{self.model}: the last move is {there[-1:]}, and the version is in {stage}"
        if self.moving and there == with_last:
            self.moves, self.moving = there, None

    def send_again(self, client: Client) -> Iterator[str]:
        self._move(client)
        yield from ()


class Batches(Caller):
    """Sends predictions and what came of them."""

    kind = "ingest"

    def __init__(self, make_client: Callable[[], Client], seed: int) -> None:
        super().__init__(make_client, seed)
        self.version = ""
        self.count = 0
        self.sent: dict[str, set[str]] = {"predictions": set(), "outcomes": set()}
        self.sending: tuple[str, list[dict[str, Any]]] | None = None

    def prepare(self) -> None:
        super().prepare()
        with self.make_client() as client:
            self.version = client.register(self.model, {"family": "xgboost"}).version

    def step(self, client: Client) -> None:
        self.count += 1
        now = datetime.now(UTC).isoformat()
        rows = [{"model": self.model, "id": f"{self.count}-{each}", "at": now} for each in range(BATCH)]
        predictions = [{**row, "version": self.version, "label": self._label(), "seconds": 0.01} for row in rows]
        outcomes = [{**row, "label": self._label()} for row in rows]
        # Either may be first.
        halves = [("predictions", predictions), ("outcomes", outcomes)]
        for half in halves if self.chance.random() < 0.5 else halves[::-1]:
            self.sending = half
            self._send(client)

    def _label(self) -> str:
        return self.chance.choice(("BUY", "SELL", "HOLD"))

    def _send(self, client: Client) -> int:
        what, rows = self.sending or ("predictions", [])
        receipt = client.ask("POST", quote(what), body={what: rows})
        self.sent[what] |= {row["id"] for row in rows}
        self.sending = None
        self.acknowledged += 1
        return int(receipt["taken"] + receipt["doubled"])

    def check(self, client: Client, database: Database) -> Iterator[str]:  # noqa: ARG002 - others ask it
        pending = {row["id"] for row in self.sending[1]} if self.sending else set()
        with database.open(SYSTEM) as session:
            model = session.scalars(sa.select(tables.Model).where(tables.Model.name == self.model)).one()
            for what, table in (("predictions", tables.Prediction), ("outcomes", tables.Outcome)):
                there = set(session.scalars(sa.select(table.id).where(table.model_id == model.id)))
                allowed = pending if self.sending and self.sending[0] == what else set()
                if lost := self.sent[what] - there:
                    yield f"{self.model}: {len(lost)} {what} were acknowledged and are not there"
                if there - self.sent[what] not in (set(), allowed):
                    yield f"{self.model}: {len(there - self.sent[what])} of {len(allowed)} {what} of a batch are there"

    def send_again(self, client: Client) -> Iterator[str]:
        if self.sending and (taken := self._send(client)) != BATCH:
            yield f"{self.model}: of {BATCH} rows that were sent again {taken} were taken or there"


KINDS: tuple[type[Caller], ...] = (Uploads, Moves, Batches)
