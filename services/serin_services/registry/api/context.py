"""What a route is given: who calls, their transaction, the time, and the services that the process holds."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import fastapi
from sqlalchemy import orm

from serin_services.registry.api import idempotency
from serin_services.registry.api.telemetry import Telemetry
from serin_services.registry.core.access import Caller
from serin_services.registry.settings import Settings

if TYPE_CHECKING:
    from serin_services.registry.artifacts.store import Store
    from serin_services.registry.cluster.deployer import Deployer
    from serin_services.registry.cluster.follower import Follower
    from serin_services.registry.database.sessions import Database


def read_clock() -> dt.datetime:
    """Give the time, in UTC."""
    return dt.datetime.now(dt.UTC)


@dataclasses.dataclass(frozen=True)
class Services:
    """What lives as long as the process; tests put in a clock of their own."""

    settings: Settings
    database: "Database"
    artifacts: "Store"
    # None where the cluster is off.
    deployer: "Deployer | None" = None
    follower: "Follower | None" = None
    clock: Callable[[], dt.datetime] = read_clock
    telemetry: Telemetry = dataclasses.field(default_factory=Telemetry)


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request: its caller, its one transaction, and when it came."""

    caller: Caller
    session: orm.Session
    now: dt.datetime
    services: Services


def services_of(request: fastapi.Request) -> Services:
    """Give the services of the process that answers a request."""
    services: Services = request.app.state.services
    return services


def caller_of(request: fastapi.Request) -> Caller:
    """Give the caller, whom the gate has put there: without one no request comes as far as a route."""
    caller: Caller = request.state.caller
    return caller


def open_context(request: fastapi.Request) -> Iterator[Asked]:
    """Open the request's transaction; it is committed before the answer goes out, or rolled back."""
    services, caller = services_of(request), caller_of(request)
    now = services.clock()
    with services.database.open(caller, read_only=request.method in {"GET", "HEAD"}) as session:
        asked = Asked(caller, session, now, services)
        request.state.asked = asked
        if key := idempotency.read_key(request):
            lifetime = dt.timedelta(hours=services.settings.idempotency_hours)
            idempotency.begin(session, caller, key, request.state.digest, now, lifetime)
        yield asked


# With the scope of the function: an answer must not say that something is done which a commit then refuses.
Context = Annotated[Asked, fastapi.Depends(open_context, scope="function")]
CallerOf = Annotated[Caller, fastapi.Depends(caller_of)]
ServicesOf = Annotated[Services, fastapi.Depends(services_of)]
