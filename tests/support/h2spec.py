"""h2spec, which checks an HTTP/2 server against its RFCs: built from its pinned Go modules, and run on a port."""

import asyncio
import os
import re
import shutil
import tempfile
from pathlib import Path

from serin_local import layout, store
from serin_services.server import peers
from serin_services.server.rpc import connection, headers, streams

MODULE = Path(__file__).parent / "h2spec"
PROGRAM = "github.com/summerwind/h2spec/cmd/h2spec"
ADVICE = "check that Go is installed (`go version`) and reaches its modules (`go env GOPROXY`); then run it again"
SECONDS = 120
# A line of a case that failed: its mark is a multiplication sign.
FAILED = re.compile("^.*\u00d7 (\\d+: .*)$", re.MULTILINE)


class Hello(streams.Stream):
    """Answers any request with a few bytes, which is all that h2spec can ask for: it speaks no gRPC."""

    def __init__(self, link: connection.Connection, number: int, _request: headers.Headers) -> None:
        super().__init__(number, asyncio.get_running_loop().time())
        self._link = link

    def receive(self, _data: bytes, *, ended: bool) -> None:
        if ended:
            self._link.sender.reply(self, b"\x88", b"hello", headers.literal(b"end", b"1"))


def build() -> Path:
    """Give the program, built where it is not in the cache."""
    home = layout.default()

    def make(draft: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            source = shutil.copytree(MODULE, Path(scratch) / "source")
            argv = ["go", "build", "-mod=readonly", "-trimpath", "-o", str(draft / "h2spec"), PROGRAM]
            store.execute(home, "build h2spec", argv, ADVICE, cwd=source, env={**os.environ, "CGO_ENABLED": "0"})

    return store.ensure(home, "h2spec", store.make_key_of_files(MODULE.iterdir()), make) / "h2spec"


async def run(program: Path) -> str:
    """Check a server of our connections; gives what h2spec says."""
    loop = asyncio.get_running_loop()
    open_now: peers.Peers[connection.Connection] = peers.Peers()
    server = await loop.create_server(lambda: connection.Connection(Hello, open_now, loop.time()), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    argv = ["--host", "127.0.0.1", "--port", str(port), "--timeout", "2"]
    process = await asyncio.create_subprocess_exec(program, *argv, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(SECONDS):
        said, _ = await process.communicate()
    server.close()
    await open_now.end(0)
    return said.decode()


def failures(said: str) -> set[str]:
    """Give the cases that failed, each by its number and sentence."""
    return set(FAILED.findall(said))
