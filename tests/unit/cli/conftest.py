"""A small API server over real HTTP, and objects as the operator leaves them."""

import copy
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.api import names
from serin.cli import main

Object = dict[str, Any]
_OBJECTS = f"/apis/{names.API_VERSION}"


def make_owner(name: str = "momentum", namespace: str = "trading", **status: Any) -> Object:
    """Give an object in the middle of a canary; changes are fields of its status."""
    revision = {"image": "registry.example/m", "revision": "aaaa000001", "slot": "a", "version": "1.0.0"}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "generation": 2,
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T10:00:00Z",
            "annotations": {},
        },
        "spec": {
            "model": "momentum",
            "version": "1.1.0",
            "image": "registry.example/m:1.1.0",
            "route": {"gateway": {"name": "public"}},
            "strategy": {
                "type": "Canary",
                "canary": {
                    "staging": {"duration": "30s"},
                    "steps": [{"weight": 10, "duration": "2m"}, {"weight": 25, "duration": "5m"}, {"weight": 100}],
                    "bake": "10m",
                },
            },
        },
        "status": {
            "observedGeneration": 2,
            "phase": "Canary",
            "message": "120 of at least 500 requests so far",
            "stable": revision,
            "candidate": {**revision, "revision": "bbbb000002", "slot": "b", "version": "1.1.0"},
            "step": "2/3",
            "weight": 25,
            "verdict": "Insufficient",
            "since": "2026-01-01T11:58:00+00:00",
            "endpoint": "/trading/momentum",
            "conditions": [make_condition("Ready", "True"), make_condition("Promoted", "False")],
            **status,
        },
    }


def make_condition(kind: str, status: str, reason: str = "Reason", message: str = "a sentence") -> Object:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T11:00:00Z",
        "observedGeneration": 2,
    }


class ApiServer:
    """Serves ModelDeployments as the API server does; `on_request` plays the operator when one is annotated."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.refusal: tuple[int, Object | str] | None = None
        self.on_request: Callable[[Object, str, str], None] | None = None
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def add(self, owner: Object) -> None:
        metadata = owner["metadata"]
        self.objects[metadata["namespace"], metadata["name"]] = owner

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, path: str, body: Object | None) -> tuple[int, Object | str]:
        with self.lock:
            if self.refusal:
                return self.refusal
            path = path.partition("?")[0]
            if not path.startswith(_OBJECTS):
                return 200, {"items": []}
            parts = path.removeprefix(_OBJECTS).strip("/").split("/")
            namespace = parts[1] if parts[0] == "namespaces" else None
            name = parts[3] if len(parts) > 3 else None
            if name is None:
                found = [o for (where, _), o in self.objects.items() if namespace in (None, where)]
                return 200, {"items": copy.deepcopy(found)}
            owner = self.objects.get((str(namespace), name))
            if owner is None:
                details = {"name": name, "group": names.GROUP, "kind": names.PLURAL}
                return 404, {"kind": "Status", "message": f'"{name}" not found', "details": details}
            if method == "PATCH" and body:
                self._annotate(owner, body["metadata"]["annotations"])
            return 200, copy.deepcopy(owner)

    def _annotate(self, owner: Object, annotations: Object) -> None:
        owner["metadata"]["annotations"] |= annotations
        verb, _, identity = annotations[names.REQUEST_ANNOTATION].partition(":")
        if self.on_request:
            self.on_request(owner, verb, identity)


def _make_handler(api: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = api.answer(self.command, self.path, body)
            data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = _serve  # noqa: N815 - names that http.server asks for

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server, with KUBECONFIG pointing to it and `trading` as the context's namespace."""
    server = ApiServer()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "clusters": [{"name": "test", "cluster": {"server": server.url}}],
                "users": [{"name": "test", "user": {"token": "token"}}],
                "contexts": [
                    {"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "trading"}},
                    {"name": "other", "context": {"cluster": "test", "user": "test", "namespace": "quiet"}},
                ],
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    yield server
    server.close()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def serin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line as a user does; give the exit code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["serin", *words])
        with pytest.raises(SystemExit) as ended:
            main.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def owner() -> Callable[..., Object]:
    return make_owner


@pytest.fixture
def condition() -> Callable[..., Object]:
    return make_condition
