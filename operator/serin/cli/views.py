"""From objects to what is seen: words, colours, the table and progress lines. Pure: the time is given, nothing is read.

Objects are plain dicts, and a field that is missing is shown as a dash: a command line older or newer than the operator
must still show what it can.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

Object = Mapping[str, Any]

DASH = "-"
_PHASE_STYLES = {
    "Production": "green",
    "Pending": "cyan",
    "Staging": "cyan",
    "Canary": "cyan",
    "Baking": "cyan",
    "Paused": "yellow",
    "Superseded": "yellow",
    "RollingBack": "bold red",
    "RolledBack": "red",
    "Stopped": "bold red",
}
_VERDICT_STYLES = {"Pass": "green", "Fail": "bold red", "Insufficient": "yellow", "Unavailable": "magenta"}
_READY_STYLES = {"True": "green", "False": "red"}

COLUMNS = ("NAMESPACE", "NAME", "READY", "PHASE", "VERSION", "STABLE", "STEP", "WEIGHT", "VERDICT", "AGE")


def status_of(owner: Object) -> Object:
    """Give an object's status; an empty one before the operator has seen it."""
    return owner.get("status") or {}


def condition_of(owner: Object, kind: str) -> Object:
    """Give one condition, or an empty one."""
    conditions = status_of(owner).get("conditions") or []
    return next((found for found in conditions if found.get("type") == kind), {})


def parse_time(text: str | None) -> datetime | None:
    """Read a timestamp as Kubernetes or the operator writes it; None where there is none."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def describe_duration(duration: timedelta) -> str:
    """Write a duration in at most two units: 45s, 3m12s, 5h10m, 2d4h."""
    seconds = max(0, int(duration.total_seconds()))
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    first = next((index for index, (_, size) in enumerate(units) if seconds >= size), 3)
    parts: list[str] = []
    for unit, size in units[first : first + 2]:
        count, seconds = divmod(seconds, size)
        if count or not parts:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def describe_age(text: str | None, now: datetime) -> str:
    """Write how long ago a timestamp was."""
    time = parse_time(text)
    return describe_duration(now - time) if time else DASH


def style_phase(phase: str) -> Text:
    """Colour a phase: green at rest, cyan on the way, yellow held, red taken back."""
    return Text(phase, _PHASE_STYLES.get(phase, ""))


def style_verdict(verdict: str) -> Text:
    """Colour a verdict."""
    return Text(verdict, _VERDICT_STYLES.get(verdict, ""))


def make_table(owners: Iterable[Object], now: datetime, *, wide: bool = False) -> Table:
    """Make the table of `serin get`, one row for each object."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for column in (*COLUMNS, *(("MESSAGE",) if wide else ())):
        is_message = column == "MESSAGE"
        table.add_column(column, no_wrap=not is_message, overflow="fold", min_width=40 if is_message else None)
    for owner in owners:
        table.add_row(*_make_row(owner, now, wide))
    return table


def _make_row(owner: Object, now: datetime, wide: bool) -> list[RenderableType]:
    metadata, status = owner["metadata"], status_of(owner)
    ready = str(condition_of(owner, "Ready").get("status") or DASH)
    verdict = str(status.get("verdict") or "")
    row: list[RenderableType] = [
        str(metadata.get("namespace", DASH)),
        Text(metadata["name"], "bold"),
        Text(ready, _READY_STYLES.get(ready, "yellow")),
        style_phase(str(status.get("phase") or DASH)),
        str(owner["spec"].get("version", DASH)),
        str((status.get("stable") or {}).get("version", DASH)),
        str(status.get("step") or DASH),
        f"{status['weight']} %" if "weight" in status else DASH,
        style_verdict(verdict) if verdict else DASH,
        describe_age(metadata.get("creationTimestamp"), now),
    ]
    return [*row, str(status.get("message") or "")] if wide else row


def progress_key(owner: Object) -> tuple[object, ...]:
    """Give what makes a new progress line worth its place; counts in messages change with every request and do not."""
    status = status_of(owner)
    failure = (status.get("failure") or {}).get("message", "")
    return status.get("phase"), status.get("step"), status.get("weight"), status.get("verdict"), failure


def progress_line(owner: Object, now: datetime) -> str:
    """Say in one line where an object stands, for logs and pipes."""
    metadata, status = owner["metadata"], status_of(owner)
    facts = [str(status.get("phase") or "not seen by the operator yet")]
    if status.get("candidate"):
        facts.append(f"version {status['candidate'].get('version')} at {status.get('weight', 0)} %")
    if status.get("step"):
        facts.append(f"step {status['step']}")
    if status.get("verdict"):
        facts.append(str(status["verdict"]))
    message = f": {status['message']}" if status.get("message") else ""
    return f"{now:%H:%M:%S} {metadata.get('namespace')}/{metadata['name']} {', '.join(facts)}{message}"
