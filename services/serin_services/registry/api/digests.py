"""The digest of a body, as its sender declares it: `Repr-Digest` or `Content-Digest` (RFC 9530) with sha-256."""

import base64
import binascii
import re

from starlette.datastructures import Headers

from serin_services.registry import errors
from serin_services.registry.api.problems import RequestError

# Without a coding of the content both say the same.
HEADERS = ("Repr-Digest", "Content-Digest")
_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):\s*(?=$|,|;)")


def read(headers: Headers) -> str:
    """Give the declared sha256 in hexadecimal.

    Raises:
        RequestError: 415, the body is coded.
        errors.InvalidError: there is none, or there are two that differ.
    """
    if headers.get("content-encoding", "identity") != "identity":
        raise RequestError(415, "expected a body without Content-Encoding: what is stored is what is sent")
    found = {_decode(value) for name in HEADERS if (value := headers.get(name)) is not None}
    if len(found) != 1 or "" in found:
        message = f"expected {' or '.join(HEADERS)} with sha-256=:…: (base64), the same where both are there"
        raise errors.InvalidError(message, errors.Fault(HEADERS[0], message))
    return found.pop()


def write(sha256: str) -> str:
    """Give a digest as a header's value."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def _decode(value: str) -> str:
    found = _SHA256.search(value)
    try:
        return base64.b64decode(found[1], validate=True).hex() if found else ""
    except binascii.Error:
        return ""
