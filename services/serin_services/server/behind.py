"""BentoML behind the server: made when it is first asked, because most servers are never asked anything but ours.

Its start takes half a second of a processor and 40 MB. Predictions and probes go on meanwhile: the modules are loaded
on a thread.
"""

import asyncio
import logging
import os

from serin_services.server import runtime
from serin_services.server.http import asgi

log = logging.getLogger("serin.server")


class Behind:
    """An ASGI application that answers what is left: BentoML's page, its schema, its clients' calls."""

    def __init__(self, loaded: runtime.Runtime) -> None:
        self._loaded = loaded
        self._making = asyncio.Lock()
        self._application: asgi.Application | None = None
        self._lifespan: Lifespan | None = None

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Start the application if need be, and hand on."""
        async with self._making:
            if self._application is None:
                application = await asyncio.to_thread(make_bento, self._loaded)
                self._lifespan = Lifespan(application)
                await self._lifespan.start()
                self._application = application
        await self._application(scope, receive, send)

    async def stop(self) -> None:
        """Stop the application if it was ever started."""
        if self._lifespan is not None:
            await self._lifespan.stop()


class Lifespan:
    """Starts and stops an ASGI application in a server that is not ASGI's (its specification, "Lifespan")."""

    def __init__(self, application: asgi.Application) -> None:
        self._application = application
        self._told: asyncio.Queue[asgi.Message] = asyncio.Queue()
        self._said: asyncio.Queue[asgi.Message] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it.

        Raises:
            RuntimeError: it could not start.
        """
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        self._running = asyncio.create_task(self._application(scope, self._told.get, self._said.put))  # type: ignore[arg-type] # any awaitable
        await self._tell(self._running, "startup")

    async def stop(self) -> None:
        """Stop it."""
        if self._running is not None and not self._running.done():
            await self._tell(self._running, "shutdown")
            await self._running

    async def _tell(self, running: "asyncio.Task[None]", what: str) -> None:
        await self._told.put({"type": f"lifespan.{what}"})
        answer = asyncio.create_task(self._said.get())
        await asyncio.wait({answer, running}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() or answer.result()["type"] != f"lifespan.{what}.complete":
            answer.cancel()
            raise RuntimeError(f"the application behind failed at {what}; its log lines above say why")


def make_bento(loaded: runtime.Runtime) -> asgi.Application:
    """Make BentoML's application for a model that is loaded already."""
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "1")
    from serin_services.server import bento  # noqa: PLC0415 - reads the environment when it is imported

    bento.shared.append(loaded)
    application: asgi.Application = bento.service.to_asgi()
    return application
