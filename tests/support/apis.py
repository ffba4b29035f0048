"""A small Kubernetes API server over HTTP: applies, patches, lists and deletes, with versions, generations and uids."""

import asyncio
import copy
import itertools
import json
from typing import Any

from aiohttp import web

Object = dict[str, Any]
Path = tuple[str, str, str]


class Api:
    """Objects by collection path, namespace and name; what is refused and what was written can be set and read."""

    def __init__(self) -> None:
        self.objects: dict[Path, Object] = {}
        self.versions = itertools.count(1)
        self.writes: list[tuple[str, str, str]] = []
        self.die_before_write: int | None = None
        self.changed = asyncio.Condition()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request as an API server would."""
        head, _, rest = request.path.partition("/namespaces/")
        namespace, _, rest = rest.partition("/")
        parts = rest.split("/") if rest else []
        plural = parts[0] if parts else head.rsplit("/", 1)[1]
        name, subresource = (*parts[1:], "", "")[:2]
        async with self.changed:
            found = self._handle(request.method, (plural, namespace, name), subresource, await request.read())
            self.changed.notify_all()
        status, body = found
        return web.json_response(body, status=status)

    def _handle(self, method: str, path: Path, subresource: str, data: bytes) -> tuple[int, Object]:
        if method == "GET":
            return self._read(path)
        if path[0] == "events":
            posted = json.loads(data)
            return 201, self.put((*path[:2], posted["metadata"]["name"]), posted)
        if self.die_before_write is not None and len(self.writes) >= self.die_before_write:
            return 503, {"message": "the operator is dead"}
        self.writes.append((method, path[0], path[2] + (f"/{subresource}" if subresource else "")))
        if method == "DELETE":
            return (200, self.objects.pop(path)) if path in self.objects else (404, {"message": "not found"})
        if subresource == "status" and path not in self.objects:
            return 404, {"message": f"{path[2]} not found"}
        return 200, self.put(path, json.loads(data), subresource)

    def _read(self, path: Path) -> tuple[int, Object]:
        if not path[2]:
            return 200, {"metadata": {"resourceVersion": "0"}, "items": self.all(path[0])}
        return (200, self.objects[path]) if path in self.objects else (404, {"message": f"{path[2]} not found"})

    def put(self, path: Path, wanted: Object, subresource: str = "") -> Object:
        """Merge an object into what is there; generation counts changes of its spec."""
        known = self.objects.get(path)
        live = copy.deepcopy(known) if known else {"metadata": {"uid": f"uid-{next(self.versions)}"}}
        if subresource:
            live["status"] = {**live.get("status", {}), **wanted["status"]}
            live["status"] = {key: value for key, value in live["status"].items() if value is not None}
        else:
            live = {**live, **copy.deepcopy(wanted), "metadata": {**live["metadata"], **wanted["metadata"]}}
            if known and "annotations" not in wanted["metadata"]:
                live["metadata"].pop("annotations", None)
            changed = not known or known.get("spec") != live.get("spec")
            live["metadata"]["generation"] = live["metadata"].get("generation", 0) + changed
        live["metadata"]["resourceVersion"] = str(next(self.versions))
        self.objects[path] = live
        return copy.deepcopy(live)

    def all(self, plural: str) -> list[Object]:
        """Give copies of all objects of a kind."""
        return [copy.deepcopy(found) for path, found in self.objects.items() if path[0] == plural]

    def get(self, plural: str, name: str, namespace: str = "trading") -> Object:
        """Give one object."""
        return self.objects[plural, namespace, name]
