"""The dashboards: committed as made, one query language, and only metrics that somebody writes."""

import json
import re

import pytest

import dashboards
from serin.api import metrics
from support import promtool

WRITTEN = {value for name, value in vars(metrics).items() if name.isupper() and str(value).startswith("serin_")}
RECORDED = {rule["record"] for group in promtool.rules_of()["groups"] for rule in group["rules"] if "record" in rule}


@pytest.mark.parametrize("board", dashboards.BOARDS, ids=lambda board: board.name)
def test_a_dashboard_is_what_grafana_reads(board: dashboards.Board) -> None:
    made = json.loads(dashboards.make_file(board))
    panels = [panel for panel in made["panels"] if panel["type"] != "row"]
    assert made["uid"] == f"serin-{board.name}"
    assert [variable["name"] for variable in made["templating"]["list"]] == [
        "datasource",
        "namespace",
        "modeldeployment",
    ]
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}
        assert panel["description"].endswith(".")
        assert panel["targets"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= dashboards.WIDTH


@pytest.mark.parametrize("board", dashboards.BOARDS, ids=lambda board: board.name)
def test_panels_do_not_lie_on_each_other(board: dashboards.Board) -> None:
    places = [panel["gridPos"] for panel in dashboards.make_dashboard(board)["panels"]]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))


def test_every_query_names_metrics_that_are_written() -> None:
    written = WRITTEN | RECORDED
    for query in dashboards.list_queries("shop", "m"):
        named = set(re.findall(r"\b(?:revision:|modeldeployment:)?serin_[a-z_]+(?::[a-z]+)?", query.expression)) - {
            "serin_action"
        }
        assert named or "ALERTS" in query.expression, query
        for metric in named:
            assert metric in written or re.sub(r"_(bucket|sum|count)$", "", metric) in written, (query.panel, metric)


def test_variables_are_filled_in_and_none_is_forgotten() -> None:
    queries = dashboards.list_queries("shop", "m", rate_interval="30s")
    assert len(queries) > 25
    assert all("$" not in query.expression for query in queries)
    of_all = [query.panel for query in queries if 'namespace="shop", modeldeployment="m"' not in query.expression]
    assert set(of_all) == {"Reconciliation time", "Reconciliations"}
    assert {query.dashboard for query in queries} == {"rollout", "serving"}
