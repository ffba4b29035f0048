"""How much a request may bring, and how slowly."""

import asyncio
import re
import time

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from serin_services.registry.api.problems import RequestError
from serin_services.registry.settings import Settings

_CLOSE = {"Connection": "close"}
_ARTIFACT = re.compile(r"/api/v1/models/[^/]+/versions/[^/]+/artifacts/.+")
_BATCH = re.compile(r"/api/v1/(predictions|outcomes)")


def find_limit(path: str, settings: Settings) -> int:
    """Give how many bytes a request to this path may bring."""
    if _ARTIFACT.fullmatch(path):
        return settings.artifact_bytes
    return settings.batch_bytes if _BATCH.fullmatch(path) else settings.body_bytes


class Body:
    """A request's body as it arrives.

    Only the time that the registry waits for the client counts, not what it takes to store what has come.
    """

    def __init__(self, scope: Scope, receive: Receive, settings: Settings) -> None:
        self._receive = receive
        self._settings = settings
        self._limit = find_limit(scope["path"], settings)
        self._declared = Headers(scope=scope).get("content-length", "")
        self._came = 0
        self._waited = 0.0
        self._is_whole = False

    def check_declared(self) -> None:
        """Refuse what says itself that it is too large.

        Raises:
            RequestError: 413.
        """
        if self._declared.isascii() and self._declared.isdigit() and int(self._declared[:20]) > self._limit:
            raise self._too_large()

    async def receive(self) -> Message:
        """Give the next message.

        Raises:
            RequestError: 413, the body is too large; 408, it comes too slowly.
        """
        if self._is_whole:
            return await self._receive()
        allowed = self._settings.body_seconds + self._came / self._settings.body_bytes_per_second
        began = time.monotonic()
        try:
            # Not wait_for, which makes a task for each of the thousand messages of a large artifact.
            async with asyncio.timeout(max(0.0, allowed - self._waited)):
                message = await self._receive()
        except TimeoutError:
            raise RequestError(408, f"the body did not come within {allowed:.0f} s", _CLOSE) from None
        self._waited += time.monotonic() - began
        self._came += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._came > self._limit:
            raise self._too_large()
        return message

    def _too_large(self) -> RequestError:
        return RequestError(
            413, f"the body is larger than {self._limit} bytes, which is all that is taken here", _CLOSE
        )
