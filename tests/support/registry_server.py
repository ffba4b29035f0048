"""The registry's API as it is served: uvicorn on loopback in a thread, and callers with tokens of every kind."""

import base64
import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from serin_services.registry.api.context import Services
from serin_services.registry.artifacts.folder import Folder
from serin_services.registry.artifacts.store import Store
from serin_services.registry.database.sessions import Database
from serin_services.registry.main import make_server
from serin_services.registry.settings import Settings

ISSUER, AUDIENCE = "https://issuer.test", "serin-registry"
SECRET = "only-for-tests-" * 5
KID = "first"


def make_settings(**changes: Any) -> Settings:
    """Settings of one machine, generous where a test is not about limits."""
    given = {
        "jwt_issuer": ISSUER,
        "jwt_audience": AUDIENCE,
        "jwt_algorithm": "HS256",
        "jwt_secret": SECRET,
        "jwt_leeway_seconds": 1,
        "port": 0,
        "rate": "100000/minute",
        "address_rate": "100000/minute",
        "drain_seconds": 1,
    }
    return Settings.model_validate(given | changes)


def make_services(database: Database, folder: Path, **changes: Any) -> Services:
    """Services over a database and a folder."""
    fields = {name: changes.pop(name) for name in ("deployer", "follower", "clock") if name in changes}
    return Services(make_settings(**changes), database, Store(Folder(folder)), **fields)


def make_claims(**changes: Any) -> dict[str, Any]:
    """Claims of a developer of tenant alpha; a claim that is None is left out."""
    now = dt.datetime.now(dt.UTC)
    given = {
        "sub": "dora",
        "tenant": "alpha",
        "role": "developer",
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + dt.timedelta(minutes=10),
    } | changes
    return {name: value for name, value in given.items() if value is not None}


def make_token(**claims: Any) -> str:
    """A token of a machine that signs its own."""
    return jwt.encode(make_claims(**claims), SECRET, algorithm="HS256")


class Client(requests.Session):
    """A caller; paths begin behind /api/v1."""

    def __init__(self, url: str, token: str | None) -> None:
        super().__init__()
        self.url = url
        # What the environment says of proxies and passwords is nothing to the tests.
        self.trust_env = False
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", 30)
        path = url.decode() if isinstance(url, bytes) else url
        return super().request(method, path if path.startswith("http") else f"{self.url}/api/v1{path}", *args, **kwargs)

    def ok(self, method: str, path: str, **kwargs: Any) -> Any:
        """The answer's document, of a request that must be carried out."""
        answer = self.request(method, path, **kwargs)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def make_model(self, name: str = "momentum", **fields: Any) -> Any:
        return self.ok("POST", "/models", json={"name": name, **fields})

    def register(self, model: str = "momentum", **fields: Any) -> Any:
        return self.ok("POST", f"/models/{model}/versions", json={"family": "xgboost", **fields})

    def put(self, url: str | bytes, data: Any = None, **kwargs: Any) -> requests.Response:
        return self.request("PUT", url, data=data, **kwargs)

    def upload(self, path: str, content: bytes, sha256: str | None = None) -> requests.Response:
        return self.put(path, content, headers={"Repr-Digest": digest_of(content, sha256)})


def digest_of(content: bytes, sha256: str | None = None) -> str:
    """The header's value for a content."""
    digest = bytes.fromhex(sha256) if sha256 else hashlib.sha256(content).digest()
    return f"sha-256=:{base64.b64encode(digest).decode()}:"


@dataclasses.dataclass(frozen=True)
class Served:
    """A registry that answers."""

    url: str
    port: int
    services: Services

    def client(self, **claims: Any) -> Client:
        """A caller with these claims."""
        return Client(self.url, make_token(**claims))

    def anonymous(self, token: str | None = None) -> Client:
        """A caller with any token, or none."""
        return Client(self.url, token)


@contextlib.contextmanager
def serve(services: Services) -> Iterator[Served]:
    """Serve until the end of the block."""
    server = make_server(services)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        assert server.started, "the registry did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(f"http://127.0.0.1:{port}", port, services)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the registry did not end"


class Issuer:
    """An issuer of RS256 tokens with the document of its keys; counts how often that is asked for."""

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.asked = 0
        self.add(KID)

    def add(self, kid: str) -> None:
        """Make one more key."""
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def sign(self, kid: str = KID, **claims: Any) -> str:
        """Sign a token."""
        return jwt.encode(make_claims(**claims), self.keys[kid], algorithm="RS256", headers={"kid": kid})

    def public_pem(self, kid: str = KID) -> bytes:
        """What everyone knows of a key."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.keys[kid].public_key().public_bytes(serialization.Encoding.PEM, form)

    def document(self) -> bytes:
        """The keys as RFC 7517 writes them."""
        self.asked += 1
        found = [
            {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}
            for kid, key in self.keys.items()
        ]
        return json.dumps({"keys": found}).encode()
