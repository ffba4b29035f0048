"""What every request passes before a route sees it: limits, and who is calling.

It stands before the routes so that one which is added later is behind it without a word, and so that nobody's body is
read before it is known who sends it.
"""

from urllib.parse import unquote_plus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serin_services.registry.api import problems
from serin_services.registry.api.bodies import Body
from serin_services.registry.api.identity import Identity
from serin_services.registry.api.problems import RequestError
from serin_services.registry.api.rates import Rates
from serin_services.registry.errors import RegistryError
from serin_services.registry.settings import Settings

# What is asked without a token: probes of the kubelet, and the description of the API.
OPEN = frozenset({"/livez", "/readyz", "/api/v1/openapi.json"})


class Gate:
    """The layer in front of the routes."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._identity = Identity(settings)
        self._rates = Rates(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = Body(scope, receive, self._settings)
        try:
            await self._check(scope, body)
        except RequestError as error:
            problem = problems.from_http_error(error)
        except RegistryError as error:
            problem = problems.from_registry_error(error)
        else:
            await self._app(scope, body.receive, send)
            return
        await problem.to_response(scope["state"]["request_id"])(scope, receive, send)

    async def _check(self, scope: Scope, body: Body) -> None:
        if "\0" in scope["path"] or "\0" in unquote_plus(scope["query_string"].decode("latin-1")):
            raise RequestError(400, "path and query cannot hold a NUL")
        if scope["path"] in OPEN:
            return
        self._rates.count_address(scope["client"][0] if scope.get("client") else "unknown")
        caller = await self._identity.identify(Headers(scope=scope).get("authorization"))
        scope["state"]["caller"] = caller
        self._rates.count_caller(caller)
        body.check_declared()
