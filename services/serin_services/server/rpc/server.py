"""The gRPC server: its services on a port, its connections, and their end."""

import asyncio
import socket

from serin_services.server import inference, peers, settings, state
from serin_services.server.rpc import calls, connection, health, reflection, service

SERVICES = (service.NAME, health.NAME)


class Server:
    """Answers the inference protocol, health and reflection on one port."""

    def __init__(
        self, options: settings.Settings, current: state.State, model: inference.Inference, listening: socket.socket
    ) -> None:
        self._health = health.Health(("", service.NAME))
        parts = (
            service.InferenceService(current, model, options.deadline_seconds),
            self._health,
            reflection.Reflection(SERVICES),
        )
        methods = {path: method for part in parts for path, method in part.methods().items()}
        self._router = calls.Router(methods, service.head(model.manifest), options.max_body_bytes)
        self._read_seconds = options.read_seconds
        self._listening = listening
        self._peers = peers.Peers[connection.Connection]()
        self._listener: peers.Listener | None = None
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to answer, not yet healthy."""
        clock = asyncio.get_running_loop().time
        self._listener = peers.Listener(
            self._listening, lambda: connection.Connection(self._router.open, self._peers, clock())
        )
        self._sweeping = asyncio.create_task(self._sweep())

    def tell(self, *, ready: bool) -> None:
        """Set what the health service answers."""
        self._health.tell(ready=ready)

    async def stop(self, grace: float) -> None:
        """Take no new connections, let the clients finish for `grace` seconds, and close."""
        if self._listener is None or self._sweeping is None:
            return
        self._listener.close()
        self._sweeping.cancel()
        await self._peers.end(grace)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1)
            for peer in self._peers:
                peer.sweep(loop.time(), self._read_seconds)
