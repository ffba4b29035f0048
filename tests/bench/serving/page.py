"""Writes the section of docs/benchmarks.md: what was asked, met or not, and every table behind it."""

from collections.abc import Sequence

from support import report

from . import peers, tables, targets
from .measure import Window
from .models import Kind
from .results import Results

NAME = "tests/bench/serving"
HOW = """
`make bench-serving`: every server has one worker, pinned to the first core; the generator (`tests/bench/serving/load`)
runs on the last and is the same for all. CPU is user and system time of the server's whole process tree per request;
times are the generator's; MB is resident memory. Each figure is the median of rounds that alternate between the
servers, and a server is measured only once its answer has been held against the library's. Open loops draw the times
of their requests before they are sent and count latency from them, over 64 connections. "The bare call" is the fastest
form of the model at that number of rows; shares of it, and what batches gain, are medians of turns: the one, then the
other. The control shows what the machine does to any server of as much work per request. Decision 0078 says why it is
measured so.

"Capacity" is what 16 or 64 connections reach, each asking again as soon as it is answered, so that many requests are
read in one turn of the server's loop; the soak's is what 64 reached for half a minute right before, the overload's what
they reached right before and after. In an open loop requests come one by one and cost more each, which the soak's table
shows.
"""


def write(kinds: Sequence[Kind], seen: Results) -> None:
    """Write the section, and print it."""
    notes = [HOW.strip(), "", *describe_run(seen), "", *list_peers(), "", *list_missing(seen), *list_errors(seen)]
    made = [table.to_markdown() for table in tables.of_all(kinds, seen)]
    report.write(NAME, "The model server and its peers", targets.hold(seen), "\n".join([*notes, *made]))


def describe_run(seen: Results) -> list[str]:
    """Say how long it was measured, how busy the generator was, and what a batch could save at most."""
    said = ["Measured:", "", *(f"- {part}: {words}" for part, words in seen.plans.items()), ""]
    if seen.windows:
        said.append(f"The generator used at most {max(window.generator for window in seen.windows):.0%} of its core.")
    calls = {rows: seen.library_call("network", rows) for rows in (1, 8, 64)}
    by_row = [f"{micros / rows / 1000:.2f} ms a row by {rows}" for rows, micros in calls.items() if micros is not None]
    if by_row:
        said.append(
            f"Batching can save no more than the bare call does on one core: the network takes {', '.join(by_row)}."
        )
    return said


def list_peers() -> list[str]:
    """Say how each peer was set up."""
    return [f"- {peer.name}: {peer.note}." for peer in peers.PEERS if peer.note]


def list_missing(seen: Results) -> list[str]:
    """Say what was not measured, and why: the first line of each reason."""
    if not seen.missing:
        return []
    reasons = [f"- {key}: {reason.splitlines()[0]}" for key, reason in seen.missing.items()]
    return ["Not measured:", "", *reasons, ""]


def list_errors(seen: Results) -> list[str]:
    """Say which loads had errors, how many of how many, and the words of the last one."""
    found: dict[tuple[str, ...], list[Window]] = {}
    for window in (*seen.windows, *seen.soak):
        found.setdefault((window.peer, window.dialect, window.model, window.load), []).append(window)
    lines = [
        f"- {', '.join(key)}: {failed:,} of {failed + sum(w.requests for w in windows):,}, such as: {last[:120]}"
        for key, windows in found.items()
        if (failed := sum(window.errors for window in windows))
        and (last := next(window.error for window in reversed(windows) if window.errors))
    ]
    return ["Errors under load:", "", *lines, ""] if lines else []
