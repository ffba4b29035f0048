"""Makes the Grafana dashboards: what they show is data below, how Grafana writes it is the SDK's affair.

Every query answers while a rollout runs, with 0 where nothing has happened yet; a cluster test asks each of them.
"""

import dataclasses
import functools
import itertools
import json
from collections.abc import Callable
from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard

from serin.api import metrics

OBJECT = 'namespace="$namespace", modeldeployment="$modeldeployment"'
RATE = "[$__rate_interval]"
# Where nothing has happened yet there is no series, and nothing is 0.
ELSE_ZERO = "or on () vector(0)"

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="$datasource")
WIDTH, HEIGHT = 24, 8


@dataclasses.dataclass(frozen=True)
class Query:
    """PromQL and how its series are named."""

    expression: str
    legend: str
    dashed: bool = False


@dataclasses.dataclass(frozen=True)
class Panel:
    """One panel: what it shows, and one sentence on how to read it."""

    title: str
    description: str
    queries: tuple[Query, ...]
    kind: str = "lines"
    unit: str = "short"
    span: int = WIDTH // 2
    height: int = HEIGHT
    most: float | None = None


@dataclasses.dataclass(frozen=True)
class Board:
    """A dashboard: rows of panels, each row with its title."""

    name: str
    title: str
    description: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def rate(metric: str, by: str, selector: str = "") -> str:
    """Write the sum of a counter's rates."""
    return f"sum by ({by}) (rate({metric}{{{OBJECT}{selector}}}{RATE}))"


def quantile(share: float, metric: str, by: str = "") -> str:
    """Write a quantile of a histogram."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', f'le{by}')})"


def reconcile_quantile(share: float) -> str:
    """Write a quantile of the operator's time to reconcile, which tells of no single object."""
    return f"histogram_quantile({share}, sum by (le) (rate({metrics.RECONCILE_SECONDS}_bucket{RATE})))"


def share_of(outcome: str) -> str:
    """Write the share of requests that ended in an outcome, of each version."""
    bad = rate(metrics.REQUESTS, "version", f', outcome="{outcome}"')
    return f"{bad}\n/\n{rate(metrics.REQUESTS, 'version')}"


def weight(kind: str) -> str:
    """Write the share of the traffic of each version, as it was intended or seen."""
    return f'max by (version) ({metrics.WEIGHT}{{{OBJECT}, kind="{kind}"}})'


REQUESTS_BY_VERSION = Panel(
    "Requests by version",
    "What each version answered; mirrored requests count too, although nobody reads those answers.",
    (Query(rate(metrics.REQUESTS, "version"), "{{version}}"),),
    unit="reqps",
)

ROLLOUT = Board(
    "rollout",
    "Serin / Rollout",
    "One ModelDeployment's way to a new version: phases, weights, evidence, alerts and rollbacks.",
    (
        (
            "Now",
            (
                Panel("Phase", "Where the rollout stands.",
                      (Query(f"max by (phase) ({metrics.PHASE}{{{OBJECT}}} == 1)", "{{phase}}"),),
                      kind="name", span=6, height=4),
                Panel("Step", "The step of the strategy, counted from 1; 0 before the first.",
                      (Query(f"max({metrics.STEP}{{{OBJECT}}})", "step"),), kind="number", span=3, height=4),
                Panel("Rollback alerts firing", "Alerts that take the traffic away from the version under test.",
                      (Query(f'count(ALERTS{{{OBJECT}, alertstate="firing", serin_action="rollback"}}) {ELSE_ZERO}',
                             "alerts"),),
                      kind="alarm", span=4, height=4),
                Panel("Rollback time", "From the alert seen to the weights written, mean of all rollbacks.",
                      (Query(f"sum({metrics.ROLLBACK_SECONDS}_sum{{{OBJECT}}})"
                             f" / (sum({metrics.ROLLBACK_SECONDS}_count{{{OBJECT}}}) > 0) {ELSE_ZERO}", "mean"),),
                      kind="number", unit="s", span=4, height=4),
                Panel("Weights changed by others", "Each was put back; find out who writes the route.",
                      (Query(f"sum(increase({metrics.FOREIGN_WRITES}{{{OBJECT}}}[$__range])) {ELSE_ZERO}", "writes"),),
                      kind="alarm", span=4, height=4),
                Panel("Rollouts ended", "How the rollouts of this object ended since the operator started.",
                      (Query(f"sum by (outcome) ({metrics.ROLLOUTS}{{{OBJECT}}}) {ELSE_ZERO}", "{{outcome}}"),),
                      kind="number", span=3, height=4),
            ),
        ),
        (
            "Progress",
            (
                Panel("Phases", "One row for each phase.",
                      (Query(f"max by (phase) ({metrics.PHASE}{{{OBJECT}}})", "{{phase}}"),), kind="states"),
                Panel("Weights", "The share of traffic each version should have, and the share it was seen to have.",
                      (Query(weight("intended"), "{{version}} intended"),
                       Query(weight("observed"), "{{version}} observed", dashed=True)),
                      unit="percent", most=100),
                Panel("Steps", "The step of the strategy over time.",
                      (Query(f"max({metrics.STEP}{{{OBJECT}}})", "step"),)),
                REQUESTS_BY_VERSION,
            ),
        ),
        (
            "Evidence",
            (
                Panel("Verdicts", "Only Pass advances; Unavailable means that Prometheus did not answer.",
                      (Query(f"max by (verdict) ({metrics.VERDICT}{{{OBJECT}}})", "{{verdict}}"),), kind="states"),
                Panel("Alerts seen by the operator", "Alerts of this object that the operator knows to fire.",
                      (Query(f"max by (alertname) ({metrics.ALERT_FIRING}{{{OBJECT}}}) {ELSE_ZERO}", "{{alertname}}"),),
                      kind="states"),
                Panel("Bad answers, as sure as the counts allow",
                      "An alert fires when a criterion's lower bound (line) is above its limit (dashes).",
                      (Query(f"max by (criterion) (revision:serin_bad_share:lower{{{OBJECT}}})\n"
                             f"or max by (criterion) (0 * revision:serin_bad_share:limit{{{OBJECT}}})",
                             "{{criterion}}"),
                       Query(f"max by (criterion) (revision:serin_bad_share:limit{{{OBJECT}}})", "{{criterion}} limit",
                             dashed=True)),
                      unit="percentunit"),
                Panel("Answers counted by the rules", "The rules are silent below prometheusRule.minAnswers.",
                      (Query(f'max by (window) (revision:serin_answers:count{{{OBJECT}, criterion="errorRate"}}'
                             "\n  and on (namespace, modeldeployment, revision) revision:serin_under_test:info)",
                             "{{window}}"),)),
            ),
        ),
        (
            "Operator (all objects)",
            (
                Panel("Reconciliation time", "How long the operator takes for one look at an object.",
                      tuple(Query(reconcile_quantile(share), name) for share, name in ((0.5, "p50"), (0.95, "p95"))),
                      unit="s"),
                Panel("Reconciliations", "How often the operator looks at objects, and how often that fails.",
                      (Query(f"sum(rate({metrics.RECONCILE_SECONDS}_count{RATE}))", "all"),
                       Query(f"sum(rate({metrics.RECONCILE_ERRORS}{RATE}))", "failed")), unit="ops"),
            ),
        ),
    ),
)  # fmt: skip

SERVING = Board(
    "serving",
    "Serin / Serving",
    "What the versions of one ModelDeployment answer, how fast, and how sure of it they are.",
    (
        (
            "Traffic",
            (
                REQUESTS_BY_VERSION,
                Panel("Requests by protocol", "HTTP and gRPC, each version.",
                      (Query(rate(metrics.REQUESTS, "version, protocol"), "{{version}} {{protocol}}"),), unit="reqps"),
                Panel("Failed", "The share of requests that the version failed to answer; the client is not to blame.",
                      (Query(share_of("failed"), "{{version}}"),), unit="percentunit"),
                Panel("Refused", "The share refused as wrong; compare the versions, their clients are the same.",
                      (Query(share_of("refused"), "{{version}}"),), unit="percentunit"),
            ),
        ),
        (
            "Time to answer",
            tuple(
                Panel(title, f"{percent} of the answers took no longer.",
                      (Query(quantile(share, metrics.REQUEST_SECONDS, ", version"), "{{version}}"),), unit="s", span=8)
                for title, share, percent in (("p50", 0.5, "Half"), ("p95", 0.95, "95 %"), ("p99", 0.99, "99 %"))
            ),
        ),
        (
            "Predictions",
            (
                Panel("Confidence, median", "A sudden change means other data, or another model.",
                      (Query(quantile(0.5, metrics.PREDICTION_CONFIDENCE, ", version"), "{{version}}"),),
                      unit="percentunit", most=1),
                Panel("Confidence, lowest tenth", "The predictions that the version is least sure of.",
                      (Query(quantile(0.1, metrics.PREDICTION_CONFIDENCE, ", version"), "{{version}}"),),
                      unit="percentunit", most=1),
                Panel("Predictions by label", "What the versions predict.",
                      (Query(rate(metrics.PREDICTIONS, "version, label"), "{{version}} {{label}}"),), unit="ops"),
                Panel("Feature mismatches", "Requests whose features are not the ones that the version was trained on.",
                      (Query(rate(metrics.FEATURE_MISMATCH, "version"), "{{version}}"),), unit="reqps"),
            ),
        ),
        (
            "Prediction log and cache",
            (
                Panel("Rows for the log", "Chosen and written; what lies between them waits.",
                      (Query(rate(metrics.PREDICTION_LOG_RECORDS, "version"), "{{version}} chosen"),
                       Query(rate(metrics.PREDICTION_LOG_WRITTEN, "version"), "{{version}} written")), unit="ops"),
                Panel("Rows lost", "Dropped because the sink was slow, or given up on because it did not take them.",
                      (Query(rate(metrics.PREDICTION_LOG_DROPPED, "version"), "{{version}} dropped"),
                       Query(rate(metrics.PREDICTION_LOG_FAILED, "version"), "{{version}} failed")), unit="ops"),
                Panel("Cache", "Requests answered from the cache, and those that were not in it.",
                      (Query(rate(metrics.CACHE_LOOKUPS, "version, result"), "{{version}} {{result}}"),), unit="reqps"),
            ),
        ),
        (
            "Pods",
            (
                Panel("Pods by version", "Ready or not, as long as Prometheus reaches them.",
                      (Query("count by (version, family) "
                             f"({metrics.MODEL_INFO}{{{OBJECT}}})", "{{version}} {{family}}"),)),
                Panel("Requests by pod", "An uneven share points at one bad pod.",
                      (Query(rate(metrics.REQUESTS, "version, pod"), "{{version}} {{pod}}"),), unit="reqps"),
            ),
        ),
    ),
)  # fmt: skip

BOARDS = (ROLLOUT, SERVING)


def make_variables() -> list[Any]:
    """Make the variables: the data source, and the ModelDeployment by namespace and name."""
    source = dashboard_builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    variables = [source]
    for name, label, query in (
        ("namespace", "Namespace", f"label_values({metrics.PHASE}, namespace)"),
        (
            "modeldeployment",
            "ModelDeployment",
            f'label_values({metrics.PHASE}{{namespace="$namespace"}}, modeldeployment)',
        ),
    ):
        variables.append(
            dashboard_builders.QueryVariable(name)
            .label(label)
            .datasource(DATASOURCE)
            .query({"query": query, "refId": name})
            .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        )
    return variables


def make_lines(panel: Panel) -> Any:  # noqa: ANN401 - the SDK's builders share no type
    """Make a panel of lines over time; dashes for what is only seen or allowed."""
    made = (
        timeseries.Panel()
        .min(0)
        .fill_opacity(5)
        .show_points(common.VisibilityMode.NEVER)
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    )
    for query, letter in zip(panel.queries, "ABCDEF", strict=False):
        if query.dashed:
            dashes = dashboard.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]})
            made.override_by_query(letter, [dashes])
    return made if panel.most is None else made.max(panel.most)


def make_states(_panel: Panel) -> Any:  # noqa: ANN401
    """Make a panel of states over time: coloured while a series is 1."""
    states = dashboard.ValueMap(
        {
            "0": dashboard.ValueMappingResult(text=" ", color="transparent"),
            "1": dashboard.ValueMappingResult(text="yes", color="green"),
        }
    )
    return statetimeline.Panel().mappings([states]).show_value(common.VisibilityMode.NEVER).row_height(0.8)


def make_stat(panel: Panel) -> Any:  # noqa: ANN401
    """Make a panel of the latest value: a number, the name of its series, or a number that should be 0."""
    made = (
        stat.Panel()
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.VALUE)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .text_mode(common.BigValueTextMode.NAME if panel.kind == "name" else common.BigValueTextMode.AUTO)
    )
    steps = [dashboard.Threshold(value=None, color="green")]
    if panel.kind == "alarm":
        steps.append(dashboard.Threshold(value=1, color="red"))
    return made.thresholds(dashboard_builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps))


MAKERS: dict[str, Callable[[Panel], Any]] = {
    "lines": make_lines, "states": make_states, "number": make_stat, "name": make_stat, "alarm": make_stat,
}  # fmt: skip


def make_panel(panel: Panel, number: int) -> Any:  # noqa: ANN401
    """Make a panel with its queries; its number is what links to it name."""
    made = MAKERS[panel.kind](panel)
    made.id(number).title(panel.title).description(panel.description).datasource(DATASOURCE)
    made.span(panel.span).height(panel.height).unit(panel.unit)
    latest_only = MAKERS[panel.kind] is make_stat
    for query, letter in zip(panel.queries, "ABCDEF", strict=False):
        target = prometheus.Dataquery().ref_id(letter).expr(query.expression).legend_format(query.legend)
        made.with_target(target.instant() if latest_only else target.range())
    return made


def make_dashboard(board: Board) -> dict[str, Any]:
    """Make a dashboard as Grafana reads it."""
    made = (
        dashboard_builders.Dashboard(board.title)
        .uid(f"serin-{board.name}")
        .description(board.description)
        .tags(["serin"])
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("5s")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard_builders.DashboardLink("Serin")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags(["serin"])
            .include_vars(True)
            .keep_time(True)
        )
    )
    for variable in make_variables():
        made.with_variable(variable)
    numbers = itertools.count(1)
    for title, panels in board.rows:
        made.with_row(dashboard_builders.Row(title).id(next(numbers)))
        for panel in panels:
            made.with_panel(make_panel(panel, next(numbers)))
    encoded: dict[str, Any] = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    return encoded


def make_file(board: Board) -> str:
    """Make the text of a dashboard's file."""
    return json.dumps(make_dashboard(board), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


FILES: dict[str, Callable[[], str]] = {f"{board.name}.json": functools.partial(make_file, board) for board in BOARDS}


@dataclasses.dataclass(frozen=True)
class PanelQuery:
    """A panel's query as Prometheus is asked it."""

    dashboard: str
    panel: str
    expression: str


def list_queries(
    namespace: str, modeldeployment: str, *, rate_interval: str = "1m", time_range: str = "15m"
) -> list[PanelQuery]:
    """List every query of every panel with its variables filled in, read from what Grafana gets."""
    values = {
        "$namespace": namespace,
        "$modeldeployment": modeldeployment,
        "$__rate_interval": rate_interval,
        "$__range": time_range,
    }
    return [
        PanelQuery(board.name, panel["title"], _fill(target["expr"], values))
        for board in BOARDS
        for panel in make_dashboard(board)["panels"]
        for target in panel.get("targets", [])
    ]


def _fill(expression: str, values: dict[str, str]) -> str:
    for variable, value in values.items():
        expression = expression.replace(variable, value)
    if "$" in expression:
        raise ValueError(f"a variable of {expression!r} has no value here; known are {', '.join(values)}")
    return expression
