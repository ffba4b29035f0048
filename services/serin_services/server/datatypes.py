"""The Open Inference Protocol's names of what tensors hold, and numpy's: one table for both protocols."""

from typing import Any

import numpy as np

# By the protocol's name, little-endian as its binary forms are.
NUMPY: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
# What texts, such as labels, are answered as; no model takes them.
TEXT = "BYTES"

_NAMES = {dtype.newbyteorder("=").name: name for name, dtype in NUMPY.items()}


def name_of(dtype: str) -> str:
    """Give the protocol's name of a numpy dtype's name."""
    return _NAMES[dtype]
