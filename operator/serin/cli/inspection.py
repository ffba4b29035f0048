"""`serin status`: one object in detail, with what belongs to it."""

import enum
import functools
import json
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from serin.cli import clock, cluster, detail, live, options, session, show, views
from serin.cli.errors import CliError, UnreachableError
from serin.render import readings

T = TypeVar("T")


class Format(enum.StrEnum):
    """How one object is printed."""

    TEXT = "text"
    JSON = "json"


def status(
    name: options.Name,
    namespace: options.Namespace = None,
    output: Annotated[Format, typer.Option("-o", "--output", help="How to print.")] = Format.TEXT,
    watch: options.Watch = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Show one ModelDeployment in detail: versions, traffic, steps, measurements, and what is wrong.

    \b
    Examples:
      serin status momentum
      serin status momentum -n trading --watch
      serin status momentum -o json | jq .pods
    """  # noqa: D301
    api = session.connect(kubeconfig, context)
    where = namespace or api.namespace
    console = live.make_console()
    if output is Format.JSON:
        found = read_detail(api, where, name)
        typer.echo(json.dumps(make_document(found), indent=2, ensure_ascii=False))
    elif not watch:
        live.print_once(console, detail.make_detail(read_detail(api, where, name), clock.now()))
    elif console.is_terminal:
        live.redraw(
            console, lambda: read_detail(api, where, name), lambda found: detail.make_detail(found, clock.now())
        )
    else:
        live.print_lines(lambda: [api.get(where, name)], show.Changes())


def read_detail(api: cluster.Cluster, namespace: str, name: str) -> detail.Detail:
    """Read an object with what belongs to it; what the user may not see is named and left out."""
    owner = api.get(namespace, name)
    missing: list[str] = []

    def attempt(what: str, read: Callable[[], T], empty: T) -> T:
        try:
            return read()
        except UnreachableError:
            raise
        except CliError as error:
            missing.append(f"{what}, because {error.problem}")
            return empty

    children = functools.partial(api.children, namespace, name)
    none: list[cluster.Object] = []
    return detail.Detail(
        owner=owner,
        deployments=tuple(attempt("deployments", lambda: children("/apis/apps/v1", "deployments"), none)),
        pods=tuple(attempt("pods", lambda: children("/api/v1", "pods"), none)),
        route=attempt("the route", lambda: api.route(namespace, name), None),
        events=tuple(attempt("events", lambda: api.events(owner), none)),
        missing=tuple(missing),
    )


def make_document(found: detail.Detail) -> cluster.Object:
    """Make what `serin status -o json` prints: the object, and what the view adds to it."""
    return {
        "object": cluster.strip(found.owner),
        "weights": {
            "intended": found.status.get("weight"),
            "observed": detail.seen_share(found.owner),
        },
        "pods": [
            {"name": pod["metadata"]["name"], "revision": readings.revision_of(pod), **_describe_pod(pod)}
            for pod in found.pods
        ],
        "events": [
            {
                "time": cluster.event_time(event),
                "type": event.get("type"),
                "reason": event.get("reason"),
                "message": event.get("message"),
            }
            for event in found.events
        ],
        "notShown": list(found.missing),
    }


def _describe_pod(pod: views.Object) -> cluster.Object:
    read = readings.read_pods(None, [pod], ())
    return {"ready": read.ready == 1, "problem": read.problem, "message": read.message}
