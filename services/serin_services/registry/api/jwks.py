"""The issuer's keys: fetched once for a while, and again for a key that is not known, but never once for each forged token."""

import asyncio
import json
import logging
import time
from typing import Any

import jwt
import requests

from serin_services.registry import errors

log = logging.getLogger("serin.registry")

TIMEOUT_SECONDS = 5.0
# How often an issuer is asked that has not answered yet, in seconds.
FIRST_SECONDS = 1.0
# A set of keys is a few kilobytes.
MAX_BYTES = 256 * 1024
# The kind of key that each algorithm takes: a key of another kind is never tried (RFC 8725, section 3.1).
KINDS = {"RS256": "RSA", "ES256": "EC"}


class Keys:
    """The keys by their ids, for one algorithm."""

    def __init__(self, url: str, algorithm: str, lifetime: float, interval: float) -> None:
        self._url = url
        self._algorithm = algorithm
        self._lifetime = lifetime
        self._interval = interval
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """Give a key; asks the issuer for one that is not known, at most once in each interval.

        Raises:
            errors.UnavailableError: the issuer has never answered.
        """
        if kid in self._keys and (self._is_fresh(kid) or self._lock.locked()):
            # While another request asks whether there are newer ones, the known one holds.
            return self._keys[kid]
        async with self._lock:
            now = time.monotonic()
            # As long as there is no key at all nobody gets in, forger or not: then it is asked for sooner.
            interval = self._interval if self._keys else min(self._interval, FIRST_SECONDS)
            if not self._is_fresh(kid) and now - self._tried >= interval:
                self._tried = now
                await self._refresh()
        if not self._keys:
            raise errors.UnavailableError("the tokens' issuer does not give its keys, so nobody can be told apart")
        return self._keys.get(kid)

    def _is_fresh(self, kid: str) -> bool:
        return kid in self._keys and time.monotonic() - self._fetched < self._lifetime

    async def _refresh(self) -> None:
        """Fetch the keys; those that are known stay while the issuer does not answer."""
        try:
            found = await asyncio.to_thread(self._fetch)
        except (
            requests.RequestException,
            OSError,
            LookupError,
            ValueError,
            TypeError,
            AttributeError,
            jwt.PyJWTError,
        ) as error:
            log.warning("the issuer's keys cannot be fetched: %s", type(error).__name__)
            return
        self._keys, self._fetched = found, time.monotonic()

    def _fetch(self) -> dict[str, jwt.PyJWK]:
        with requests.get(self._url, timeout=TIMEOUT_SECONDS, stream=True, allow_redirects=False) as answer:
            answer.raise_for_status()
            content = answer.raw.read(MAX_BYTES + 1, decode_content=True)
        if len(content) > MAX_BYTES:
            raise ValueError("more than a set of keys")
        entries: list[dict[str, Any]] = json.loads(content)["keys"]
        usable = [each for each in entries if each.get("kty") == KINDS[self._algorithm] and each.get("kid")]
        usable = [each for each in usable if each.get("use", "sig") == "sig"]
        return {str(each["kid"]): jwt.PyJWK(each, self._algorithm) for each in usable}
