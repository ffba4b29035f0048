"""What a request says of itself besides its tensors, the same in both protocols: its id, its time and its trace."""

import itertools
import os
import re
from collections.abc import Mapping

REQUEST_ID = b"x-request-id"
ACCEPTED_ID = re.compile(rb"[\x21-\x7e]{1,128}")
# W3C's name for the trace that an answer is part of.
TRACE_RESPONSE = b"traceresponse"
TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
SECONDS_PER_UNIT = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
TIMEOUT_FORM = "8 digits and one of H, M, S, m, u, n"


class Ids:
    """Makes request ids: the process's own random part and a count, since asking for chance each time costs more.

    64 random bits let no two processes meet, so that what is logged under an id stays one request's.
    """

    def __init__(self) -> None:
        self._prefix = os.urandom(8).hex().encode()
        self._count = itertools.count(1)

    def make(self) -> bytes:
        """Give an id that no other request has."""
        return b"%b%08x" % (self._prefix, next(self._count))


def accept_id(given: bytes | None) -> bytes | None:
    """Take an id that a client gave, where it is acceptable."""
    return given if given is not None and ACCEPTED_ID.fullmatch(given) else None


def given_id(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Take the request's id from its headers, where it is acceptable."""
    return accept_id(headers.get(REQUEST_ID))


def read_timeout(value: bytes) -> float | None:
    """Read gRPC's form of a time, `100m` for a tenth of a second (PROTOCOL-HTTP2.md); gives seconds, or none if malformed."""
    match = TIMEOUT.fullmatch(value)
    return int(match[1]) * SECONDS_PER_UNIT[match[2]] if match else None
