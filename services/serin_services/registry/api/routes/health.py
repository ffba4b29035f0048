"""Probes, the health of what the registry needs, and what it holds."""

import asyncio
import time
from collections.abc import Callable
from typing import Literal

import fastapi
import pydantic
from starlette.responses import JSONResponse, Response

from serin_services.registry.api.context import Context, Services, ServicesOf
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import Answer
from serin_services.registry.errors import RegistryError
from serin_services.registry.records import overview

router = make_router("health")
# Without a token and outside of /api/v1: for the kubelet.
probes = fastapi.APIRouter(include_in_schema=False)

# A dependency that has not answered by then is down.
PATIENCE_SECONDS = 5.0

State = Literal["up", "down", "off"]


class DependencyAnswer(Answer):
    """One thing that the registry needs."""

    state: State
    latency_ms: float
    message: str


class HealthAnswer(Answer):
    """The state of everything that the registry needs; up only where nothing is down."""

    state: Literal["up", "down"]
    dependencies: dict[str, DependencyAnswer] = pydantic.Field(description="database, artifacts and cluster.")


class StatusAnswer(Answer):
    """What the registry holds, as far as the caller may see it."""

    models: int
    versions: int
    stages: dict[str, int] = pydantic.Field(description="How many versions stand in each stage.")


@router.get("/health", summary="Ask for the state of every dependency", responses={503: {"model": HealthAnswer}})
async def get_health(services: ServicesOf, response: Response) -> HealthAnswer:
    """Try database, artifact store and cluster, each with its time; 503 where one is down."""
    checks = _checks_of(services)
    found = await asyncio.gather(*(_try(check) for check in checks.values()))
    dependencies = dict(zip(checks, found, strict=True))
    is_up = all(each.state != "down" for each in found)
    response.status_code = 200 if is_up else 503
    return HealthAnswer(state="up" if is_up else "down", dependencies=dependencies)


@router.get("/status", summary="Ask what the registry holds")
def get_status(context: Context) -> StatusAnswer:
    """Give how many models and versions the caller may see, and in which stages."""
    return StatusAnswer.model_validate(overview.count(context.session, context.caller))


@probes.get("/livez")
async def is_alive() -> Response:
    """Answer as long as the process does."""
    return JSONResponse({"status": "ok"})


@probes.get("/readyz")
async def is_ready(services: ServicesOf) -> Response:
    """Say whether requests can be carried out: whether the database answers."""
    found = await _try(services.database.health)
    return JSONResponse({"status": found.state, "message": found.message}, 200 if found.state == "up" else 503)


# What says that it is well, and gives a sentence or nothing about it.
Check = Callable[[], str | None]


def _checks_of(services: Services) -> dict[str, Check | None]:
    return {
        "database": services.database.health,
        "artifacts": services.artifacts.health,
        "cluster": _cluster_check(services),
    }


def _cluster_check(services: Services) -> Check | None:
    deployer = services.deployer
    if deployer is None:
        return None

    def check() -> None:
        if problem := deployer.health():
            raise RegistryError(problem)
        if services.follower and (problem := services.follower.state().problem):
            raise RegistryError(f"its objects are not followed: {problem}")

    return check


async def _try(check: Check | None) -> DependencyAnswer:
    if check is None:
        return DependencyAnswer(state="off", latency_ms=0.0, message="it is not used here")
    began = time.perf_counter()
    state: State = "down"
    try:
        message = await asyncio.wait_for(asyncio.to_thread(check), PATIENCE_SECONDS) or "it answers"
        state = "up"
    except TimeoutError:
        message = f"it did not answer within {PATIENCE_SECONDS:g} s"
    except RegistryError as error:
        message = error.message
    return DependencyAnswer(state=state, latency_ms=round((time.perf_counter() - began) * 1000, 2), message=message)
