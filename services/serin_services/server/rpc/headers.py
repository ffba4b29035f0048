"""HTTP/2 header blocks (HPACK, RFC 7541), with a memory for the blocks that a client sends again and again."""

import dataclasses

import hpack

from serin_services.server.rpc import frames

# Of all names and values of one request, in bytes; gateways allow 60 KiB, gRPC's own servers 16.
MAX_HEADER_BYTES = 32 * 1024
# So many blocks of one connection are remembered, until the next one that changes the table.
REMEMBERED_BLOCKS = 64

Pairs = list[tuple[bytes, bytes]]


@dataclasses.dataclass(frozen=True, slots=True)
class Headers:
    """The headers of one request, in their order and by name; of a name that stands twice, the last counts."""

    pairs: Pairs
    by_name: dict[bytes, bytes]


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
        headers = Headers(pairs, dict(pairs))
        if self._table.changed or len(self._known) == REMEMBERED_BLOCKS:
            self._known.clear()
        if not self._table.changed:
            self._known[block] = headers
        return headers


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
