"""Names of metrics: what operator and servers write is what rules and dashboards ask for, and all stand in one place."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

import chart
from serin.adapters import exporter
from serin.api import metrics
from serin_services.server import cache, settings, telemetry, watch
from support import collectors

ROOT = Path(__file__).resolve().parents[2]
# What a scrape adds to every series, and what Prometheus and the chart's monitors put on them.
SCRAPED = {"job", "instance", "pod", "container", "endpoint", "service", "namespace", "modeldeployment", "revision"}
OBJECT = {"namespace", "modeldeployment"}

Names = Mapping[str, set[str]]


def read_names(registry: prometheus_client.CollectorRegistry) -> dict[str, set[str]]:
    """Give the names of a registry's series as Prometheus sees them, with their labels."""
    text = prometheus_client.generate_latest(registry).decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {name: labels for name, labels in found.items() if not name.endswith("_created")}


@pytest.fixture(scope="module")
def operators() -> Names:
    """What the operator's /metrics has in the middle of a rollout."""
    made = exporter.Exporter()
    key = ("trading", "momentum")
    made.start(key, ("promoted",))
    made.snapshots[key] = exporter.Snapshot(
        phase="Canary",
        phases=("Canary",),
        step=1,
        verdict="Pass",
        verdicts=("Pass",),
        weights=(exporter.Weight("1.0.0", "r1", "intended", 90.0),),
        thresholds=(exporter.Threshold("r2", "errorRate", "max", 0.05),),
        alerts=("TooManyErrors",),
    )
    return read_names(made.registry)


@pytest.fixture(scope="module")
def servers() -> Names:
    """What a model server's /metrics has from the start."""
    registry = prometheus_client.CollectorRegistry()
    document = collectors.CLASSIFIER
    telemetry.Telemetry(document, "sha256:1", registry)
    options = settings.Settings(prediction_log="-", cache_entries=1)
    watching = watch.make(options, document, registry)
    cache.make(options.cache_entries, options.cache_bytes, document, registry)
    names = read_names(registry)
    watching.close(10)
    return names


def bare(names: Iterable[str]) -> set[str]:
    """Give the names of metrics without what a histogram adds."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


CONSTANTS = {value for value in vars(metrics).values() if isinstance(value, str) and value.startswith("serin_")}


def test_every_constant_is_exported_by_one_side_and_nothing_else_is(operators: Names, servers: Names) -> None:
    assert bare(operators) | bare(servers) == CONSTANTS
    assert bare(operators) & bare(servers) == set()


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        (metrics.WEIGHT, OBJECT | {"version", "revision", "kind"}),
        (metrics.PHASE, OBJECT | {"phase"}),
        (metrics.STEP, OBJECT),
        (metrics.THRESHOLD, OBJECT | {"revision", "criterion", "bound"}),
        (metrics.VERDICT, OBJECT | {"verdict"}),
        (metrics.ROLLOUTS, OBJECT | {"outcome"}),
        (metrics.FOREIGN_WRITES, OBJECT | {"kind"}),
        (metrics.RECONCILE_ERRORS, OBJECT),
        (metrics.ALERT_FIRING, OBJECT | {"alertname"}),
        (f"{metrics.ROLLBACK_SECONDS}_bucket", OBJECT | {"le"}),
    ],
)
def test_the_operators_labels(operators: Names, name: str, labels: set[str]) -> None:
    assert operators[name] >= OBJECT
    assert operators[name] == labels


def test_the_servers_labels(servers: Names) -> None:
    assert servers[metrics.REQUESTS] == {"model", "version", "protocol", "outcome", "code"}
    assert servers[f"{metrics.REQUEST_SECONDS}_bucket"] == {"model", "version", "protocol", "le"}


def rules() -> list[Mapping[str, Any]]:
    return [
        rule
        for found in chart.render()
        if found["kind"] == "PrometheusRule"
        for group in found["spec"]["groups"]
        for rule in group["rules"]
    ]


def dashboard_queries() -> list[str]:
    def find(node: Any) -> Iterable[str]:
        if isinstance(node, dict):
            yield from ([node["expr"]] if isinstance(node.get("expr"), str) else [])
            node = list(node.values())
        for item in node if isinstance(node, list) else []:
            yield from find(item)

    files = sorted((ROOT / "charts" / "serin" / "dashboards").glob("*.json"))
    assert files
    return [query for file in files for query in find(json.loads(file.read_text()))]


# A metric's name where it stands as one: before matchers, a range, a comma, a bracket or an operator.
_METRIC = re.compile(r"(?<![\w:\"$])(serin[_:][\w:]+)(\{[^}]*\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")


@pytest.fixture(scope="module")
def queries() -> list[str]:
    return [rule["expr"] for rule in rules()] + dashboard_queries()


def test_rules_and_dashboards_ask_only_for_what_is_exported(
    operators: Names, servers: Names, queries: list[str]
) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    known = {**operators, **servers}
    asked = {(match[1], match[2] or "") for query in queries for match in _METRIC.finditer(query)}
    assert {name for name, _ in asked} - set(known) - recorded - {"serin_action"} == set()
    for name, matchers in asked:
        if name in known:
            assert set(_MATCHER.findall(matchers)) <= known[name] | SCRAPED, (name, matchers)


def test_what_is_exported_is_looked_at_by_a_rule_or_a_dashboard(
    operators: Names, servers: Names, queries: list[str]
) -> None:
    text = "\n".join(queries)
    unseen = {
        name for name in bare(operators) | bare(servers) if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", text)
    }
    assert unseen == set()


def test_every_limit_is_one_of_the_servers_buckets(servers: Names) -> None:
    assert f"{metrics.REQUEST_SECONDS}_bucket" in servers
    assert list(metrics.LATENCY_BUCKETS) == sorted(set(metrics.LATENCY_BUCKETS))
    assert list(metrics.CONFIDENCE_BUCKETS) == sorted(set(metrics.CONFIDENCE_BUCKETS))
