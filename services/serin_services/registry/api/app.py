"""The application: every route under /api/v1, in front of them identity, limits and the form of errors."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread
import fastapi
from starlette.middleware import Middleware

from serin_services.registry.api import problems
from serin_services.registry.api.context import Services
from serin_services.registry.api.envelope import Envelope
from serin_services.registry.api.gate import Gate
from serin_services.registry.api.routes import (
    approvals,
    artifacts,
    audit,
    deployments,
    drift,
    exports,
    health,
    jobs,
    models,
    outcomes,
    performance,
    predictions,
    shadow,
    stop,
    tenants,
    versions,
)
from serin_services.registry.api.transfers import Transfers

ROOT = "/api/v1"
ROUTERS = (
    models.router,
    versions.router,
    artifacts.router,
    approvals.router,
    deployments.router,
    stop.router,
    predictions.router,
    outcomes.router,
    performance.router,
    shadow.router,
    jobs.router,
    drift.router,
    exports.router,
    audit.router,
    tenants.router,
    health.router,
)
DESCRIPTION = """Every version of every model, its lineage and its fate.

Each request carries a token (`Authorization: Bearer …`) with the claims `sub`, `tenant`, `role` (viewer, developer, approver
or admin) and, for sign-off, `offices`. Errors are problem+json (RFC 9457). Lists are given by the page: `next` of one is
`cursor` of the next. A POST with an `Idempotency-Key` is carried out once. A change of an object carries its ETag as
`If-Match`."""


def make_app(services: Services) -> fastapi.FastAPI:
    """Make the application over the services of a process."""
    settings = services.settings
    app = fastapi.FastAPI(
        title="Serin registry",
        version="1",
        description=DESCRIPTION,
        openapi_url=f"{ROOT}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_live,
        middleware=[
            Middleware(Envelope, telemetry=services.telemetry),
            Middleware(Gate, settings=settings),
        ],
    )
    app.state.services = services
    app.state.transfers = Transfers(services.artifacts, settings.threads, settings.artifact_bytes)
    problems.install(app)
    app.include_router(health.probes)
    for router in ROUTERS:
        app.include_router(router, prefix=ROOT)
    _describe(app)
    return app


@contextlib.asynccontextmanager
async def _live(app: fastapi.FastAPI) -> AsyncIterator[None]:
    """Give the requests their threads."""
    services: Services = app.state.services
    anyio.to_thread.current_default_thread_limiter().total_tokens = services.settings.threads
    yield


def _describe(app: fastapi.FastAPI) -> None:
    """Say in the description that every route needs a token; what passes without one stands in `gate.py`."""
    make = app.openapi

    def describe() -> dict[str, Any]:
        document = make()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        document["security"] = [{"token": []}]
        return document

    app.openapi = describe  # type: ignore[method-assign] # FastAPI's own way to extend it
