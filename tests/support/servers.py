"""Small real HTTP servers for tests: what they are asked is kept, what they answer is given."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Served:
    """A running server and the requests that it got."""

    url: str = ""
    requests: list[web.Request] = field(default_factory=list)


@contextlib.asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[Served]:
    """Answer every request of every path by a handler, on a free port of this machine."""
    served = Served()

    async def answer(request: web.Request) -> web.StreamResponse:
        served.requests.append(request)
        await request.read()
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.url = str(site.name)
    try:
        yield served
    finally:
        await runner.cleanup()
