"""Requests on a schedule that slow answers do not delay, over as many connections as that takes."""

import asyncio
import dataclasses
import re

STATUS = re.compile(rb"HTTP/1\.1 (\d+).*?content-length: (\d+)\r\n", re.DOTALL | re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One answer: when it was due and when it came, in seconds since the start; 0 stands for a lost connection."""

    due: float
    ended: float
    status: int
    head: bytes

    @property
    def seconds(self) -> float:
        return self.ended - self.due


class Client:
    """Keeps connections that are free for the next request."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, due: float, started: float) -> Outcome:
        """Send one request and wait for its answer."""
        clock = asyncio.get_running_loop().time
        try:
            link = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
            link[1].write(self._request)
            head = await link[0].readuntil(b"\r\n\r\n")
            found = STATUS.search(head)
            assert found, head
            await link[0].readexactly(int(found[2]))
        except (OSError, EOFError) as error:
            return Outcome(due, clock() - started, 0, repr(error).encode())
        self._free.append(link)
        return Outcome(due, clock() - started, int(found[1]), head.lower())

    def close(self) -> None:
        """Let go of every connection."""
        for _, writer in self._free:
            writer.close()


async def send(port: int, body: bytes, rate: float, seconds: float) -> list[Outcome]:
    """Ask for predictions at a rate, and give every outcome."""
    head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    client = Client(port, head.encode() + body)
    loop = asyncio.get_running_loop()
    started = loop.time()
    tasks = []
    for number in range(int(rate * seconds)):
        due = number / rate
        if (wait := started + due - loop.time()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(client.ask(due, started)))
    outcomes = await asyncio.gather(*tasks)
    client.close()
    return list(outcomes)
