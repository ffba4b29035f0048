"""A steady replay of rows over HTTP and gRPC, as a crowd of clients would send them.

The schedule is fixed before the first request (open loop): a slow answer never delays the next request, and
latency counts from the moment a request was due, so a stall shows in every request that it would have hit.
Bodies are encoded once, before the replay, which keeps 300 requests/s well within one core.
"""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import aiohttp
import grpc

from serin.api import names
from serin_demo import ledger

HTTP = "http"
GRPC = "grpc"
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"

# A stop is noticed, and a late schedule caught up with, at least this often.
_LONGEST_NAP_SECONDS = 0.05
# Without retries a request that the gateway drops is seen, not repaired by the client; and the gateway is on this
# machine or in its network, wherever the environment's proxy is.
_CHANNEL_OPTIONS = [("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)]
# Of a failure, enough of the body to see who gave it and why.
_DETAIL_BYTES = 160


class ReplayError(Exception):
    """A replay could not begin, or broke while it ran, so that its counts end early."""


Check = Callable[[str, str | None, bytes], bool]
"""Given the protocol, the version that answered and the body: whether this version should have said that."""


def accept_anything(_protocol: str, _version: str | None, _body: bytes) -> bool:
    """Accept every successful answer, for a replay that only counts."""
    return True


@dataclass(frozen=True)
class Sample:
    """One row, encoded for both protocols, with the check of its answer."""

    http: bytes
    grpc: bytes = b""
    """A serialized `inference.ModelInferRequest`."""
    check: Check = accept_anything


@dataclass(frozen=True)
class Target:
    """Where the rows go: one model behind a gateway, reached over both protocols."""

    url: str
    """The whole URL of `predict`."""
    grpc_address: str = ""
    """host:port; empty when only HTTP is replayed."""
    model: str = ""
    """The value of the metadata `x-model`, by which the gateway finds the model of a gRPC request."""


@dataclass(frozen=True)
class Pace:
    """How much and in which mix."""

    rate: float
    """Requests a second, over both protocols together."""
    grpc_share: float = 0.5
    timeout: float = 5.0
    """Seconds until a client gives up on one request."""
    patience: float = 0.0
    """Seconds to wait, before the first request that counts, until each protocol gives a good answer; 0: do not."""

    def protocol(self, number: int) -> str:
        """Choose the protocol of the request with this number, evenly spread: every fourth for 0.25."""
        return GRPC if int((number + 1) * self.grpc_share) > int(number * self.grpc_share) else HTTP


@dataclass(frozen=True)
class Reply:
    """What came back for one request, before it is judged."""

    status: str
    success: bool
    version: str | None
    body: bytes = b""
    """The answer, or what was said instead of one."""


class Client(Protocol):
    """Sends one encoded row and waits for the answer; raises nothing that a network can cause."""

    async def send(self, sample: Sample) -> Reply:
        """Send the row."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class HttpClient:
    """Sends rows to `predict` as JSON."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=timeout),
            headers={"content-type": "application/json"},
        )

    async def send(self, sample: Sample) -> Reply:
        """Send the row."""
        try:
            async with self._session.post(self._url, data=sample.http) as response:
                body = await response.read()
                version = response.headers.get(names.VERSION_HEADER)
                return Reply(str(response.status), response.status == 200, version, body)
        except TimeoutError:
            return Reply("timeout", success=False, version=None)
        except aiohttp.ClientError as error:
            return Reply("disconnected", success=False, version=None, body=str(error).encode())

    async def close(self) -> None:
        """Let go of the connections."""
        await self._session.close()


class GrpcClient:
    """Sends rows to `ModelInfer`, already serialized: the replay needs no generated code."""

    def __init__(self, address: str, model: str, timeout: float) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._infer = self._channel.unary_unary(MODEL_INFER)
        self._metadata = ((names.MODEL_METADATA, model),)
        self._timeout = timeout

    async def send(self, sample: Sample) -> Reply:
        """Send the row."""
        call = self._infer(sample.grpc, metadata=self._metadata, timeout=self._timeout)
        try:
            body = await call
        except grpc.aio.AioRpcError as error:
            version = _version_in(error.initial_metadata()) or _version_in(error.trailing_metadata())
            said = (error.details() or "").encode()
            return Reply(error.code().name, success=False, version=version, body=said)
        version = _version_in(await call.initial_metadata()) or _version_in(await call.trailing_metadata())
        return Reply(grpc.StatusCode.OK.name, success=True, version=version, body=body)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._channel.close()


def _version_in(metadata: Iterable[tuple[str, str | bytes]] | None) -> str | None:
    """Find the version in gRPC metadata, which is None, or pairs of text and of bytes for keys on `-bin`."""
    value = dict(metadata or ()).get(names.VERSION_HEADER)
    return value if isinstance(value, str) else None


class Replay:
    """Replays the samples, over and over, until it is stopped; the ledger fills while it runs."""

    def __init__(self, target: Target, samples: Sequence[Sample], pace: Pace) -> None:
        if not samples:
            raise ValueError("a replay needs at least one sample")
        if pace.rate <= 0:
            raise ValueError(f"rate: expected more than 0 requests a second, got {pace.rate}")
        self.ledger = ledger.Ledger()
        self._target = target
        self._samples = samples
        self._pace = pace
        self._stopped = False

    def stop(self) -> None:
        """Send nothing more; `run` returns once the answers still due are in. Any thread may call it."""
        self._stopped = True

    async def run(self) -> None:
        """Send on schedule until stopped."""
        clients: dict[str, Client] = {HTTP: HttpClient(self._target.url, self._pace.timeout)}
        if self._pace.grpc_share > 0:
            clients[GRPC] = GrpcClient(self._target.grpc_address, self._target.model, self._pace.timeout)
        try:
            await self._wait_for_answers(clients)
            async with asyncio.TaskGroup() as tasks:
                await self._keep_schedule(tasks, clients)
        finally:
            for client in clients.values():
                await client.close()

    async def _wait_for_answers(self, clients: dict[str, Client]) -> None:
        """Ask until each protocol is answered: a gateway learns of a new route a moment after the route is there."""
        if self._pace.patience <= 0:
            return
        try:
            async with asyncio.timeout(self._pace.patience):
                for client in clients.values():
                    await self._wait_for_answer(client)
        except TimeoutError as error:
            problem = f"no good answer from {self._target.url} within {self._pace.patience:g} s"
            raise ReplayError(problem) from error

    async def _wait_for_answer(self, client: Client) -> None:
        while True:
            reply = await client.send(self._samples[0])
            if reply.success:
                return
            await asyncio.sleep(_LONGEST_NAP_SECONDS)

    async def _keep_schedule(self, tasks: asyncio.TaskGroup, clients: dict[str, Client]) -> None:
        clock = Clock()
        start = clock.now()
        for number, sample in enumerate(itertools.cycle(self._samples)):
            due = start + number / self._pace.rate
            if not await self._reached(due, clock):
                return
            protocol = self._pace.protocol(number)
            tasks.create_task(self._ask(clients[protocol], protocol, sample, due, clock))

    async def _reached(self, due: float, clock: "Clock") -> bool:
        while not self._stopped:
            wait = due - clock.now()
            if wait <= 0:
                return True
            await asyncio.sleep(min(wait, _LONGEST_NAP_SECONDS))
        return False

    async def _ask(self, client: Client, protocol: str, sample: Sample, due: float, clock: "Clock") -> None:
        sent = clock.now()
        reply = await client.send(sample)
        outcome = _judge(protocol, sample, reply)
        answer = ledger.Answer(
            protocol=protocol,
            scheduled=due,
            sent=sent,
            finished=clock.now(),
            status=reply.status,
            version=reply.version,
            outcome=outcome,
            detail="" if outcome is ledger.Outcome.OK else reply.body[:_DETAIL_BYTES].decode(errors="replace"),
        )
        self.ledger.record(answer)


def _judge(protocol: str, sample: Sample, reply: Reply) -> ledger.Outcome:
    if not reply.success:
        return ledger.Outcome.FAILED
    if not sample.check(protocol, reply.version, reply.body):
        return ledger.Outcome.WRONG
    return ledger.Outcome.OK


class Clock:
    """Unix time that never jumps: set once, then carried on by the monotonic clock."""

    def __init__(self) -> None:
        self._offset = time.time() - time.perf_counter()

    def now(self) -> float:
        """Return Unix seconds."""
        return self._offset + time.perf_counter()


class BackgroundReplay:
    """A replay in a thread of its own, for callers that block: `with BackgroundReplay(...) as replay:`."""

    def __init__(self, target: Target, samples: Sequence[Sample], pace: Pace) -> None:
        self._replay = Replay(target, samples, pace)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)

    @property
    def ledger(self) -> ledger.Ledger:
        """What was answered so far."""
        return self._replay.ledger

    @property
    def running(self) -> bool:
        """Whether requests are being sent: not before the start, after the end, or once the replay broke."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Send the first request now."""
        self._thread.start()

    def stop(self) -> None:
        """Stop and wait for the last answers.

        Raises:
            ReplayError: the replay itself broke.
        """
        self._replay.stop()
        if self._thread.ident is not None:
            self._thread.join()
        if self._failure is not None:
            raise ReplayError(f"the replay broke, and its counts end early: {self._failure!r}") from self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._replay.run())
        except BaseException as error:  # noqa: BLE001 -- handed to the thread that calls stop()
            self._failure = error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
