"""gRPC calls on HTTP/2 streams: messages in, messages and a status out, and the kinds of methods that answer."""

import asyncio
import dataclasses
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from serin_services.server.rpc import connection, headers, messages, streams

log = logging.getLogger("serin.server")

STATUS_200 = b"\x88"
CONTENT_TYPE = headers.literal(b"content-type", b"application/grpc")
HEAD = STATUS_200 + CONTENT_TYPE + headers.literal(b"grpc-accept-encoding", b"identity,deflate,gzip")
TRAILER_OK = headers.literal(b"grpc-status", b"0")
NO_GRPC = headers.literal(b":status", b"415") + headers.literal(b"content-type", b"application/grpc")
# Headers with it must fit into one frame.
MAX_STATUS_BYTES = 4096


class Method(Protocol):
    """Answers the calls of one path; an eager one sees each message when it comes, not only a whole request."""

    eager: bool

    def feed(self, call: "Call") -> None:
        """Look at what has come in.

        Raises:
            messages.Failure: the call ends with its status.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Router:
    """The methods by path, the headers that each answer carries, and how large a message may be in bytes."""

    methods: Mapping[bytes, Method]
    head: bytes
    most: int

    def open(self, link: connection.Connection, number: int, request: headers.Headers) -> "Call":
        """Make the call of a new stream."""
        return Call(self, link, number, request)


class Call(streams.Stream):
    """One call; `reply` holds header fields that its answer carries beside the server's own."""

    __slots__ = (
        "_body",
        "_link",
        "_method",
        "_router",
        "_started",
        "_task",
        "deadline",
        "headers",
        "on_cancel",
        "reply",
    )

    def __init__(self, router: Router, link: connection.Connection, number: int, request: headers.Headers) -> None:
        super().__init__(number, asyncio.get_running_loop().time())
        self.headers = request
        # On the event loop's clock.
        self.deadline = math.inf
        self.reply = b""
        self.on_cancel: Callable[[], None] | None = None
        self._router = router
        self._link = link
        self._method: Method | None = None
        self._body: bytes | bytearray = b""
        self._started = False
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Find the method and the time that the client gives."""
        fields = self.headers.by_name
        if fields.get(b"content-type", b"").startswith(b"application/grpc"):
            self._method = self._router.methods.get(fields[b":path"])
        if (timeout := fields.get(b"grpc-timeout")) is not None:
            try:
                self.deadline = self.opened + messages.read_timeout(timeout)
            except messages.Failure as failure:
                self.finish(failure.status, str(failure))

    def receive(self, data: bytes, *, ended: bool) -> None:
        """Keep data, and let the method look at it once there is enough."""
        if not self._body:
            self._body = data
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += data
        try:
            messages.check_size(len(self._body) - messages.PREFIX_BYTES, self._router.most)
            if self._method is None:
                if ended:
                    self._refuse()
            elif ended or self._method.eager:
                self._method.feed(self)
        except messages.Failure as failure:
            self.finish(failure.status, str(failure))
        except Exception:
            log.exception("a call of %r failed", self.headers.by_name.get(b":path"))
            self.finish(messages.Status.INTERNAL, "the call failed; the server's log tells more")

    def expire(self) -> None:
        """Give up on a request that does not come whole."""
        if self._method is not None and not self._method.eager:
            self.finish(messages.Status.DEADLINE_EXCEEDED, "the request did not come whole in time")

    def cancel(self) -> None:
        """Stop the work on an answer that nobody waits for."""
        if self._task is not None:
            self._task.cancel()
        if self.on_cancel is not None:
            self.on_cancel()

    def take(self) -> bytes | None:
        """Take the next message; nothing while there is no whole one."""
        found = messages.split(self._body, self._router.most)
        if found is None:
            return None
        end, compressed = found
        # By a view, since a slice of a bytearray would be a copy of its own.
        message = bytes(memoryview(self._body)[messages.PREFIX_BYTES : end])
        self._body = self._body[end:]
        if compressed:
            encoding = self.headers.by_name.get(b"grpc-encoding", b"identity")
            return messages.decompress(message, encoding, self._router.most)
        return message

    def take_only(self) -> bytes:
        """Take the one message of a request that has one."""
        message = self.take()
        if message is None or self._body:
            raise messages.Failure(messages.Status.UNIMPLEMENTED, "expected exactly one message in the request")
        return message

    def send(self, message: bytes) -> None:
        """Send one message of an answer that may have several."""
        self._link.sender.reply(self, self._head(), messages.pack(message), None)

    def answer(self, message: bytes) -> None:
        """Send the only message of an answer, and end the call."""
        self._link.sender.reply(self, self._head(), messages.pack(message), TRAILER_OK)

    def finish(self, status: messages.Status, message: str = "") -> None:
        """End the call."""
        trailer = TRAILER_OK
        if status is not messages.Status.OK:
            said = messages.quote_message(message)[:MAX_STATUS_BYTES]
            trailer = headers.literal(b"grpc-status", b"%d" % status) + headers.literal(b"grpc-message", said)
        self._link.sender.reply(self, self._head(), b"", trailer)

    def finish_later(self, message: Awaitable[bytes]) -> None:
        """Answer once the message is there."""
        self._task = asyncio.create_task(self._finish_later(message))

    async def _finish_later(self, message: Awaitable[bytes]) -> None:
        try:
            self.answer(await message)
        except messages.Failure as failure:
            self.finish(failure.status, str(failure))
        except Exception:
            log.exception("a call of %r failed", self.headers.by_name.get(b":path"))
            self.finish(messages.Status.INTERNAL, "the call failed; the server's log tells more")

    def _refuse(self) -> None:
        """Answer what is no gRPC in HTTP's terms, and another method in gRPC's."""
        fields = self.headers.by_name
        if not fields.get(b"content-type", b"").startswith(b"application/grpc"):
            self._link.sender.reply(self, b"", b"", NO_GRPC)
            return
        self.finish(messages.Status.UNIMPLEMENTED, f"no method {fields[b':path'].decode('latin-1')!r} here")

    def _head(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        return self._router.head + self.reply


class Unary:
    """A method with one message in and one out."""

    eager = False

    def __init__(self, respond: Callable[[Call, bytes], bytes | Awaitable[bytes]]) -> None:
        self._respond = respond

    def feed(self, call: Call) -> None:
        """Answer at once where that is possible."""
        answer = self._respond(call, call.take_only())
        if isinstance(answer, bytes):
            call.answer(answer)
        else:
            call.finish_later(answer)


class ServerStreaming:
    """A method with one message in and several out, sent whenever there is one."""

    eager = False

    def __init__(self, begin: Callable[[Call, bytes], None]) -> None:
        self._begin = begin

    def feed(self, call: Call) -> None:
        """Hand on the call, which stays open."""
        self._begin(call, call.take_only())


class Conversation:
    """A method that answers each message with one, in their order, until the client ends the call."""

    eager = True

    def __init__(self, respond: Callable[[bytes], bytes]) -> None:
        self._respond = respond

    def feed(self, call: Call) -> None:
        """Answer the messages that are whole."""
        while (message := call.take()) is not None:
            call.send(self._respond(message))
        if call.half_closed:
            call.finish(messages.Status.OK)
