"""The registry as its own process: started by its environment, ended by a signal, over TLS, with metrics beside it."""

import datetime as dt
import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.registry_server import AUDIENCE, ISSUER, SECRET, Client, digest_of, make_token
from support.server_process import free_ports

Start = Callable[..., "Running"]


class Running:
    """One process."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port, self.metrics_port = free_ports(2)
        self.log = folder / "log"
        secret = folder / "secret"
        secret.write_text(f"{SECRET}\n")
        given = {
            "DATABASE": f"sqlite:///{folder}/registry.db",
            "ARTIFACTS": str(folder / "artifacts"),
            "JWT_ISSUER": ISSUER,
            "JWT_AUDIENCE": AUDIENCE,
            "JWT_ALGORITHM": "HS256",
            "JWT_SECRET_FILE": str(secret),
            "PORT": str(self.port),
            "METRICS_PORT": str(self.metrics_port),
            **settings,
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SERIN_")}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "serin_services.registry.main"],
                env=environment | {f"SERIN_REGISTRY_{name}": value for name, value in given.items()},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.scheme = "https" if "TLS_CERT" in settings else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def wait(self, authority: str | bool = True) -> None:
        """Wait until it is ready."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if requests.get(f"{self.url}/readyz", timeout=5, verify=authority).status_code == 200:
                    return
            except requests.ConnectionError:
                time.sleep(0.05)
        raise AssertionError(self.log.read_text())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Running] = []

    def start(**settings: str) -> Running:
        running.append(Running(tmp_path, **settings))
        return running[-1]

    yield start
    for each in running:
        each.process.kill()
        each.process.wait()


def test_it_brings_its_tables_up_to_date_serves_counts_and_ends(start: Start) -> None:
    running = start()
    running.wait()
    client = Client(running.url, make_token())
    client.make_model()

    metrics = requests.get(f"http://127.0.0.1:{running.metrics_port}/metrics", timeout=5).text
    running.process.send_signal(signal.SIGTERM)

    assert running.process.wait(30) == 0, running.log.read_text()
    assert 'serin_registry_requests_total{method="POST",route="/models",status="201"} 1.0' in metrics
    written = running.log.read_text()
    assert "POST /api/v1/models 201" in written
    assert "/readyz" not in written
    assert SECRET not in written
    assert str(client.headers["Authorization"]) not in written


def test_what_it_has_begun_it_finishes(start: Start) -> None:
    running = start()
    running.wait()
    client = Client(running.url, make_token())
    client.make_model()
    client.register()
    content = b"x" * 100_000
    head = (
        f"PUT /api/v1/models/momentum/versions/1.0.0/artifacts/model HTTP/1.1\r\nHost: a\r\n"
        f"Authorization: {client.headers['Authorization']}\r\nRepr-Digest: {digest_of(content)}\r\n"
        f"Expect: 100-continue\r\nContent-Length: {len(content)}\r\n\r\n"
    )

    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
        connection.sendall(head.encode())
        # Now it waits for the body.
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        running.process.send_signal(signal.SIGTERM)
        wait_until_closed(running.port)
        connection.sendall(content)
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 201"), answer
    assert running.process.wait(30) == 0


def wait_until_closed(port: int) -> None:
    """Wait until nobody listens any more."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    raise AssertionError("the port stays open")


def test_a_wrong_setting_is_a_sentence(start: Start) -> None:
    running = start(DATABASE="mysql://u:hunter2@h/d")

    assert running.process.wait(60) == 2, running.log.read_text()
    written = running.log.read_text()
    assert "neither postgresql" in written
    for absent in ("Traceback", "hunter2", SECRET):
        assert absent not in written


def test_tls(start: Start, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "registry")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = tmp_path / "tls.crt", tmp_path / "tls.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private.write_bytes(key.private_bytes(*form))
    running = start(TLS_CERT=str(pem), TLS_KEY=str(private))
    running.wait(str(pem))

    answer = requests.get(
        f"{running.url}/api/v1/me", headers={"Authorization": f"Bearer {make_token()}"}, verify=str(pem), timeout=10
    )

    assert answer.json()["subject"] == "dora"
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{running.port}/livez", timeout=10)
    assert re.search(r"https://127\.0\.0\.1", running.log.read_text())
