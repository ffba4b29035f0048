"""Predictions and outcomes over HTTP, and what is made of them: performance, exports, the shadow, metrics."""

import csv
import datetime as dt
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from serin_services.registry.api.metrics import Outcomes
from serin_services.registry.core.access import SYSTEM
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from serin_services.registry.records.outcomes import shadow
from serin_services.registry.records.rollouts.requests import Asked, Order, Placed, Verb
from serin_services.server.predictions import documents, lines
from support import collectors
from support import outcome_rows as rows
from support.outcome_rows import NOW, TENANT
from support.registry_server import Client, Served, make_services, make_token, serve

CHAMPION, CHALLENGER = "1.2.0", "1.3.0"
LOGGED = "2026-11-21T12:00:00.250000Z"


class Notebook:
    """A cluster that writes down what it is asked."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.asked: list[tuple[str, Verb]] = []

    def deploy(self, order: Order) -> Placed:
        self.orders.append(order)
        return Placed(order.namespace, order.name, "uid", 1, created=True)

    def ask(self, namespace: str, name: str, _uid: str, verb: Verb, request: str, by: str) -> Asked:
        self.asked.append((f"{namespace}/{name} by {by}", verb))
        return Asked(namespace, name, verb, request)


@pytest.fixture
def cluster() -> Notebook:
    return Notebook()


def fill(database: Database) -> None:
    """Add a champion, a version in its shadow, and the deployment in which they stand beside each other."""
    model = rows.add_model(database)
    champion = rows.add_version(database, model, CHAMPION)
    challenger = rows.add_version(database, model, CHALLENGER, Stage.STAGING)
    rows.add_deployment(database, model, PRODUCTION=champion, STAGING=challenger)


@pytest.fixture
def served(database: Database, cluster: Notebook, tmp_path: Path) -> Iterator[Served]:
    fill(database)
    services = make_services(database, tmp_path / "artifacts", clock=lambda: NOW, deployer=cluster)
    with serve(services) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Client:
    return served.client(tenant=TENANT, sub="server")


def prediction(number: int, version: str = CHAMPION, **fields: Any) -> dict[str, Any]:
    given = {"model": "momentum", "version": version, "id": f"{number}", "at": "2026-11-21T12:10:00Z", "label": "up"}
    return given | fields


def outcome(number: int, **fields: Any) -> dict[str, Any]:
    return {"model": "momentum", "id": f"{number}", "at": "2026-11-21T12:20:00Z", "label": "up"} | fields


def report(client: Client, predictions: list[dict[str, Any]], outcomes: list[dict[str, Any]]) -> None:
    client.ok("POST", "/predictions", json={"predictions": predictions})
    client.ok("POST", "/outcomes", json={"outcomes": outcomes})


class TestReporting:
    def test_a_model_servers_own_sink_reports_to_the_registry(
        self, served: Served, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REPORTER", f"Bearer {make_token(tenant=TENANT)}")
        address = f"{served.url}/api/v1/predictions#authorization=env:REPORTER&batch=2"
        log = collectors.log_to(address, collectors.record("order", 3))
        assert (log.counts.written, log.counts.failed) == (3, 0)
        came = {"model": "momentum", "at": "2026-11-21T12:20:00Z"}
        batch = [{**came, "id": "order/0", "label": "up"}, {**came, "id": "order/1", "label": "down"}]
        assert client.ok("POST", "/outcomes", json={"outcomes": batch})["joined"] == 2
        found = client.ok("GET", f"/models/momentum/performance?version={CHAMPION}")["versions"][0]
        assert found["figures"]["accuracy"] | {"low": 0, "high": 0} == {"value": 0.5, "low": 0, "high": 0, "count": 2}
        assert found["labels"] == {"up": 3}
        listed = client.ok("GET", "/models/momentum/predictions")["items"]
        assert [(item["id"], item["at"], item["confidence"], item["seconds"]) for item in listed] == [
            (f"order/{row}", LOGGED, 0.75, 0.002) for row in (2, 1, 0)
        ]
        assert [item["outcome"] and item["outcome"]["label"] for item in listed] == [None, "down", "up"]

    def test_the_lines_of_a_model_servers_file_are_taken_and_then_known(self, client: Client) -> None:
        encoder = lines.LineEncoder(documents.Describer(collectors.CLASSIFIER))
        body = b"".join(piece.payload for piece in encoder.encode([collectors.record("r", 3)], lambda: None))
        headers = {"Content-Type": "application/x-ndjson"}
        assert client.ok("POST", "/predictions", data=body, headers=headers)["taken"] == 3
        assert client.ok("POST", "/predictions", data=body, headers=headers)["doubled"] == 3

    def test_one_event_and_outcomes_by_the_line_are_taken(self, client: Client) -> None:
        data = {"id": "1", "model": "momentum", "version": CHAMPION, "time": LOGGED, "seconds": 0.1}
        event = {"specversion": "1.0", "type": "dev.serin.prediction.v1", "data": data | {"outputs": {"y": [1.5]}}}
        headers = {"Content-Type": "application/cloudevents+json"}
        assert client.ok("POST", "/predictions", data=json.dumps(event), headers=headers)["taken"] == 1
        body = json.dumps(outcome(1, label=None, value=1.0)) + "\n\n"
        headers = {"Content-Type": "application/x-ndjson; charset=utf-8"}
        assert client.ok("POST", "/outcomes", data=body, headers=headers)["joined"] == 1
        found = client.ok("GET", "/models/momentum/performance")["versions"][0]["figures"]
        assert (found["mean_error"], found["mean_squared_error"]) == (0.5, 0.25)

    def test_a_malformed_batch_is_refused_with_the_place_of_each_fault(self, client: Client) -> None:
        batch = [prediction(1), prediction(2, label=7), prediction(3, id="a\x00b")]
        answer = client.post("/predictions", json={"predictions": batch})
        assert answer.status_code == 422
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert [fault["where"] for fault in answer.json()["errors"]] == ["predictions.1.label", "predictions.2.id"]
        assert client.ok("GET", "/models/momentum/predictions")["items"] == []

    def test_a_viewer_may_read_and_not_report(self, served: Served, client: Client) -> None:
        report(client, [prediction(1)], [])
        viewer = served.client(tenant=TENANT, role="viewer")
        assert viewer.post("/predictions", json={"predictions": [prediction(2)]}).status_code == 403
        assert viewer.post("/outcomes", json={"outcomes": [outcome(2)]}).status_code == 403
        assert len(viewer.ok("GET", "/models/momentum/predictions")["items"]) == 1

    def test_another_tenant_sees_nothing_of_it(self, served: Served, client: Client) -> None:
        report(client, [prediction(1)], [outcome(1)])
        stranger = served.client(tenant="globex", role="admin")
        for path in (
            "/models/momentum/predictions",
            "/models/momentum/performance",
            f"/models/momentum/versions/{CHAMPION}/performance",
            f"/models/momentum/versions/{CHALLENGER}/shadow",
            f"/models/momentum/versions/{CHALLENGER}/shadow/comparison",
        ):
            assert stranger.get(path).status_code == 404, path
        assert stranger.ok("GET", "/performance")["items"] == []
        assert stranger.ok("GET", "/shadow") == []
        assert stranger.ok("GET", "/exports/performance")["rows"] == []
        assert stranger.post("/outcomes", json={"outcomes": [outcome(1)]}).status_code == 422

    def test_the_list_goes_by_pages_and_filters(self, client: Client) -> None:
        batch = [prediction(n, version) for n in range(5) for version in (CHAMPION, CHALLENGER)]
        report(client, [*batch, prediction(9, at="2026-11-21T11:00:00Z")], [])
        seen, cursor = [], ""
        while cursor is not None:
            page = client.ok("GET", f"/models/momentum/predictions?limit=4{cursor and f'&cursor={cursor}'}")
            seen += [(item["id"], item["version"]) for item in page["items"]]
            cursor = page["next"]
        assert len(seen) == len(set(seen)) == 11
        assert seen[-1] == ("9", CHAMPION)
        listed = client.ok("GET", f"/models/momentum/predictions?version={CHALLENGER}")["items"]
        assert {(item["version"], item["shadow"]) for item in listed} == {(CHALLENGER, True)}
        listed = client.ok("GET", "/models/momentum/predictions?until=2026-11-21T12:00:00Z")["items"]
        assert [item["id"] for item in listed] == ["9"]


class TestPerformance:
    def test_figures_of_a_window_are_those_of_its_predictions(self, client: Client) -> None:
        early = [prediction(n, at="2026-11-20T10:30:00Z") for n in range(4)]
        late = [prediction(n, at="2026-11-21T11:40:00Z", confidence=0.5, seconds=0.25) for n in range(4, 12)]
        results = [outcome(n, label="up" if n % 4 else "down", returned=0.5 if n % 4 else -0.5) for n in range(11)]
        report(client, early + late, results)
        found = client.ok("GET", "/models/momentum/performance?periods=252")
        assert (found["since"], found["until"]) == ("2026-11-20T12:00:00Z", "2026-11-21T12:30:00Z")
        version = found["versions"][0]
        figures = version["figures"]
        assert (figures["predictions"], figures["outcomes"]) == (8, 7)
        assert (figures["accuracy"]["value"], figures["accuracy"]["count"]) == (5 / 7, 7)
        assert figures["accuracy"]["low"] < 5 / 7 < figures["accuracy"]["high"]
        assert (figures["win_rate"]["value"], figures["profit_factor"]) == (5 / 7, 2.5)
        assert (figures["mean_confidence"], figures["latency_seconds"]) == (0.5, 0.25)
        assert figures["sharpe_annualised"] == pytest.approx(figures["sharpe"] * 252**0.5)
        assert (version["last_hour"], version["last_day"]) == (8, 8)
        whole = client.ok("GET", "/models/momentum/performance?since=2026-11-20T00:00:00Z")["versions"][0]
        assert whole["figures"]["predictions"] == 12
        cut = client.ok("GET", "/models/momentum/performance?since=2026-11-20T10:15:00Z&until=2026-11-20T10:45:00Z")
        assert (cut["since"], cut["until"]) == ("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z")
        assert cut["versions"][0]["figures"]["predictions"] == 4

    def test_the_last_hour_is_counted_to_the_second(self, client: Client) -> None:
        moments = ["11:29:59", "11:30:00", "11:59:59", "12:00:00", "12:29:59"]
        report(client, [prediction(n, at=f"2026-11-21T{at}Z") for n, at in enumerate(moments)], [])
        found = client.ok("GET", "/models/momentum/performance")["versions"][0]
        assert (found["last_hour"], found["last_day"]) == (4, 5)

    def test_the_history_goes_by_hours_and_days_with_the_time_behind_each(self, client: Client) -> None:
        moments = ["20T09:10:00", "20T22:00:00", "21T09:00:00", "21T09:59:59", "21T11:00:00"]
        report(client, [prediction(n, at=f"2026-11-{at}Z") for n, at in enumerate(moments)], [outcome(3)])
        path = f"/models/momentum/versions/{CHAMPION}/performance?since=2026-11-20T09:30:00Z&rolling_hours=12"
        points = client.ok("GET", path)["points"]
        read = [
            (point["at"][8:13], point["figures"]["predictions"], point["rolling"]["predictions"]) for point in points
        ]
        assert read == [("20T09", 1, 1), ("20T22", 1, 1), ("21T09", 2, 3), ("21T11", 1, 3)]
        points = client.ok("GET", f"{path}&by=day")["points"]
        read = [
            (point["at"][8:13], point["figures"]["predictions"], point["rolling"]["predictions"]) for point in points
        ]
        assert read == [("20T00", 2, 1), ("21T00", 3, 3)]
        assert points[1]["figures"]["accuracy"]["count"] == 1
        assert client.ok("GET", f"/models/momentum/versions/{CHAMPION}/performance")["points"][0]["rolling"] is None

    def test_active_versions_are_listed_with_or_without_predictions(self, database: Database, client: Client) -> None:
        rows.add_version(database, rows.add_model(database, "idle"), "1.0.0")
        rows.add_version(database, rows.add_model(database, "draft"), "1.0.0", Stage.DRAFT)
        report(client, [prediction(1)], [outcome(1)])
        found = client.ok("GET", "/performance?limit=2")
        items = found["items"] + client.ok("GET", f"/performance?cursor={found['next']}")["items"]
        counts = {(item["model"], item["version"]): item["figures"]["predictions"] for item in items}
        assert counts == {("momentum", CHAMPION): 1, ("momentum", CHALLENGER): 0, ("idle", "1.0.0"): 0}

    @pytest.mark.parametrize(
        "query",
        [
            pytest.param("since=2026-11-21T12:20:00Z&until=2026-11-21T12:10:00Z", id="an end before the beginning"),
            pytest.param("since=2026-11-21T13:00:00Z", id="a beginning after now"),
            pytest.param("since=0001-01-01T00:00:00%2B14:00", id="a time that no calendar in UTC has"),
            pytest.param("since=2026-11-21T12:00:00", id="a time without a zone"),
            pytest.param("since=2001-01-01T00:00:00Z", id="more hours than one answer holds"),
        ],
    )
    def test_a_window_that_cannot_be_is_refused(self, client: Client, query: str) -> None:
        assert client.get(f"/models/momentum/versions/{CHAMPION}/performance?{query}").status_code == 422


class TestExports:
    def test_json_and_csv_have_the_same_rows(self, client: Client) -> None:
        report(client, [prediction(1), prediction(2), prediction(3, at="2026-10-31T23:59:59Z")], [outcome(1)])
        found = client.ok("GET", "/exports/performance")
        assert (found["month"], found["complete"]) == ("2026-11", False)
        by_version = {row["version"]: row for row in found["rows"]}
        assert by_version[CHAMPION]["predictions"] == 2
        assert by_version[CHAMPION]["labels"] == {"up": 2}
        assert (by_version[CHALLENGER]["predictions"], by_version[CHALLENGER]["accuracy"]) == (0, None)
        answer = client.get("/exports/performance?month=2026-11&format=csv")
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert "performance-2026-11.csv" in answer.headers["Content-Disposition"]
        read = list(csv.DictReader(io.StringIO(answer.text)))
        assert [row["version"] for row in read] == [row["version"] for row in found["rows"]]
        for row, same in zip(read, found["rows"], strict=True):
            assert row.pop("month") == "2026-11"
            assert json.loads(row.pop("labels")) == same.pop("labels")
            assert row == {name: "" if value is None else str(value) for name, value in same.items()}

    def test_a_month_that_is_over_has_what_was_predicted_in_it(self, client: Client) -> None:
        report(client, [prediction(1), prediction(3, at="2026-10-31T23:59:59Z")], [])
        found = client.ok("GET", "/exports/performance?month=2026-10")
        assert (found["complete"], [(row["version"], row["predictions"]) for row in found["rows"]]) == (
            True,
            [(CHAMPION, 1)],
        )

    def test_a_name_is_never_read_as_a_formula(self, database: Database, served: Served) -> None:
        model = rows.add_model(database, "mine", owner="=cmd()")
        rows.add_version(database, model)
        owner = served.client(tenant=TENANT, sub="=cmd()")
        text = owner.get("/exports/performance?format=csv").text
        assert "'=cmd()" in {row["owner"] for row in csv.DictReader(io.StringIO(text))}


class TestShadow:
    def test_trials_are_listed_with_the_champion_beside_them(self, client: Client) -> None:
        (trial,) = client.ok("GET", "/shadow")
        assert (trial["version"], trial["champion"], trial["since"]) == (CHALLENGER, CHAMPION, "2026-11-21T07:30:00Z")
        assert client.ok("GET", f"/models/momentum/versions/{CHALLENGER}/shadow") == [trial]
        assert client.ok("GET", f"/models/momentum/versions/{CHAMPION}/shadow") == []

    def test_both_are_compared_over_the_same_hours_and_pair_by_pair(self, client: Client) -> None:
        # Of rows 0 to 5 the champion answers all, the challenger 0 to 4; 5 outcomes are known, of rows 0 to 4.
        champion = [prediction(n, label="up" if n % 2 else "down") for n in range(6)]
        challenger = [prediction(n, CHALLENGER, label="up" if n else "down") for n in range(5)]
        before = [prediction(n, at="2026-11-21T06:00:00Z") for n in (10, 11)]
        report(client, [*champion, *challenger, *before], [outcome(n) for n in range(5)])
        path = f"/models/momentum/versions/{CHALLENGER}/shadow/comparison"
        found = client.ok("GET", path)
        assert (found["since"], found["champion"]) == ("2026-11-21T07:00:00Z", CHAMPION)
        assert found["figures"]["champion"]["predictions"] == 6
        assert found["figures"]["champion"]["accuracy"]["value"] == 2 / 5
        assert found["figures"]["challenger"]["accuracy"]["value"] == 4 / 5
        paired = {"rows": 5, "agreed": 3, "judged": 5, "both_right": 2, "challenger_alone_right": 2}
        assert found["paired"] == paired | {"champion_alone_right": 0, "mean_difference": None}
        kept = client.ok("POST", path)
        assert kept["paired"] == found["paired"]
        (listed,) = client.ok("GET", f"/models/momentum/versions/{CHALLENGER}/shadow/history")["items"]
        assert listed == kept

    def test_of_many_pairs_the_newest_stand_for_all(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shadow, "MAX_PAIRED", 2)
        minutes = [(n, f"2026-11-21T12:0{n}:00Z") for n in range(4)]
        batch = [prediction(n, version, at=at) for n, at in minutes for version in (CHAMPION, CHALLENGER)]
        report(client, batch, [outcome(n, label="up" if n > 1 else "down") for n, _ in minutes])
        found = client.ok("GET", f"/models/momentum/versions/{CHALLENGER}/shadow/comparison")["paired"]
        assert (found["rows"], found["both_right"]) == (2, 2)

    def test_without_a_trial_the_version_in_production_is_the_champion(
        self, database: Database, client: Client
    ) -> None:
        model = rows.add_model(database, "reversal")
        for version, stage in (("1.0.0", Stage.PRODUCTION), ("1.1.0", Stage.DRAFT), ("1.2.0", Stage.DRAFT)):
            rows.add_version(database, model, version, stage)
        found = client.ok("GET", "/models/reversal/versions/1.1.0/shadow/comparison")
        assert (found["champion"], found["since"]) == ("1.0.0", "2026-11-20T12:00:00Z")
        found = client.ok("GET", "/models/reversal/versions/1.1.0/shadow/comparison?champion=1.2.0")
        assert found["champion"] == "1.2.0"
        assert client.get("/models/reversal/versions/1.1.0/shadow/comparison?champion=1.1.0").status_code == 422
        answer = client.get("/models/reversal/versions/1.0.0/shadow/comparison")
        assert (answer.status_code, "name the champion" in answer.json()["detail"]) == (409, True)

    def test_deploy_begins_in_the_shadow_whatever_else_the_spec_says(self, client: Client, cluster: Notebook) -> None:
        spec = {"replicas": 2, "strategy": {"canary": {"bake": "1h", "staging": {"duration": "0s"}}}}
        body = {"namespace": "trading", "duration": "2h", "mirror_percent": 50, "spec": spec}
        placed = client.ok("POST", f"/models/momentum/versions/{CHALLENGER}/shadow/deploy", json=body)
        assert placed["created"] is True
        assert cluster.orders[0].spec == {
            "replicas": 2,
            "strategy": {"canary": {"bake": "1h", "staging": {"duration": "2h", "mirrorPercent": 50}}},
        }

    def test_promote_and_rollback_are_asked_of_the_trials_deployment(self, served: Served, cluster: Notebook) -> None:
        path = f"/models/momentum/versions/{CHALLENGER}/shadow"
        developer, approver = served.client(tenant=TENANT), served.client(tenant=TENANT, role="approver", sub="ada")
        assert developer.post(f"{path}/promote").status_code == 403
        assert approver.ok("POST", f"{path}/promote")["verb"] == "promote"
        assert developer.ok("POST", f"{path}/rollback")["verb"] == "rollback"
        where = "trading/momentum"
        assert cluster.asked == [(f"{where} by ada", Verb.PROMOTE), (f"{where} by dora", Verb.ROLLBACK)]

    def test_a_version_in_no_shadow_is_not_promoted_from_it(self, served: Served, cluster: Notebook) -> None:
        approver = served.client(tenant=TENANT, role="approver")
        assert approver.post(f"/models/momentum/versions/{CHAMPION}/shadow/promote").status_code == 409
        assert cluster.asked == []


def scrape(database: Database, now: dt.datetime = NOW) -> dict[tuple[str, ...], float]:
    """Give each series' value by its name and the labels that differ here."""
    registry = prometheus_client.CollectorRegistry()
    registry.register(Outcomes(database, lambda: now))
    found = {}
    for family in text_string_to_metric_families(prometheus_client.generate_latest(registry).decode()):
        for sample in family.samples:
            labels = {name: sample.labels[name] for name in sorted(set(sample.labels) - {"tenant", "owner", "model"})}
            found[sample.name, *labels.values()] = sample.value
    return found


class TestMetrics:
    def test_counters_are_those_of_the_record_and_outlive_it(self, database: Database, client: Client) -> None:
        report(
            client,
            [prediction(n) for n in range(8)],
            [outcome(n, label=["up", "down", None][n % 3], returned=[0.5, -0.5, 0.0][n % 3]) for n in range(7)],
        )
        before = scrape(database)
        counts = {key: value for key, value in before.items() if key[0].endswith("_total") and CHAMPION in key}
        assert counts == {
            ("serin_recorded_predictions_total", CHAMPION): 8,
            ("serin_outcomes_total", "true", CHAMPION): 3,
            ("serin_outcomes_total", "false", CHAMPION): 2,
            ("serin_outcomes_total", "unknown", CHAMPION): 2,
            ("serin_returns_total", "win", CHAMPION): 3,
            ("serin_returns_total", "loss", CHAMPION): 2,
            ("serin_returns_total", "even", CHAMPION): 2,
        }
        assert before["serin_rolling_accuracy", "value", CHAMPION] == 0.6
        assert before["serin_rolling_win_rate", "low", CHAMPION] < 0.6
        assert before["serin_rolling_profit_factor", CHAMPION] == 1.5
        # A version without outcomes has no share: a rollout waits then.
        assert ("serin_rolling_accuracy", "value", CHALLENGER) not in before
        assert before["serin_outcomes_total", "true", CHALLENGER] == 0
        with database.open(SYSTEM) as session:
            session.execute(sa.delete(tables.Prediction))
            session.execute(sa.delete(tables.Outcome))
        assert scrape(database) == before
        later = scrape(database, NOW + 3 * rows.DAY)
        assert {key: value for key, value in later.items() if key[0].endswith("_total") and CHAMPION in key} == counts
        assert ("serin_rolling_accuracy", "value", CHAMPION) not in later

    def test_a_database_that_is_away_gives_no_numbers_instead_of_wrong_ones(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        away = Database("postgresql://nobody:secret@127.0.0.1:9/none")
        assert scrape(away) == {}
        assert "outcomes cannot be read" in caplog.text
        assert "secret" not in caplog.text
