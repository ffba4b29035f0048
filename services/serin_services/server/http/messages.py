"""A request that has arrived in full, and the response to it: what connections and endpoints hand each other."""

import http
from collections.abc import Mapping

JSON = b"application/json"

STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus if status >= 200
}


class Request:
    """One request. Header names are in lower case; a header that came twice is joined by a comma, as RFC 9110 5.3 has it.

    `path` is decoded and without the query; `target` is what stood in the request line.
    """

    __slots__ = ("body", "headers", "keep_alive", "method", "target")

    def __init__(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], body: bytes, *, keep_alive: bool = True
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.keep_alive = keep_alive


class Response:
    """One response; the headers are those besides the content's type and length."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self, status: int, body: bytes, content_type: bytes = JSON, headers: Mapping[bytes, bytes] | None = None
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = dict(headers) if headers else {}
