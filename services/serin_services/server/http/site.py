"""Puts the HTTP side of one server together."""

from collections.abc import Callable

from serin_services.server import inference, settings, state
from serin_services.server.http import application, asgi, connection, endpoints, forecast, native, oip, openapi
from serin_services.server.http.endpoints import encode
from serin_services.server.http.messages import Response

# Longer than gateways keep an idle connection (Envoy: an hour), so that none sends a request into one that is closing.
KEEP_ALIVE_SECONDS = 3900


def make_application(
    options: settings.Settings, current: state.State, model: inference.Inference | None
) -> application.Application:
    """Make the endpoints and pages of a model, or the probes alone of a server that has none."""
    pages: dict[bytes, application.Page] = {
        b"/livez": live,
        b"/readyz": make_readyz(current, model),
        **oip.make_pages(current, model),
    }
    asked: dict[bytes, endpoints.Endpoint] = {}
    if model is not None:
        infer = oip.Infer(model)
        asked = {b"/predict": native.Predict(model)}
        asked |= {path + b"/infer": infer for path in oip.model_paths(model.manifest)}
        if forecast.answers(model.manifest):
            asked[forecast.PATH] = forecast.Forecast(model)
        pages[openapi.PATH] = openapi.make_page(model)
    return application.Application(current, model, asked, pages, options.deadline_seconds)


def make_site(
    options: settings.Settings,
    current: state.State,
    model: inference.Inference | None,
    behind: asgi.Application | None = None,
) -> connection.Site:
    """Make what all connections share; `behind` answers the paths that are not ours."""
    app = make_application(options, current, model)
    return connection.Site(
        respond=app.respond,
        fail=app.fail,
        behind=asgi.Behind(behind) if behind else None,
        leaving=app.leaving,
        max_body_bytes=options.max_body_bytes,
        read_seconds=options.read_seconds,
        idle_seconds=KEEP_ALIVE_SECONDS,
    )


def live() -> Response:
    """Say that the process answers."""
    return Response(200, b'{"live":true}')


def make_readyz(current: state.State, model: inference.Inference | None) -> Callable[[], Response]:
    """Give the page that says whether requests should be sent here, and why not."""

    def readyz() -> Response:
        body = {"ready": current.ready, "reason": current.reason, "message": current.message}
        if model:
            body |= {"model": model.manifest.model, "version": model.manifest.version}
        return Response(200 if current.ready else 503, encode(body))

    return readyz
