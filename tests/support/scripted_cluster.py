"""An API server for ModelDeployments that does on demand what a real one does rarely: forgets, breaks off, is set back.

It speaks the protocol of lists and watches (Kubernetes API concepts, "Efficient detection of changes") over real HTTP; what a
real cluster does by itself is tested on one.
"""

import contextlib
import copy
import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Object = dict[str, Any]


class ScriptedCluster:
    """Its objects, the history of their changes, and what goes wrong next."""

    def __init__(self) -> None:
        self.version = 100
        self.forgotten = 0
        self.objects: dict[str, Object] = {}
        self.history: list[tuple[int, str, Object]] = []
        self.labels: dict[str, Mapping[str, str]] = {}
        self.failures = 0
        self.watches = 0
        self.changed = threading.Condition()
        self.closing = False
        # Raised whenever all watches are to break off.
        self.cut = 0

    def put(self, found: Mapping[str, Any]) -> None:
        """Make or change an object."""
        with self.changed:
            self.version += 1
            item = copy.deepcopy(dict(found))
            item["metadata"]["resourceVersion"] = str(self.version)
            uid = item["metadata"]["uid"]
            self.history.append((self.version, "MODIFIED" if uid in self.objects else "ADDED", item))
            self.objects[uid] = item
            self.changed.notify_all()

    def delete(self, uid: str) -> None:
        """Delete an object."""
        with self.changed:
            self.version += 1
            item = copy.deepcopy(self.objects.pop(uid))
            item["metadata"]["resourceVersion"] = str(self.version)
            self.history.append((self.version, "DELETED", item))
            self.changed.notify_all()

    def forget(self) -> None:
        """Forget all history up to now, as etcd does every few minutes."""
        with self.changed:
            self.forgotten = self.version

    def set_back(self, version: int) -> None:
        """Be what it was at an earlier version, as after a restore from a backup."""
        with self.changed:
            self.history = [entry for entry in self.history if entry[0] <= version]
            self.objects = {}
            for _, kind, item in self.history:
                self.objects[item["metadata"]["uid"]] = item
                if kind == "DELETED":
                    del self.objects[item["metadata"]["uid"]]
            self.version = version
            self.cut += 1
            self.changed.notify_all()

    def break_off(self, failures: int = 0) -> None:
        """Break all watches off, and refuse so many requests after that."""
        with self.changed:
            self.cut += 1
            self.failures = failures
            self.changed.notify_all()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: ScriptedCluster

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        cluster = self.cluster
        if cluster.failures > 0:
            cluster.failures -= 1
            return self._answer(503, {"kind": "Status", "message": "the server is starting", "code": 503})
        if "/namespaces/" in url.path and url.path.count("/") == 4:
            name = url.path.rpartition("/")[2]
            return self._answer(200, {"metadata": {"name": name, "labels": dict(cluster.labels.get(name, {}))}})
        if query.get("watch") == "true":
            return self._watch(int(query["resourceVersion"]), float(query["timeoutSeconds"]))
        with cluster.changed:
            listed = {"metadata": {"resourceVersion": str(cluster.version)}, "items": list(cluster.objects.values())}
        return self._answer(200, listed)

    def _answer(self, status: int, body: Object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _watch(self, position: int, seconds: float) -> None:
        cluster, until = self.cluster, time.monotonic() + seconds
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        cluster.watches += 1
        if position < cluster.forgotten:
            # As the API server does for a watch from its cache: an event that is an error.
            expired = {"kind": "Status", "code": 410, "message": f"too old resource version: {position}"}
            return self._end({"type": "ERROR", "object": expired})
        cut = cluster.cut
        while time.monotonic() < until and not cluster.closing:
            with cluster.changed:
                fresh = [entry for entry in cluster.history if entry[0] > position]
                if not fresh and cluster.cut == cut:
                    cluster.changed.wait(min(0.2, max(0.0, until - time.monotonic())))
            if cluster.cut != cut:
                # In the middle of a line: that is how it looks when a server dies.
                self._chunk(b'{"type": "MODIF')
                self.close_connection = True
                return None
            for version, kind, item in fresh:
                self._chunk(json.dumps({"type": kind, "object": item}).encode() + b"\n")
                position = version
        return self._end(None)

    def _end(self, event: Object | None) -> None:
        if event:
            self._chunk(json.dumps(event).encode() + b"\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[tuple[ScriptedCluster, Path]]:
    """Serve a cluster; give it and the path of its kubeconfig."""
    cluster = ScriptedCluster()
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    context = {"cluster": "scripted", "user": "scripted"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "scripted",
        "clusters": [{"name": "scripted", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "contexts": [{"name": "scripted", "context": context}],
        "users": [{"name": "scripted", "user": {}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    try:
        yield cluster, path
    finally:
        cluster.closing = True
        server.shutdown()
        server.server_close()
