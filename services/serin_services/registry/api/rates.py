"""How often a caller may ask: per caller once it is known who it is, and per address before that.

The counts are this process's own: with several replicas a caller may ask as often of each.
"""

import math
import time

import limits
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from serin_services.registry.api.problems import RequestError
from serin_services.registry.core.access import Caller
from serin_services.registry.settings import Settings


class Rates:
    """The two limits of a process."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._caller = limits.parse(settings.rate)
        self._address = limits.parse(settings.address_rate)

    def count_address(self, address: str) -> None:
        """Count a request from an address.

        Raises:
            RequestError: 429, with when to come again.
        """
        self._count(self._address, "address", address)

    def count_caller(self, caller: Caller) -> None:
        """Count a request of a caller.

        Raises:
            RequestError: 429, with when to come again.
        """
        self._count(self._caller, caller.tenant, caller.subject)

    def _count(self, limit: limits.RateLimitItem, *who: str) -> None:
        if self._limiter.hit(limit, *who):
            return
        reset, _ = self._limiter.get_window_stats(limit, *who)
        seconds = max(1, math.ceil(reset - time.time()))
        raise RequestError(429, f"at most {limit} are taken; ask again in {seconds} s", {"Retry-After": str(seconds)})
