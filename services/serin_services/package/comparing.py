"""How far one form of a model is from another."""

import numpy as np

from serin_services.package.families import base

# Beyond this, it is another model.
MAX_DIFFERENCE = 1e-4


def largest_difference(expected: tuple[base.Array, ...], came: tuple[base.Array, ...]) -> float:
    """Give the largest difference of any number: absolute up to 1, and relative to what is expected beyond.

    A float32 has 7 digits, so a large number cannot be as near as a probability. A NaN where none is expected, or the
    other way round, is infinitely far.
    """
    largest = 0.0
    for one, other in zip(expected, came, strict=True):
        if one.shape != other.shape:
            return float("inf")
        wanted, got = one.astype(np.float64), other.astype(np.float64)
        with np.errstate(invalid="ignore"):
            distance = np.abs(wanted - got) / np.maximum(1, np.abs(wanted))
        distance[(wanted == got) | (np.isnan(wanted) & np.isnan(got))] = 0
        distance[np.isnan(distance)] = np.inf
        largest = max(largest, float(distance.max(initial=0)))
    return largest
