"""How routes are made: each module of `routes/` has a router of this kind."""

from collections.abc import Callable, Coroutine
from typing import Any

import fastapi
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from serin_services.registry.api import idempotency
from serin_services.registry.api.schemas import Problem

# What any route may answer besides what it is for.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description, "content": {"application/problem+json": {}}}
    for status, description in (
        (400, "This is no request that can be read."),
        (401, "There is no valid token."),
        (403, "The caller's role is not enough, or it belongs to another tenant."),
        (404, "There is no such thing that the caller may see."),
        (408, "The body came too slowly."),
        (409, "What is there contradicts the request."),
        (413, "The body is too large."),
        (422, "The request is not as this document describes it."),
        (429, "The caller asks too often; `Retry-After` says when to come again."),
        (500, "The registry failed; the log tells more of the request's id."),
        (503, "Something that the registry needs does not answer; the same request may work later."),
    )
}


class KeyedRoute(APIRoute):
    """A route whose POSTs are carried out once for each `Idempotency-Key`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the key's row around the endpoint, inside of its transaction."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            key = idempotency.read_key(request)
            if key is None:
                return await handle(request)
            request.state.digest = idempotency.digest(request, await request.body())
            try:
                response = await handle(request)
            except idempotency.Replay as replay:
                return replay.response
            asked = getattr(request.state, "asked", None)
            if asked is not None and not isinstance(response, StreamingResponse):
                await run_in_threadpool(idempotency.finish, asked.session, asked.caller, key, response)
            return response

        return answer


def make_router(noun: str) -> fastapi.APIRouter:
    """Make the router of one noun."""
    return fastapi.APIRouter(tags=[noun], route_class=KeyedRoute, responses=PROBLEMS)
