"""The servers as data: what each is installed from, how it is started, when it is ready, and how it is asked.

In commands, settings and files `$name` stands for a value of `fill`. Every server has one worker; only Serin's and the
bare server's are started from this repository's own code.
"""

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import dialects, environments
from .dialects import Dialect
from .models import Model

TREES = ("xgboost", "lightgbm")
ALL = (*TREES, "network")
# For every server: libraries have the one core that it is pinned to, and none of them reports home.
COMMON = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True)
class Peer:
    """One server of one kind of set-up; one without a lock is the control, built here."""

    name: str
    lock: str
    command: tuple[str, ...]
    ready: str
    # By model: a network's rows have another JSON than a table's in some servers.
    asked: Mapping[str, tuple[Dialect, ...]]
    settings: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    # Whether its answers are predictions, which are held against the library's.
    predicts: bool = True


@dataclass(frozen=True)
class Ports:
    """Where a server listens."""

    http: int
    grpc: int
    metrics: int


def fill(text: str, model: Model, ports: Ports, scratch: Path, environment: Path) -> str:
    """Put the values of one start into a text of the table."""
    family = model.kind.family
    return string.Template(text).substitute(
        bin=environment / "bin",
        apps=environments.APPS,
        sources=f"{environments.ROOT / 'services'}:{environments.ROOT / 'operator'}",
        scratch=scratch,
        http=ports.http,
        grpc=ports.grpc,
        metrics=ports.metrics,
        name=model.kind.name,
        family=family,
        artifact=model.artifact,
        onnx=model.onnx,
        package=model.package,
        runtime=MLSERVER_RUNTIMES.get(family, ""),
    )


def both(tables: tuple[Dialect, ...], network: tuple[Dialect, ...] | None = None) -> dict[str, tuple[Dialect, ...]]:
    """The dialects for rows of a table and for a network's."""
    return {**dict.fromkeys(TREES, tables), "network": tables if network is None else network}


MLSERVER_RUNTIMES = {"xgboost": "mlserver_xgboost.XGBoostModel", "lightgbm": "mlserver_lightgbm.LightGBMModel"}
NATIVE = {"BENCH_FORM": "$family", "BENCH_ARTIFACT": "$artifact", "BENCH_ONNX": "$onnx", "PYTHONPATH": "$apps"}
ONNX = {**NATIVE, "BENCH_FORM": "onnx"}
SERIN = {
    "PYTHONPATH": "$sources",
    "SERIN_PACKAGE": "$package",
    "SERIN_HOST": "127.0.0.1",
    "SERIN_HTTP_PORT": "$http",
    "SERIN_GRPC_PORT": "$grpc",
    "SERIN_METRICS_PORT": "$metrics",
    # No peer limits how long a request may wait; where Serin's limit is in the way, windows would count refusals.
    "SERIN_MAX_WAIT_SECONDS": "60",
    "BENTOML_HOME": "$scratch/bentoml",
}
BENTOML = {**NATIVE, "BENTOML_HOME": "$scratch/bentoml", "BENTOML_DO_NOT_TRACK": "1"}
SERIN_START = ("$bin/python", "-m", "serin_services.server")
SERIN_TABLES = (dialects.SERIN_JSON, dialects.OIP_JSON, dialects.OIP_BINARY, dialects.OIP_GRPC)
SERIN_NETWORK = (dialects.OIP_JSON, dialects.OIP_BINARY, dialects.OIP_GRPC)
# Only to show what batches do; the other servers are compared by the first three models.
SERIN_PERCEPTRON = (dialects.OIP_BINARY,)
UVICORN = ("$bin/python", "-m", "uvicorn", "fastapi_app:app", "--port", "$http", "--no-access-log")
UVICORN_FAST = ("--loop", "uvloop", "--http", "httptools")

PEERS = (
    Peer(
        "Serin", "server-$family", SERIN_START, "/readyz",
        {**both(SERIN_TABLES, SERIN_NETWORK), "perceptron": SERIN_PERCEPTRON}, SERIN,
        note="as its image starts it, but with a longer limit on waiting, since no peer has one",
    ),
    Peer(
        "Serin, batching off", "server-$family", SERIN_START, "/readyz",
        {"network": (dialects.OIP_JSON,), "perceptron": SERIN_PERCEPTRON}, {**SERIN, "SERIN_BATCHING": "off"},
    ),
    Peer(
        "Serin, batching on", "server-$family", SERIN_START, "/readyz",
        {"network": (dialects.OIP_JSON,), "perceptron": SERIN_PERCEPTRON}, {**SERIN, "SERIN_BATCHING": "on"},
    ),
    Peer(
        "FastAPI", "bench-fastapi", (*UVICORN, *UVICORN_FAST), "/ready",
        {**dict.fromkeys(TREES, (dialects.FASTAPI_JSON,))}, NATIVE,
        note="the library's own predict; uvloop and httptools; no access log, which favours it",
    ),
    Peer(
        "FastAPI + ONNX Runtime", "bench-fastapi", (*UVICORN, *UVICORN_FAST), "/ready",
        both((dialects.FASTAPI_JSON,), (dialects.FASTAPI_FORECAST,)), ONNX,
        note="the same, with the ONNX Runtime session that Serin predicts with",
    ),
    Peer(
        "BentoML", "bench-bentoml",
        ("$bin/bentoml", "serve", "bento_service:Stock", "--port", "$http", "--working-dir", "$apps"), "/readyz",
        both((dialects.BENTO_JSON,)), BENTOML, note="stock: the service of its documentation, all defaults",
    ),
    Peer(
        "BentoML, adaptive batching", "bench-bentoml",
        ("$bin/bentoml", "serve", "bento_service:Batching", "--port", "$http", "--working-dir", "$apps"), "/readyz",
        both((dialects.BENTO_JSON,)), BENTOML, note="the same with `batchable=True`",
    ),
    Peer(
        "MLServer", "bench-mlserver", ("$bin/mlserver", "start", "$scratch"), "/v2/health/ready",
        {**dict.fromkeys(TREES, (dialects.OIP_JSON, dialects.OIP_GRPC))},
        files={
            "settings.json": json.dumps({
                "debug": False, "host": "127.0.0.1", "http_port": "$http", "grpc_port": "$grpc",
                "metrics_port": "$metrics", "parallel_workers": 0,
            }),
            "model-settings.json": json.dumps({
                "name": "$name", "implementation": "$runtime", "parameters": {"uri": "$artifact"},
            }),
        },
        note="1.7.1 with its own runtimes, `parallel_workers` 0, `debug` off; it has no runtime for ONNX",
    ),
    Peer(
        "KServe SDK", "bench-kserve",
        ("$bin/python", "$apps/kserve_app.py", "--model_name", "$name", "--http_port", "$http", "--grpc_port", "$grpc"),
        "/v2/health/ready", both((dialects.OIP_JSON, dialects.OIP_BINARY, dialects.OIP_GRPC)), NATIVE,
        note="0.21.0, a `kserve.Model` written as its own model servers of the families are",
    ),
    Peer(
        "bare grpcio", "server-xgboost", ("$bin/python", "$apps/bare_grpc.py"), "",
        {"xgboost": (dialects.OIP_GRPC,)}, {"BENCH_GRPC_PORT": "$grpc"},
        note="a synchronous grpcio server that reads nothing and answers 64 bytes: gRPC's own cost in Python",
        predicts=False,
    ),
    Peer(
        "control", "", ("$bin/control", "-address", "127.0.0.1:$http"), "/",
        {"xgboost": (dialects.FASTAPI_JSON,)},
        note="one loop over epoll in Go that keeps the processor busy for 75 µs a request, about as long as Serin, and "
        "has nothing to wait for: what is slow there is the machine",
        predicts=False,
    ),
)  # fmt: skip
BY_NAME = {peer.name: peer for peer in PEERS}
