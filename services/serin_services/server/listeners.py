"""What listens: HTTP, and beside it gRPC and, on a port that no route reaches, the metrics."""

import asyncio
import dataclasses
import socket
from typing import Any

import prometheus_client

from serin_services.server import inference, peers, settings, state
from serin_services.server.http import connection
from serin_services.server.rpc import server as rpc


@dataclasses.dataclass
class Listeners:
    """The running gRPC server and the thread that answers scrapes."""

    grpc: rpc.Server
    scrapes: Any
    beating: "asyncio.Task[None]"

    async def stop(self, grace: float) -> None:
        """Stop both; calls that run get `grace` seconds."""
        await self.grpc.stop(grace)
        self.beating.cancel()
        self.scrapes.shutdown()
        self.scrapes.server_close()


async def start(options: settings.Settings, current: state.State, model: inference.Inference) -> Listeners:
    """Start both; gRPC's health says not serving until it is told."""
    # They would add a series to each counter that nothing reads.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # the library leaves it so
    scrapes, _ = prometheus_client.start_http_server(options.metrics_port, options.host, model.telemetry.registry)
    server = rpc.Server(options, current, model, open_socket(options.host, options.grpc_port))
    server.start()
    return Listeners(server, scrapes, asyncio.create_task(model.door.beat()))


class Web:
    """The HTTP port with its connections."""

    def __init__(self, site: connection.Site, listening: socket.socket) -> None:
        self._site = site
        self._listening = listening
        self._listener: peers.Listener | None = None

    def start(self) -> None:
        """Begin to answer."""
        self._listener = peers.Listener(self._listening, lambda: connection.Connection(self._site))

    async def stop(self, grace: float) -> None:
        """Take no new connections and give those that are open `grace` seconds to finish."""
        if self._listener is not None:
            self._listener.close()
            await self._site.connections.end(grace)


def open_socket(host: str, port: int) -> socket.socket:
    """Listen on a port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=peers.BACKLOG)
