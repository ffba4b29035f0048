"""The service under BentoML's own server instead of ours: the same answers on the same ports."""

import json
import subprocess
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support import packages, server_process

# In a process of its own: BentoML warns of its own imports, and here a warning is an error.
CLIENT = """
import bentoml, json, sys
with bentoml.SyncHTTPClient(f"http://127.0.0.1:{sys.argv[1]}") as client:
    print(json.dumps(client.predict(rows=[[30, 1000.5, 0.25, 4]])))
"""
ROW = [30, 1000.5, 0.25, 4]


def test_bentoml_serves_the_package_with_both_protocols_and_metrics(tmp_path: Path) -> None:
    packages.make_package(tmp_path / "package")
    command = ("-m", "bentoml", "serve", "serin_services.server.bento:ModelServer")
    server = server_process.start(tmp_path / "package", tmp_path / "run", *command, SERIN_DRAIN_SECONDS="0")
    try:
        server.wait_until(200)
        answer = server.call("/predict", {"rows": [ROW]})
        refused = server.call("/predict", {"rows": [ROW[:3]]})
        by_client = json.loads(
            subprocess.check_output([sys.executable, "-W", "ignore", "-c", CLIENT, str(server.http_port)], text=True)
        )
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status
        metrics = server.metrics()
    finally:
        code = server.end()

    assert answer.headers["x-model-version"] == "1.2.0"
    assert answer.body["predictions"] == by_client["predictions"]
    assert refused.body["reason"] == "FeatureCount"
    assert health == health_pb2.HealthCheckResponse.SERVING
    assert 'outcome="ok",protocol="http",version="1.2.0"} 2.0' in metrics
    assert code == 0
