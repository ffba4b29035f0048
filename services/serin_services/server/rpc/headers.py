"""HTTP/2 header blocks (HPACK, RFC 7541), with a memory for the blocks that a client sends again and again."""

import dataclasses
import re

import hpack

from serin_services.server.rpc import frames

# Of all names and values of one request, in bytes; gateways allow 60 KiB, gRPC's own servers 16.
MAX_HEADER_BYTES = 32 * 1024
# So many blocks of one connection are remembered, until the next one that changes the table.
REMEMBERED_BLOCKS = 64

MAX_LENGTH_DIGITS = 18
REQUIRED = frozenset({b":method", b":scheme", b":path"})
PSEUDO = REQUIRED | {b":authority"}
OF_CONNECTIONS = frozenset({b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
UNALLOWED = re.compile(rb"[A-Z\x00-\x20\x7f-\xff]|^$")
CONTROL = re.compile(rb"[\x00\r\n]")

Pairs = list[tuple[bytes, bytes]]


@dataclasses.dataclass(frozen=True, slots=True)
class Headers:
    """The headers of one request, in their order and by name; of a name that stands twice, the last counts.

    `fault` is what makes them none of a request, or empty; `length` is the body's, in bytes, or -1.
    """

    pairs: Pairs
    by_name: dict[bytes, bytes]
    fault: str
    length: int


class WatchedTable(hpack.table.HeaderTable):
    """A table that tells when it was changed, because the same bytes then mean something else."""

    changed = False

    def add(self, name: bytes, value: bytes) -> None:
        """Add an entry."""
        self.changed = True
        super().add(name, value)

    def _shrink(self) -> None:
        self.changed = True
        super()._shrink()


class Reader:
    """Reads the header blocks of one connection.

    A client's requests mostly differ in nothing but their bodies. Its blocks then are the same few bytes, which refer
    to the table and leave it as it is, and reading one again would cost more than the prediction.
    """

    def __init__(self) -> None:
        self._decoder = hpack.Decoder(MAX_HEADER_BYTES)
        self._table = self._decoder.header_table = WatchedTable()
        self._known: dict[bytes, Headers] = {}

    def read(self, block: bytes) -> Headers:
        """Give the headers of a block.

        Raises:
            frames.ConnectionFault: it cannot be read; the table is then unknown, so the connection must end.
        """
        if (known := self._known.get(block)) is not None:
            return known
        self._table.changed = False
        try:
            pairs = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except hpack.HPACKError as error:
            raise frames.ConnectionFault(frames.Code.COMPRESSION_ERROR, f"HEADERS: {error}") from error
        headers = make_headers(pairs)
        if self._table.changed or len(self._known) == REMEMBERED_BLOCKS:
            self._known.clear()
        if not self._table.changed:
            self._known[block] = headers
        return headers


def make_headers(pairs: Pairs) -> Headers:
    """Look at headers once, however often they come."""
    by_name = dict(pairs)
    length = by_name.get(b"content-length")
    if length is None:
        return Headers(pairs, by_name, find_fault(pairs), -1)
    if not length.isdigit() or len(length) > MAX_LENGTH_DIGITS:
        return Headers(pairs, by_name, "a content-length that is no number", -1)
    return Headers(pairs, by_name, find_fault(pairs), int(length))


def find_fault(pairs: Pairs) -> str:
    """Say why headers are not those of a request (RFC 9113, sections 8.2 and 8.3), or nothing."""
    names = [name for name, _ in pairs]
    pseudo = [name for name in names if name.startswith(b":")]
    if names[: len(pseudo)] != pseudo:
        return "a pseudo-header behind the others"
    if len(set(pseudo)) != len(pseudo) or not REQUIRED <= set(pseudo) <= PSEUDO:
        return "expected each of :method, :scheme and :path once"
    if not set(names).isdisjoint(OF_CONNECTIONS):
        return "a header of HTTP/1.1 connections"
    if any(UNALLOWED.search(name) or CONTROL.search(value) for name, value in pairs):
        return "a character that headers cannot hold"
    by_name = dict(pairs)
    if by_name.get(b"te", b"trailers") != b"trailers" or not by_name[b":path"]:
        return "an empty path, or another te than trailers"
    return ""


def literal(name: bytes, value: bytes) -> bytes:
    """Write one header that the peer need not remember, in plain bytes (RFC 7541, section 6.2.2)."""
    return b"\x00" + _length(name) + name + _length(value) + value


def _length(text: bytes) -> bytes:
    """Write a length as an integer with a prefix of 7 bits (RFC 7541, section 5.1)."""
    size = len(text)
    if size < 127:
        return bytes((size,))
    size -= 127
    rest = bytearray((127,))
    while size >= 128:
        rest.append(size & 127 | 128)
        size >>= 7
    rest.append(size)
    return bytes(rest)
