"""What a model server counts carries the names and labels that the rules and dashboards read."""

import prometheus_client
import pytest

from serin.api import metrics
from serin_services.server import telemetry
from support import packages

REQUEST = telemetry.Request("grpc", "refused", "NOT_FOUND", 0.02, mismatch=True)
OWN = {"model": "momentum", "version": "1.2.0"}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> object:
    return packages.make_package(tmp_path_factory.mktemp("metrics") / "package")


@pytest.fixture
def registry(package: object) -> prometheus_client.CollectorRegistry:
    registry = prometheus_client.CollectorRegistry()
    registry.telemetry = telemetry.Telemetry(package.manifest, package.digest, registry)
    return registry


def test_every_protocol_and_outcome_starts_at_0(registry: prometheus_client.CollectorRegistry) -> None:
    samples = {sample.name: [] for family in registry.collect() for sample in family.samples}
    for family in registry.collect():
        for sample in family.samples:
            samples[sample.name].append(sample)

    requests = samples[metrics.REQUESTS]
    assert {(sample.labels["protocol"], sample.labels["outcome"]) for sample in requests} == {
        (protocol, outcome) for protocol in metrics.PROTOCOLS for outcome in metrics.OUTCOMES
    }
    assert {sample.value for sample in requests} == {0}
    assert all(set(sample.labels) == set(metrics.REQUEST_LABELS) for sample in requests)
    assert {sample.labels["label"] for sample in samples[metrics.PREDICTIONS]} == {"down", "up"}
    assert samples[metrics.FEATURE_MISMATCH][0].value == 0
    assert [sample.labels["protocol"] for sample in samples[f"{metrics.REQUEST_SECONDS}_count"]] == ["http", "grpc"]
    bounds = [sample.labels["le"] for sample in samples[f"{metrics.PREDICTION_CONFIDENCE}_bucket"]]
    assert bounds == [*(str(bound) for bound in metrics.CONFIDENCE_BUCKETS), "+Inf"]


def test_latency_buckets_are_the_ones_that_limits_are_rounded_to(registry: prometheus_client.CollectorRegistry) -> None:
    for bound in metrics.LATENCY_BUCKETS:
        labels = {**OWN, "protocol": "http", "le": str(bound)}
        assert registry.get_sample_value(f"{metrics.REQUEST_SECONDS}_bucket", labels) == 0


def test_the_package_is_told(registry: prometheus_client.CollectorRegistry, package: object) -> None:
    labels = {**OWN, "family": "xgboost", "digest": package.digest}
    assert registry.get_sample_value(metrics.MODEL_INFO, labels) == 1


def test_it_counts(registry: prometheus_client.CollectorRegistry) -> None:
    registry.telemetry.count_request(REQUEST)
    registry.telemetry.count_predictions([1, 1, 0], [0.95, 0.5, 0.7])

    labels = {**OWN, "protocol": "grpc", "outcome": "refused", "code": "NOT_FOUND"}
    assert registry.get_sample_value(metrics.REQUESTS, labels) == 1
    assert registry.get_sample_value(metrics.FEATURE_MISMATCH, OWN) == 1
    assert registry.get_sample_value(metrics.PREDICTIONS, {**OWN, "label": "up"}) == 2
    assert registry.get_sample_value(f"{metrics.PREDICTION_CONFIDENCE}_count", OWN) == 3
    slow = registry.get_sample_value(f"{metrics.REQUEST_SECONDS}_bucket", {**OWN, "protocol": "grpc", "le": "0.01"})
    assert slow == 0
