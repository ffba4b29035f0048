"""Tokens: only what the configured issuer signed, by the configured algorithm, for this registry, and not yet expired."""

import base64
import concurrent.futures
import contextlib
import datetime as dt
import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from serin_services.registry.database.sessions import Database
from support.registry_server import ISSUER, KID, SECRET, Issuer, Served, make_claims, make_services, make_token, serve

NOW = dt.datetime.now(dt.UTC)
HOUR = dt.timedelta(hours=1)


@contextlib.contextmanager
def publish(document: Callable[[], bytes]) -> Iterator[str]:
    """Serve a document at a URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                content = document()
            except OSError:
                self.send_error(503)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def served(issuer: Issuer, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A registry that trusts the issuer's RS256, and asks for an unknown key once in a long while."""
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "registry.db").write_bytes(sqlite_template.read_bytes())
    settings = {"jwt_algorithm": "RS256", "jwt_secret": None, "jwks_interval_seconds": 600}
    with (
        contextlib.closing(Database(f"sqlite:///{folder}/registry.db")) as database,
        publish(issuer.document) as url,
        serve(make_services(database, folder / "artifacts", jwks_url=url, **settings)) as served,
    ):
        yield served


def forge(header: dict[str, Any], claims: dict[str, Any], secret: bytes = b"") -> str:
    """A token put together by hand, as no library would."""
    plain = {
        name: int(value.timestamp()) if isinstance(value, dt.datetime) else value for name, value in claims.items()
    }
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, plain)]
    signature = hmac.new(secret, b".".join(parts), hashlib.sha256).digest() if secret else b""
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_a_token_of_the_issuer_is_taken(served: Served, issuer: Issuer) -> None:
    token = issuer.sign(sub="dora", tenant="alpha", role="approver", offices=["risk-manager"])

    assert served.anonymous(token).ok("GET", "/me") == {
        "subject": "dora",
        "tenant": "alpha",
        "role": "approver",
        "offices": ["risk-manager"],
    }


FORGED: dict[str, Callable[[Issuer], str]] = {
    "no algorithm": lambda _: forge({"alg": "none", "kid": KID}, make_claims()),
    "no algorithm, in other letters": lambda _: forge({"alg": "nOnE", "kid": KID}, make_claims()),
    "no algorithm and no header": lambda _: forge({}, make_claims()),
    "HS256 signed with the public key": lambda issuer: forge(
        {"alg": "HS256", "kid": KID}, make_claims(), issuer.public_pem()
    ),
    "HS256 of a machine that signs its own": lambda _: make_token(),
    "RS256 by another key of the same id": lambda _: jwt.encode(
        make_claims(), rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256", {"kid": KID}
    ),
    "ES256 by a key of one's own": lambda _: jwt.encode(
        make_claims(), ec.generate_private_key(ec.SECP256R1()), "ES256", {"kid": KID}
    ),
    "RS512 by the issuer's key": lambda issuer: jwt.encode(make_claims(), issuer.keys[KID], "RS512", {"kid": KID}),
    "a key that the token brings along": lambda _: forge(
        {"alg": "HS256", "kid": KID, "jwk": {"kty": "oct", "k": "eA"}}, make_claims(), b"x"
    ),
    "a key at an address that the token names": lambda issuer: jwt.encode(
        make_claims(), issuer.keys[KID], "RS256", {"kid": "other", "jku": "http://127.0.0.1:1/keys"}
    ),
    "no key's id": lambda issuer: jwt.encode(make_claims(), issuer.keys[KID], "RS256"),
    "an id that is a path": lambda issuer: jwt.encode(
        make_claims(), issuer.keys[KID], "RS256", {"kid": "../../../../dev/null"}
    ),
    "an id that is SQL": lambda issuer: jwt.encode(
        make_claims(), issuer.keys[KID], "RS256", {"kid": "x' UNION SELECT 'key"}
    ),
    "an id that is a list": lambda _: forge({"alg": "RS256", "kid": [KID]}, make_claims(), b"x"),
    "an expired token": lambda issuer: issuer.sign(exp=NOW - HOUR),
    "a token of tomorrow": lambda issuer: issuer.sign(nbf=NOW + HOUR),
    "another audience": lambda issuer: issuer.sign(aud="another"),
    "another issuer": lambda issuer: issuer.sign(iss=f"{ISSUER}.evil"),
    "no expiry": lambda issuer: issuer.sign(exp=None),
    "no audience": lambda issuer: issuer.sign(aud=None),
    "no issuer": lambda issuer: issuer.sign(iss=None),
    "no subject": lambda issuer: issuer.sign(sub=None),
    "an empty subject": lambda issuer: issuer.sign(sub=""),
    "a subject with a line break": lambda issuer: issuer.sign(sub="dora\nINFO forged"),
    "no tenant": lambda issuer: issuer.sign(tenant=None),
    "an empty tenant": lambda issuer: issuer.sign(tenant=""),
    "a tenant that is a path": lambda issuer: issuer.sign(tenant="../beta"),
    "several tenants": lambda issuer: issuer.sign(tenant=["alpha", "beta"]),
    "no role": lambda issuer: issuer.sign(role=None),
    "an unknown role": lambda issuer: issuer.sign(role="root"),
    "a role that is a number": lambda issuer: issuer.sign(role=4),
    "offices that are text": lambda issuer: issuer.sign(offices="risk-manager"),
    "nothing": lambda _: "",
    "not a token": lambda _: "a.b.c",
    "four parts": lambda issuer: issuer.sign() + ".x",
    "a token of any length": lambda _: "x" * 100_000,
}


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED)
def test_any_other_token_is_refused(served: Served, issuer: Issuer, make: Callable[[Issuer], str]) -> None:
    client = served.anonymous()
    client.headers["Authorization"] = f"Bearer {make(issuer)}"

    answer = client.get("/me")

    assert answer.status_code in {401, 431}, answer.text
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "forged" not in answer.text


@pytest.mark.parametrize("scheme", ["Basic ZG9yYTpkb3Jh", "Bearer", "bearer  ", "Token x"])
def test_any_other_scheme_is_refused(served: Served, scheme: str) -> None:
    client = served.anonymous()
    client.headers["Authorization"] = scheme

    assert client.get("/me").status_code == 401


def test_one_forged_token_after_the_other_asks_the_issuer_for_nothing(served: Served, issuer: Issuer) -> None:
    served.anonymous(issuer.sign()).ok("GET", "/me")
    before = issuer.asked

    def ask(number: int) -> int:
        token = forge({"alg": "RS256", "kid": f"unknown-{number}"}, make_claims(), b"x")
        return served.anonymous(token).get("/me").status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(ask, range(40)))

    assert statuses == {401}
    assert issuer.asked == before


def serve_with(database: Database, folder: Path, **settings: Any) -> contextlib.AbstractContextManager[Served]:
    return serve(make_services(database, folder / "artifacts", **settings))


def test_a_new_key_of_the_issuer_is_found(sqlite_database: Database, tmp_path: Path) -> None:
    issuer = Issuer()
    settings = {"jwt_algorithm": "RS256", "jwt_secret": None, "jwks_interval_seconds": 0.01}
    with publish(issuer.document) as url, serve_with(sqlite_database, tmp_path, jwks_url=url, **settings) as served:
        served.anonymous(issuer.sign()).ok("GET", "/me")
        issuer.add("second")
        served.anonymous(issuer.sign("second")).ok("GET", "/me")
        asked = issuer.asked
        served.anonymous(issuer.sign()).ok("GET", "/me")
        # Both are known now.
        assert issuer.asked == asked


def test_while_the_issuer_is_away_its_known_keys_hold(sqlite_database: Database, tmp_path: Path) -> None:
    issuer, away = Issuer(), threading.Event()

    def document() -> bytes:
        if away.is_set():
            raise OSError
        return issuer.document()

    settings = {"jwt_algorithm": "RS256", "jwt_secret": None, "jwks_seconds": 0.01, "jwks_interval_seconds": 0.01}
    with publish(document) as url, serve_with(sqlite_database, tmp_path, jwks_url=url, **settings) as served:
        away.set()
        assert served.anonymous(issuer.sign()).get("/me").status_code == 503
        away.clear()
        deadline = time.monotonic() + 30
        while (client := served.anonymous(issuer.sign())).get("/me").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        away.set()
        client.ok("GET", "/me")


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"keys": 1}', id="a number for a list"),
        pytest.param(b'{"keys": [{"kid": "first", "kty": "RSA"}]}', id="half a key"),
        pytest.param(b'{"keys": [{"kid": "first", "kty": "oct", "k": "eHh4"}]}', id="a secret in the open"),
        pytest.param(b'{"keys": []}' + b" " * 300_000, id="a document of any length"),
    ],
)
def test_a_document_that_holds_no_keys_opens_nothing(
    sqlite_database: Database, tmp_path: Path, document: bytes
) -> None:
    settings = {"jwt_algorithm": "RS256", "jwt_secret": None, "jwks_interval_seconds": 0.01}
    with publish(lambda: document) as url, serve_with(sqlite_database, tmp_path, jwks_url=url, **settings) as served:
        assert served.anonymous(Issuer().sign()).get("/me").status_code in {401, 503}
        assert (
            served.anonymous(forge({"alg": "HS256", "kid": KID}, make_claims(), b"xxx")).get("/me").status_code == 401
        )


def test_es256_is_taken_where_it_is_configured(sqlite_database: Database, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    document = json.dumps({"keys": [{**public, "kid": KID}]}).encode()
    settings = {"jwt_algorithm": "ES256", "jwt_secret": None}
    with publish(lambda: document) as url, serve_with(sqlite_database, tmp_path, jwks_url=url, **settings) as served:
        token = jwt.encode(make_claims(), key, "ES256", {"kid": KID})
        assert served.anonymous(token).get("/me").status_code == 200
        assert served.anonymous(Issuer().sign()).get("/me").status_code == 401


class TestOneMachine:
    """HS256, where one machine signs and reads its own tokens."""

    @pytest.fixture
    def own(self, sqlite_database: Database, tmp_path: Path) -> Iterator[Served]:
        with serve_with(sqlite_database, tmp_path, jwt_leeway_seconds=5) as served:
            yield served

    def test_its_tokens_are_taken_and_no_others(self, own: Served) -> None:
        assert own.anonymous(make_token()).get("/me").status_code == 200
        assert own.anonymous(forge({"alg": "none"}, make_claims())).get("/me").status_code == 401
        assert own.anonymous(forge({"alg": "HS256"}, make_claims(), b"another")).get("/me").status_code == 401
        # The configured algorithm alone, even with the right secret.
        assert own.anonymous(jwt.encode(make_claims(), SECRET, "HS384")).get("/me").status_code == 401
        assert own.anonymous(Issuer().sign()).get("/me").status_code == 401

    def test_clocks_may_differ_a_little(self, own: Served) -> None:
        now = dt.datetime.now(dt.UTC)
        assert own.anonymous(make_token(exp=now - dt.timedelta(seconds=2))).get("/me").status_code == 200
        assert own.anonymous(make_token(exp=now - dt.timedelta(seconds=60))).get("/me").status_code == 401
