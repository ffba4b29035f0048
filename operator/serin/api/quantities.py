"""Durations and shares as the resource writes them, and as seconds and floats inside."""

import re
from datetime import timedelta

from serin.api import metrics

# Durations as Gateway API has them (GEP-2257): one to four groups like 1h30m or 250ms.
DURATION_PATTERN = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"
SHARE_PATTERN = r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$"
NUMBER_PATTERN = r"^-?[0-9]{1,15}(\.[0-9]{1,9})?$"

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parse_duration(text: str) -> timedelta:
    """Read a duration such as 1h30m or 250ms.

    Raises:
        ValueError: the text is no such duration.
    """
    if not re.match(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is no duration; expected groups of h, m, s or ms, like 1h30m, 10s or 250ms")
    groups = re.findall(r"([0-9]+)(ms|h|m|s)", text)
    return timedelta(seconds=sum(int(number) * _SECONDS[unit] for number, unit in groups))


def round_down_to_bucket(seconds: float) -> float:
    """Give the largest latency bucket bound within a limit, because a share can be counted only at a bound.

    Worked: a limit of 220 ms is held at the bound 200 ms. A limit below the smallest bound is held at that bound.
    """
    return max((bound for bound in metrics.LATENCY_BUCKETS if bound <= seconds), default=metrics.LATENCY_BUCKETS[0])
