"""How the story looks: a live picture in a terminal, plain lines anywhere else, tables at the end.

Everything here turns values into text; nothing waits and nothing asks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from serin_demo import ledger, record, snapshot, story, summary, watch

# Two bars and their neighbours fit a terminal of 80 columns.
_BAR_CELLS = 14
_TIMES_SHOWN = 8
_NOTHING = ledger.Tally({}, {})


@dataclass(frozen=True)
class Scene:
    """One picture: what is known now, from the cluster and from the clients."""

    act: story.Act
    number: int
    seconds: float
    """Since the story began."""
    sight: watch.Sight
    recent: ledger.Tally = field(default_factory=lambda: _NOTHING)
    """What clients saw in the last seconds."""
    recent_seconds: float = 5.0
    lost: int = 0
    versions: Sequence[str] = ()
    """Those that have been applied so far."""


def make_bar(percent: float, style: str) -> Text:
    """Draw a share as a bar with its number."""
    filled = round(max(0.0, min(percent, 100.0)) / 100 * _BAR_CELLS)
    bar = Text("━" * filled, style=style)
    bar.append("╌" * (_BAR_CELLS - filled), style="grey30")
    bar.append(f" {percent:5.1f} %")
    return bar


def style_of(version: str, rollout: snapshot.Snapshot) -> str:
    """Choose a version's colour: green serves, cyan is being tried, red has failed."""
    if rollout.failure and rollout.failure.version == version:
        return "red"
    return "green" if version == rollout.stable else "cyan"


def make_heading(scene: Scene) -> str:
    """Name the act."""
    return f"act {scene.number} of {len(story.ACTS)}: version {scene.act.version}. {scene.act.title}"


def make_picture(scene: Scene) -> RenderableType:
    """Draw the whole live view."""
    rollout = scene.sight.rollout
    return Panel(
        Group(
            Text(scene.act.told, style="italic"),
            Text(),
            _make_status(rollout, scene),
            Text(),
            _make_traffic(scene),
            Text(),
            _make_alerts(scene.sight.alerts),
            Text(),
            _make_events(scene.sight.events),
            *([Text(f"not up to date: {scene.sight.trouble}", style="yellow")] if scene.sight.trouble else []),
        ),
        title=make_heading(scene),
        subtitle=f"{scene.seconds:.0f} s",
        title_align="left",
        subtitle_align="right",
    )


def _make_status(rollout: snapshot.Snapshot, scene: Scene) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", width=9)
    grid.add_column()
    grid.add_row("phase", Text(rollout.phase, style="bold"))
    grid.add_row("verdict", rollout.verdict or "-")
    grid.add_row("", Text(rollout.message, style="dim"))
    rate = scene.recent.total / scene.recent_seconds
    failing = 100 * scene.recent.failed / scene.recent.total if scene.recent.total else 0.0
    lost = Text(f"{scene.lost} lost", style="red bold" if scene.lost else "green")
    grid.add_row("requests", Text(f"{rate:.0f}/s, {failing:.1f} % fail, ").append_text(lost))
    return grid


def _make_traffic(scene: Scene) -> Table:
    rollout = scene.sight.rollout
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("version", "intended", "gateway", "clients see", "errors"):
        table.add_column(heading)
    for version in scene.versions:
        style = style_of(version, rollout)
        table.add_row(
            Text(version, style=style),
            make_bar(rollout.weights.get(version, 0), style),
            f"{scene.sight.observed.get(version, 0.0):5.1f} %",
            make_bar(100 * scene.recent.share(version), style),
            f"{100 * scene.recent.error_rate(version):5.1f} %",
        )
    return table


def name_firing(alerts: Sequence[watch.Alert]) -> list[str]:
    """Name those that take traffic away; what else fires is news, not danger, and stands among the events."""
    return sorted({alert.name for alert in alerts if alert.firing and alert.action == watch.ROLLBACK})


def _make_alerts(alerts: Sequence[watch.Alert]) -> Text:
    firing = name_firing(alerts)
    if not firing:
        return Text("no alert asks for a rollback", style="dim")
    return Text(f"ALERT {', '.join(firing)}", style="bold white on red")


def _make_events(events: Sequence[watch.Event]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=8, no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for event in events:
        style = "yellow" if event.warning else "dim"
        time = event.at.partition("T")[2][:8]
        grid.add_row(Text(time, style="dim"), Text(f"{event.reason}: {event.message}", style=style))
    return grid


def make_line(scene: Scene) -> str:
    """Tell the scene in one line, for logs."""
    rollout = scene.sight.rollout
    shares = ", ".join(
        f"{version} {rollout.weights.get(version, 0)} % (seen {100 * scene.recent.share(version):.1f} %, "
        f"errors {100 * scene.recent.error_rate(version):.1f} %)"
        for version in scene.versions
        if rollout.weights.get(version) or scene.recent.answers.get(version)
    )
    firing = name_firing(scene.sight.alerts)
    alerts = f" | ALERT {', '.join(firing)}" if firing else ""
    trouble = f" | not up to date: {scene.sight.trouble}" if scene.sight.trouble else ""
    return f"{scene.seconds:6.1f} s  {rollout.phase:<11} {shares} | {scene.lost} lost{alerts}{trouble}"


def make_summary(told: summary.Summary) -> RenderableType:
    """Draw the tables at the end."""
    verdict = (
        Text("\n".join(f"✗ {problem}" for problem in told.problems), style="red bold")
        if told.problems
        else Text("✓ the good version is in production, the bad one is gone, nothing else was lost", style="green bold")
    )
    return Group(_make_steps(told.steps), Text(), _make_fates(told.fates), Text(), _make_figures(told), Text(), verdict)


def _make_table(title: str) -> Table:
    return Table(
        title=title, box=None, padding=(0, 1, 0, 0), header_style="dim", title_justify="left", title_style="bold"
    )


def _make_steps(steps: Sequence[summary.Step]) -> Table:
    table = _make_table("What happened")
    table.add_column("at", justify="right")
    for heading in ("version", "phase"):
        table.add_column(heading, no_wrap=True)
    for heading in ("weight", "lasted", "requests", "share", "p99", "failed"):
        table.add_column(heading, justify="right")
    for step in steps:
        table.add_row(
            f"{step.began:.1f} s",
            step.version,
            step.phase,
            f"{step.weight} %",
            f"{step.lasted:.1f} s",
            str(step.requests),
            f"{100 * step.share:.1f} %" if step.requests else "-",
            f"{1000 * step.p99:.0f} ms" if step.requests else "-",
            Text(str(step.failed), style="red" if step.failed else ""),
        )
    return table


def _make_fates(fates: Sequence[record.Fate]) -> Table:
    table = _make_table("What the registry recorded")
    for heading in ("version", "stage", "its way"):
        table.add_column(heading, no_wrap=heading != "its way")
    for fate in fates:
        way = " → ".join(f"{move.target} at {move.at:.1f} s" for move in fate.moves)
        last = f" ({fate.moves[-1].why})" if fate.moves else ""
        table.add_row(fate.version, fate.stage, f"{way}{last}")
    return table


def _make_figures(told: summary.Summary) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    grid.add_row("the story took", f"{told.seconds:.0f} s")
    protocols = ", ".join(f"{count} over {name}" for name, count in sorted(told.by_protocol.items()))
    grid.add_row("requests", f"{told.requests} ({protocols})")
    grid.add_row("latency", ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in told.latency.items()))
    grid.add_row("accuracy", _describe_accuracy(told.accuracy))
    for rollback in told.rollbacks:
        for name, value in _describe_rollback(rollback):
            grid.add_row(name, value)
    grid.add_row("lost otherwise", _describe_losses(told))
    return grid


def _describe_accuracy(accuracy: Mapping[str, float]) -> str:
    return ", ".join(f"{version} {100 * share:.1f} %" for version, share in accuracy.items()) + " of held-out rows"


def _describe_rollback(rollback: summary.Rollback) -> list[tuple[str, str]]:
    return [
        (f"{rollback.version} went", rollback.cause),
        ("it answered", f"{rollback.answered} requests and failed {rollback.failed} of them"),
        (f"alert → 0 %{f' ({rollback.alert})' if rollback.alert else ''}", _seconds(rollback.alert_to_zero)),
        ("first bad answer → 0 %", _seconds(rollback.first_failure_to_zero)),
    ]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _describe_losses(told: summary.Summary) -> Text:
    if not told.lost:
        return Text("0 requests", style="green")
    kinds = ", ".join(f"{count} of {kind}" for kind, count in told.lost_as.items())
    times = ", ".join(f"{at:.2f}" for at in told.lost_at[:_TIMES_SHOWN])
    return Text(f"{told.lost} requests: {kinds}; at {times} s", style="red")
