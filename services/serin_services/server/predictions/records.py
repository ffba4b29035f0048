"""What the log keeps of one answered request, and which requests it keeps."""

import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Headers = Sequence[tuple[str | bytes, str | bytes]]

# A record's own objects beside the numbers: the arrays' heads, lists, id and headers; measured with tracemalloc.
OVERHEAD_BYTES = 1500
# crc32 alone is linear, so the ids of a counter would not spread; a multiplication (Knuth's) and its upper bits do.
MIXER = 2654435761
RANGE = 1 << 32


class Record(msgspec.Struct, frozen=True, gc=False):
    """One answered request, as it lay in memory: nothing of it is put into words before the writer's thread does.

    `time` is the answer's, in seconds since 1970; `seconds` lie between the request's arrival and its answer. `chosen`
    and `confidences` are empty unless the model classifies. Nobody may write to the arrays afterwards.
    """

    id: bytes
    protocol: str
    time: float
    seconds: float
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    chosen: Sequence[int] = ()
    confidences: Sequence[float] = ()
    headers: Headers = ()

    @property
    def rows(self) -> int:
        """The number of predictions."""
        return len(self.inputs[0])

    @property
    def size(self) -> int:
        """About how many bytes it holds in memory."""
        total = OVERHEAD_BYTES + 64 * len(self.chosen)
        for array in self.inputs:
            total += array.nbytes
        for array in self.outputs:
            total += array.nbytes
        return total


def sample_limit(share: float) -> int:
    """Give the bound below which a request's number must lie, for a share of requests from 0 to 1."""
    return round(share * RANGE)


def sample_number(request_id: bytes) -> int:
    """Give a request's number from 0 to 2³² - 1.

    It is made of the id alone, so that both protocols, all replicas, and a candidate beside its stable version on
    mirrored traffic choose the same requests.
    """
    return (zlib.crc32(request_id) * MIXER & 0xFFFFFFFFFFFFFFFF) >> 16 & 0xFFFFFFFF


def plain(values: Array) -> Any:  # noqa: ANN401 - lists in lists, or a number
    """Give an array as lists that JSON can carry: NaN becomes null, and infinities get the names of protobuf's JSON."""
    if values.dtype.kind != "f" or not np.isinf(values).any():
        return values.tolist()
    named = values.astype(object)
    named[values == np.inf] = "Infinity"
    named[values == -np.inf] = "-Infinity"
    return named.tolist()
