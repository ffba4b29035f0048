"""The bytes of one connection to requests (RFC 9112), with limits on what one request may hold."""

from collections.abc import Callable

import httptools

from serin_services.server.http.messages import Request

# Request line and headers together, as most servers and gateways have it at least at half.
MAX_HEAD_BYTES = 65536


class Refused(Exception):  # noqa: N818 - the request is at fault
    """Ends the parsing of a request that is answered without being read to its end."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.answer = (status, reason, message)


class Parser:
    """Reads requests, one behind the other; httptools calls the `on_` methods.

    `accept` is given each request that is complete, and `invite` is called when a client waits to be asked for a body.
    """

    def __init__(self, max_body_bytes: int, accept: Callable[[Request], None], invite: Callable[[], None]) -> None:
        self._max_body_bytes = max_body_bytes
        self._accept = accept
        self._invite = invite
        self._parser = httptools.HttpRequestParser(self)
        # Whether a part of a request has arrived, and not yet the rest.
        self.mid_request = False
        self._in_head = True
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._size = 0
        # All bytes of the part that is being read, head or body.
        self._arrived = 0
        self._other_protocol = False

    def feed(self, data: bytes) -> None:
        """Take what came.

        Raises:
            Refused: it is no HTTP, or more than is accepted.
        """
        self._arrived += len(data)
        try:
            if self._other_protocol:
                self._take_rest(data)
            else:
                self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as found:
            self._take_rest(data[found.args[0] :])
        except httptools.HttpParserCallbackError as error:
            # So the parser hands on what its callbacks raise.
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            message = f"request: expected HTTP/1.1, got what is none: {error}"
            raise Refused(400, "InvalidRequest", message) from error
        if self.mid_request:
            self._check_size()

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._target = b""
        self._headers = {}
        self._body = []
        self._size = 0
        self._in_head = self.mid_request = True

    def on_url(self, url: bytes) -> None:
        """Take the target, which may come in pieces."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header; those behind a chunked body are not looked at."""
        if self._in_head:
            name = name.lower()
            headers = self._headers
            headers[name] = b"%b, %b" % (headers[name], value) if name in headers else value

    def on_headers_complete(self) -> None:
        """Refuse what needs no body to be refused, and let the client be asked for the body if it waits for that."""
        headers = self._headers
        self._in_head = False
        if self._arrived > MAX_HEAD_BYTES:
            size = len(self._target) + sum(len(name) + len(value) for name, value in headers.items())
            if size > MAX_HEAD_BYTES:
                raise too_large_head()
        self._arrived = 0
        if b"host" not in headers and self._parser.get_http_version() == "1.1":
            raise Refused(400, "InvalidRequest", "headers: expected Host, got none")
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._max_body_bytes:
            raise self._too_large_body(f"{int(length)}")
        expected = headers.get(b"expect")
        if expected is not None:
            if expected.lower() != b"100-continue":
                came = repr(expected[:40].decode("latin-1"))
                raise Refused(417, "ExpectationFailed", f"expect: expected 100-continue, got {came}")
            self._invite()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._size += len(body)
        if self._size > self._max_body_bytes:
            raise self._too_large_body("more")
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the request on."""
        if not self._parser.should_upgrade():
            self._complete(keep_alive=self._parser.should_keep_alive())

    def _complete(self, *, keep_alive: bool) -> None:
        self.mid_request = False
        self._arrived = 0
        parts = self._body
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._accept(Request(self._parser.get_method(), self._target, self._headers, body, keep_alive=keep_alive))

    def _take_rest(self, data: bytes) -> None:
        """Take the body of a request that asks for another protocol, which httptools leaves to whoever speaks that.

        None is spoken, so it is a request like others, and the last of its connection.
        """
        if b"transfer-encoding" in self._headers:
            message = "upgrade: expected no such header with a chunked body, got one"
            raise Refused(400, "InvalidRequest", message)
        self._other_protocol = self.mid_request = True
        missing = int(self._headers.get(b"content-length", b"0")) - self._size
        if data[:missing]:
            self.on_body(data[:missing])
        if len(data) >= missing:
            self._complete(keep_alive=False)

    def _check_size(self) -> None:
        """Refuse a head that does not end, and chunks that cost many times what they hold."""
        if self._in_head:
            if self._arrived > MAX_HEAD_BYTES:
                raise too_large_head()
        elif self._arrived > 2 * self._max_body_bytes + MAX_HEAD_BYTES:
            raise self._too_large_body("more")

    def _too_large_body(self, got: str) -> Refused:
        return Refused(413, "TooLarge", f"body: expected at most {self._max_body_bytes} bytes, got {got}")


def too_large_head() -> Refused:
    """Refuse a request line and headers that do not end."""
    return Refused(431, "TooLarge", f"headers: expected at most {MAX_HEAD_BYTES} bytes, got more")
