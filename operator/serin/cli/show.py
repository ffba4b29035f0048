"""`serin get`: what there is. It imports nothing of what `serin status` needs, because it is called most."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated

import typer
import yaml

from serin.cli import clock, cluster, live, options, session, views
from serin.cli.errors import NotFoundError

# Columns that the widest table needs before its message has room.
_READABLE = 150


def get(
    name: Annotated[str | None, typer.Argument(help="Only this one.", show_default=False)] = None,
    namespace: options.Namespace = None,
    everywhere: Annotated[bool, typer.Option("-A", "--all-namespaces", help="In all namespaces.")] = False,
    output: Annotated[options.Format, typer.Option("-o", "--output", help="How to print.")] = options.Format.TABLE,
    watch: options.Watch = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """List ModelDeployments: phase, versions, weight and verdict.

    \b
    Examples:
      serin get
      serin get -A -o wide
      serin get momentum -n trading --watch
      serin get momentum -o json | jq .status.phase
    """  # noqa: D301 - \b keeps the lines of the examples apart
    api = session.connect(kubeconfig, context)
    scope = None if everywhere else namespace or api.namespace

    def read() -> list[cluster.Object]:
        if name is None:
            return api.find_all(scope)
        return [api.get(scope, name)] if scope else _find_everywhere(api, name)

    if watch:
        _watch(read, output)
        return
    found = read()
    if output in (options.Format.JSON, options.Format.YAML):
        plain = [cluster.strip(owner) for owner in found]
        _print_document(plain[0] if name and len(plain) == 1 else make_list(plain), output)
    elif found:
        table = views.make_table(found, clock.now(), wide=output is options.Format.WIDE)
        live.print_table(live.make_console(), table, _READABLE)
    else:
        where = f"in namespace {scope}" if scope else "in any namespace"
        typer.echo(f"there is no ModelDeployment {where}", err=True)


def _find_everywhere(api: cluster.Cluster, name: str) -> list[cluster.Object]:
    found = [owner for owner in api.find_all() if owner["metadata"]["name"] == name]
    if not found:
        raise NotFoundError(f"there is no ModelDeployment {name} in any namespace", "`serin get -A` lists all of them")
    return found


def make_list(owners: list[cluster.Object]) -> cluster.Object:
    """Make a list as kubectl prints one."""
    return {"apiVersion": "v1", "kind": "List", "items": owners}


def _print_document(document: object, output: options.Format) -> None:
    if output is options.Format.YAML:
        typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
    else:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _watch(read: Callable[[], list[cluster.Object]], output: options.Format) -> None:
    console = live.make_console()
    structured = output in (options.Format.JSON, options.Format.YAML)
    if structured or not console.is_terminal:
        live.print_lines(read, Changes(output))
        return
    wide = output is options.Format.WIDE
    live.redraw(console, read, lambda found: views.make_table(found, clock.now(), wide=wide))


class Changes:
    """Gives a line, or a document, for each object that changed since the last look."""

    def __init__(self, output: options.Format = options.Format.TABLE) -> None:
        self._output = output
        self._structured = output in (options.Format.JSON, options.Format.YAML)
        self._seen: dict[str, object] = {}

    def __call__(self, owners: list[cluster.Object]) -> Iterable[str]:
        """Give what is to be printed of these objects now."""
        now = clock.now()
        for owner in owners:
            uid = owner["metadata"]["uid"]
            key: object = owner["metadata"]["resourceVersion"] if self._structured else views.progress_key(owner)
            if self._seen.get(uid) != key:
                self._seen[uid] = key
                yield self._write(owner, now)

    def _write(self, owner: cluster.Object, now: datetime) -> str:
        if self._output is options.Format.JSON:
            return json.dumps(cluster.strip(owner), ensure_ascii=False)
        if self._output is options.Format.YAML:
            return "---\n" + yaml.safe_dump(cluster.strip(owner), sort_keys=False, allow_unicode=True).rstrip()
        return views.progress_line(owner, now)
