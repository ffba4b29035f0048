"""gRPC's server reflection (v1 and v1alpha, whose messages are the same): clients find the services without files."""

from collections.abc import Callable
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2 as pb

from serin_services.server.rpc import calls, messages

NAMES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class Reflection:
    """Answers with the services' names and the files that describe them."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self._services = tuple(sorted((*services, *NAMES)))
        self._pool = descriptor_pool.Default()
        self._by_field: dict[str, Callable[[Any], Any]] = {
            "file_by_filename": lambda name: self._files(self._pool.FindFileByName(name)),
            "file_containing_symbol": lambda name: self._files(self._find(name)),
            "list_services": lambda _: self._list(),
        }

    def methods(self) -> dict[bytes, calls.Method]:
        """Give each call by its path."""
        return {f"/{name}/ServerReflectionInfo".encode(): calls.Conversation(self.respond) for name in NAMES}

    def respond(self, message: bytes) -> bytes:
        """Answer one question."""
        try:
            request = pb.ServerReflectionRequest.FromString(message)
        except DecodeError as error:
            raise messages.Failure(messages.Status.INVALID_ARGUMENT, "expected a ServerReflectionRequest") from error
        field = request.WhichOneof("message_request")
        answer = self._by_field.get(field)
        if answer is None:
            response = make_error(messages.Status.UNIMPLEMENTED, f"{field} is not answered here")
        else:
            try:
                response = answer(getattr(request, field))
            except KeyError:
                response = make_error(messages.Status.NOT_FOUND, f"nothing has this name: {getattr(request, field)}")
        response.valid_host = request.host
        response.original_request.CopyFrom(request)
        packed: bytes = response.SerializeToString()
        return packed

    def _find(self, name: str) -> Any:  # noqa: ANN401 - protobuf's descriptors
        """Find the file of a symbol; v1 is described by v1alpha's file, which says the same."""
        return self._pool.FindFileContainingSymbol(name.replace(NAMES[0], NAMES[1], 1))

    def _files(self, found: Any) -> Any:  # noqa: ANN401 - protobuf's descriptors
        files = [descriptor.serialized_pb for descriptor in with_dependencies(found, {}).values()]
        return pb.ServerReflectionResponse(
            file_descriptor_response=pb.FileDescriptorResponse(file_descriptor_proto=files)
        )

    def _list(self) -> Any:  # noqa: ANN401 - protobuf's messages
        services = [pb.ServiceResponse(name=name) for name in self._services]
        return pb.ServerReflectionResponse(list_services_response=pb.ListServiceResponse(service=services))


def with_dependencies(file: Any, seen: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - protobuf's descriptors
    """Give a file and all that it imports, each once."""
    seen[file.name] = file
    for dependency in file.dependencies:
        if dependency.name not in seen:
            with_dependencies(dependency, seen)
    return seen


def make_error(status: messages.Status, message: str) -> Any:  # noqa: ANN401 - protobuf's messages
    """Say why there is no answer."""
    return pb.ServerReflectionResponse(error_response=pb.ErrorResponse(error_code=status, error_message=message))
