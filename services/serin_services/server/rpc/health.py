"""gRPC's health service (grpc.health.v1): it says the same as /readyz, to who asks and to who watches."""

from grpc_health.v1 import health_pb2 as pb

from serin_services.server.rpc import calls, messages

NAME = "grpc.health.v1.Health"
Status = pb.HealthCheckResponse


class Health:
    """The state of each service by name; all of them change together."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self._services = frozenset(services)
        self._status: int = Status.NOT_SERVING
        self._watching: set[calls.Call] = set()

    def methods(self) -> dict[bytes, calls.Method]:
        """Give each call by its path."""
        return {
            f"/{NAME}/Check".encode(): calls.Unary(self._check),
            f"/{NAME}/Watch".encode(): calls.ServerStreaming(self._watch),
        }

    def tell(self, *, ready: bool) -> None:
        """Set what is answered, and tell who watches."""
        self._status = Status.SERVING if ready else Status.NOT_SERVING
        for call in list(self._watching):
            call.send(pack(self._status))

    def _check(self, _call: calls.Call, message: bytes) -> bytes:
        if read(message) not in self._services:
            raise messages.Failure(messages.Status.NOT_FOUND, f"expected one of {sorted(self._services)}")
        return pack(self._status)

    def _watch(self, call: calls.Call, message: bytes) -> None:
        """Send the state now and at each change; of an unknown service, that it is unknown."""
        if read(message) not in self._services:
            call.send(pack(Status.SERVICE_UNKNOWN))
            return
        call.on_cancel = lambda: self._watching.discard(call)
        self._watching.add(call)
        call.send(pack(self._status))


def read(message: bytes) -> str:
    """Give the service that is asked for."""
    try:
        service: str = pb.HealthCheckRequest.FromString(message).service
    except ValueError as error:
        raise messages.Failure(messages.Status.INVALID_ARGUMENT, "expected a HealthCheckRequest") from error
    return service


def pack(status: int) -> bytes:
    """Write an answer."""
    packed: bytes = Status(status=status).SerializeToString()
    return packed
