"""The operator's own HTTP: health, metrics, and the webhook by which Alertmanager wakes it."""

import hmac
import logging
from collections.abc import Callable

import prometheus_client
from aiohttp import web

from serin.adapters import exporter, health

logger = logging.getLogger(__name__)

PORT = 8080


def make_app(
    state: health.Health, export: exporter.Exporter, is_ready: Callable[[], bool], token: str, poke: Callable[[], None]
) -> web.Application:
    """Make the application; without a token the webhook is closed."""

    async def livez(_: web.Request) -> web.Response:
        complaint = state.complaint()
        return web.Response(text=complaint or "ok", status=503 if complaint else 200)

    async def readyz(_: web.Request) -> web.Response:
        ready = is_ready()
        return web.Response(text="ok" if ready else "still reading the cluster", status=200 if ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        body = prometheus_client.generate_latest(export.registry)
        return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})

    async def alerted(request: web.Request) -> web.Response:
        """Wake up; what fires is read from Prometheus, so a forged or repeated message can do nothing else."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not token or not hmac.compare_digest(given.encode(), token.encode()):
            return web.Response(text="a bearer token is needed", status=401)
        poke()
        return web.Response(status=204)

    app = web.Application(client_max_size=1024 * 1024)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    app.router.add_post("/alerts", alerted)
    return app


async def serve(app: web.Application, port: int = PORT) -> web.AppRunner:
    """Start serving; the caller cleans the runner up."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - a pod's probes come from outside
    return runner
