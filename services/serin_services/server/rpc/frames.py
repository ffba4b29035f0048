"""HTTP/2 frames (RFC 9113, section 6): their numbers, how one is written, and what a fault in one ends."""

import enum
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Length in 24 bits (8 and 16), type, flags, stream.
HEAD = struct.Struct(">BHBBL")
HEAD_BYTES = HEAD.size
STREAM_MASK = 0x7FFFFFFF
PRIORITY_BYTES = 5
LARGEST_WINDOW = 0x7FFFFFFF

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

# Flags; ACK and END_STREAM share a bit, since no frame has both.
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

# Settings that are sent or read.
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW, MAX_FRAME, MAX_HEADER_LIST = range(1, 7)
DEFAULT_WINDOW = 65_535
DEFAULT_FRAME = 16_384
LARGEST_FRAME = 0xFFFFFF


class Code(enum.IntEnum):
    """Why a stream or a connection ends (RFC 9113, section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class ConnectionFault(Exception):  # noqa: N818 - the peer is at fault, not the server
    """What the peer sent ends the whole connection, because nothing after it can be understood or trusted."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


def pack(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Write one frame."""
    size = len(payload)
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def pack_number(kind: int, stream: int, number: int) -> bytes:
    """Write a frame whose payload is one number of four bytes: a window's growth, or why a stream ends."""
    return pack(kind, 0, stream, number.to_bytes(4, "big"))


def pack_settings(settings: dict[int, int]) -> bytes:
    """Write the settings that a connection begins with."""
    return pack(SETTINGS, 0, 0, b"".join(struct.pack(">HL", key, value) for key, value in settings.items()))


def pack_goaway(last_stream: int, code: Code, message: str = "") -> bytes:
    """Write that no stream after the last one will be answered, and why."""
    return pack(GOAWAY, 0, 0, struct.pack(">LL", last_stream, code) + message.encode())


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Read the peer's settings; those that are unknown are to be ignored.

    Raises:
        ConnectionFault: a length or a value is not allowed.
    """
    if len(payload) % 6:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "SETTINGS: expected entries of 6 bytes")
    settings = list(struct.iter_unpack(">HL", payload))
    for key, value in settings:
        if key == INITIAL_WINDOW and value > LARGEST_WINDOW:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "SETTINGS: the initial window is too large")
        if key == MAX_FRAME and not DEFAULT_FRAME <= value <= LARGEST_FRAME:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "SETTINGS: the frame size is out of its range")
        if key == ENABLE_PUSH and value > 1:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "SETTINGS: push is 0 or 1")
    return settings


def read_number(payload: bytes) -> int:
    """Read a payload of one number.

    Raises:
        ConnectionFault: it is not four bytes.
    """
    if len(payload) != 4:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "expected a payload of 4 bytes")
    return int.from_bytes(payload, "big")


def strip(flags: int, payload: bytes) -> bytes:
    """Take the padding off a DATA or HEADERS payload.

    Raises:
        ConnectionFault: there is more padding than payload.
    """
    if not flags & PADDED:
        return payload
    end = len(payload) - payload[0] if payload else 0
    if end < 1:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "more padding than payload")
    return payload[1:end]


def strip_headers(flags: int, stream: int, payload: bytes) -> bytes:
    """Take padding and priority off a HEADERS payload.

    Raises:
        ConnectionFault: there is more of them than payload, or the stream depends on itself.
    """
    payload = strip(flags, payload)
    if flags & HAS_PRIORITY:
        check_priority(stream, payload[:PRIORITY_BYTES])
        payload = payload[PRIORITY_BYTES:]
    return payload


def check_priority(stream: int, payload: bytes) -> None:
    """Look at a priority, which is not followed (RFC 9113, section 5.3.2).

    Raises:
        ConnectionFault: it has another size, or makes a stream depend on itself.
    """
    if len(payload) != PRIORITY_BYTES:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"priority: expected {PRIORITY_BYTES} bytes")
    if stream in {0, int.from_bytes(payload[:4], "big") & STREAM_MASK}:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "priority: a stream depends on itself, or there is none")
