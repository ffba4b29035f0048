"""Runs the server in one process: HTTP and gRPC on one event loop, metrics beside them, BentoML behind them."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import NoReturn

import uvicorn
import uvloop

from serin_services.server import listeners, runtime, settings, state
from serin_services.server.http import asgi, connection, site

log = logging.getLogger("serin.server")

# sysexits' EX_CONFIG: started again with the same package, it would end the same way.
EXIT_REFUSED = 78
EXIT_USAGE = 2
# The kubelet keeps no more of a termination message.
TERMINATION_BYTES = 4096


def serve(wrap: runtime.Wrap | None = None) -> NoReturn:
    """Serve the package of the environment's SERIN_PACKAGE until SIGTERM, and end the process.

    An image that adds something to the model, such as a cache or a log of inputs, starts with a module of its own that
    calls this with `wrap`: it is given the package's predictor and gives the one to serve with.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        options = settings.read()
        loaded = runtime.load(options, wrap)
    except ValueError as error:
        log.error("%s", error)  # noqa: TRY400 - a wrong setting needs no traceback
        sys.exit(EXIT_USAGE)
    sys.exit(uvloop.run(run(options, loaded)))


async def run(options: settings.Settings, loaded: runtime.Runtime) -> int:
    """Serve a loaded model, or say for a while why there is none; gives the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        # Before anything else is started, so that a port in use is found first.
        listening = listeners.open_socket(options.host, options.http_port)
        if loaded.model is None:
            return await refuse(options, loaded.state, listening, stop)
        beside = await listeners.start(options, loaded.state, loaded.model)
    except (OSError, RuntimeError) as error:
        ports = f"{options.http_port}, {options.grpc_port} and {options.metrics_port}"
        log.error("cannot listen on %s, ports %s: %s", options.host, ports, error)  # noqa: TRY400 - needs no traceback
        return 1
    behind = make_bento(loaded)
    web_server = make_web_server(options, site.make_site(options, loaded.state, loaded.model, behind), behind)
    serving = asyncio.create_task(web_server.serve(sockets=[listening]))
    loaded.state.serve()
    beside.grpc.tell(ready=True)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        log.error("the HTTP server ended by itself; BentoML's log lines above say why")
        await beside.stop(0)
        return 1
    loaded.state.drain()
    beside.grpc.tell(ready=False)
    log.info("draining for %g s", options.drain_seconds)
    await asyncio.wait({serving}, timeout=options.drain_seconds)
    web_server.should_exit = True
    await asyncio.gather(serving, beside.stop(options.drain_seconds))
    if loaded.model.watch is not None:
        await asyncio.to_thread(loaded.model.watch.close, max(1.0, options.drain_seconds))
    return 0


async def refuse(
    options: settings.Settings, current: state.State, listening: socket.socket, stop: asyncio.Event
) -> int:
    """Write why the package is refused to the termination log, let the probes say it for a while, and end.

    The kubelet puts the message into the pod's status only once the container has ended, so it must end; the back-off
    of its restarts then keeps the cost low while the reason stays in `lastState.terminated`.
    """
    write_termination_message(options, f"{current.reason}: {current.message}")
    web_server = make_web_server(options, site.make_site(options, current, None))
    serving = asyncio.create_task(web_server.serve(sockets=[listening]))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), options.refusal_seconds)
    web_server.should_exit = True
    await serving
    return EXIT_REFUSED


def write_termination_message(options: settings.Settings, message: str) -> None:
    """Leave the message where the kubelet looks for it, where there is a kubelet."""
    try:
        if options.termination_log.exists():
            options.termination_log.write_bytes(message.encode()[:TERMINATION_BYTES])
    except OSError as error:
        log.warning("%s cannot be written: %s", options.termination_log, error.strerror)


class WebServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: draining comes before its shutdown."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `run`."""
        yield


def make_web_server(
    options: settings.Settings, front: connection.Site, behind: asgi.Application | None = None
) -> WebServer:
    """Let uvicorn listen, run the lifespan of the application behind and end connections; the protocol is our own."""
    return WebServer(
        uvicorn.Config(
            behind or nothing,
            host=options.host,
            port=options.http_port,
            http=connection.make_protocol(front),  # type: ignore[arg-type] # makes protocols, as the class would
            loop="none",
            ws="none",
            lifespan="on" if behind else "off",
            access_log=False,
            log_config=None,
            log_level="warning",
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, int(options.drain_seconds)),
        )
    )


async def nothing(_scope: asgi.Scope, _receive: asgi.Receive, _send: asgi.Send) -> None:
    """Stand behind a server that has nothing behind it."""


def make_bento(loaded: runtime.Runtime) -> asgi.Application:
    """Make BentoML's application, which answers what is left: its page, its schema, its clients' calls."""
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "1")
    from serin_services.server import bento  # noqa: PLC0415 - reads the environment when it is imported

    bento.shared.append(loaded)
    application: asgi.Application = bento.service.to_asgi()
    return application
