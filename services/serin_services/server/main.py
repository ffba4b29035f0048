"""Runs the server in one process: HTTP and gRPC on one event loop, metrics beside them, BentoML behind them."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from typing import NoReturn

import uvloop

from serin_services.server import behind, listeners, runtime, settings, state
from serin_services.server.http import site

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
    application = behind.Behind(loaded)
    web = listeners.Web(site.make_site(options, loaded.state, loaded.model, application), listening)
    web.start()
    # What is loaded stays to the end: no collection need look at it again, which is most of the time that one takes.
    gc.collect()
    gc.freeze()
    loaded.state.serve()
    beside.grpc.tell(ready=True)
    await stop.wait()
    loaded.state.drain()
    beside.grpc.tell(ready=False)
    log.info("draining for %g s", options.drain_seconds)
    await asyncio.sleep(options.drain_seconds)
    await asyncio.gather(web.stop(options.drain_seconds), beside.stop(options.drain_seconds))
    await application.stop()
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
    web = listeners.Web(site.make_site(options, current, None), listening)
    web.start()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), options.refusal_seconds)
    await web.stop(0)
    return EXIT_REFUSED


def write_termination_message(options: settings.Settings, message: str) -> None:
    """Leave the message where the kubelet looks for it, where there is a kubelet."""
    try:
        if options.termination_log.exists():
            options.termination_log.write_bytes(message.encode()[:TERMINATION_BYTES])
    except OSError as error:
        log.warning("%s cannot be written: %s", options.termination_log, error.strerror)
