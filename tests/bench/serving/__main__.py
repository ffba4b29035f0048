"""`make bench-serving`: measures Serin and its peers in one run, prints as it goes, and writes docs/benchmarks.md."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import rich.console

from serin_local import errors, layout

from . import campaign, environments, models, page, peers, processes, results, screen, tables

# Of tables in a log: as wide as the widest.
WIDTH = 200
PARTS = (*(kind.name for kind in models.KINDS), results.IMAGES_PART, results.STRESS_PART)


def main(words: list[str] | None = None) -> None:
    """Run the command line."""
    options = read(words)
    # By default a process that is told to end leaves the servers that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = rich.console.Console(soft_wrap=True, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    # Neither a short run nor a choice of peers is a measurement for the page, nor may it replace one.
    trial = bool(options.quick or options.peers)
    kept = layout.default().home / "bench" / ("serving-trial.json" if trial else "serving.json")
    try:
        seen = results.load(kept) if options.again else measure(make_plan(options), console, kept)
    except errors.ClusterError as error:
        sys.exit(f"error: {error}")
    for table in tables.of_all(models.KINDS, seen):
        console.print(table.to_screen())
    if trial:
        console.print(tables.of_targets(seen).to_screen())
    elif not options.no_page:
        page.write(models.KINDS, seen)
    console.print(f"every window is kept in {kept}")


def measure(plan: campaign.Plan, console: rich.console.Console, kept: Path) -> results.Results:
    """Measure a plan, and show and keep each window as it comes; parts that are not in it stay as they were measured."""
    seen = recall(kept, plan.parts)
    processes.pin_self()
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as scratch:
        running = campaign.Campaign(plan, environments.open_workshop(), Path(scratch), seen)
        for window in running.run():
            console.print(screen.describe(window, seen))
            seen.save(kept)
    seen.save(kept)
    return seen


def recall(kept: Path, parts: Sequence[str]) -> results.Results:
    """What earlier runs measured: each part stays until it is measured again, also when a run is broken off.

    Raises:
        errors.ClusterError: another version of the benchmark kept it, and not all parts are to be measured again.
    """
    try:
        return results.load(kept) if kept.exists() else results.Results()
    except errors.ClusterError:
        if set(parts) != set(PARTS):
            raise
        return results.Results()


def read(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one short round and a short soak: does it all work? No page"
    )
    parser.add_argument("--rounds", type=int, default=campaign.Plan.rounds, help="how often each peer has its turn")
    parser.add_argument("--peers", default="", help="only whose names contain one of these, by comma; no page")
    parser.add_argument(
        "--parts",
        type=read_parts,
        default=PARTS,
        help=f"measure only these again, by comma, and keep the others of the last run (all: {','.join(PARTS)})",
    )
    parser.add_argument("--again", action="store_true", help="measure nothing: print and write the last run again")
    parser.add_argument("--no-page", action="store_true", help="leave docs/benchmarks.md as it is")
    return parser.parse_args(words)


def read_parts(words: str) -> tuple[str, ...]:
    """Read which parts are wanted."""
    wanted = words.split(",")
    if unknown := [word for word in wanted if word not in PARTS]:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(PARTS)}, got {unknown[0]!r}")
    return tuple(part for part in PARTS if part in wanted)


def make_plan(options: argparse.Namespace) -> campaign.Plan:
    """Choose what is measured."""
    wanted = [word.lower() for word in options.peers.split(",")]
    chosen = tuple(peer for peer in peers.PEERS if any(word in peer.name.lower() for word in wanted))
    if options.quick:
        return campaign.Plan(
            chosen,
            options.parts,
            rounds=1,
            seconds=1.0,
            open_seconds=2.0,
            turns=1,
            steady_seconds=5.0,
            soak_seconds=30.0,
            overload_seconds=10.0,
        )
    return campaign.Plan(chosen, options.parts, options.rounds)


if __name__ == "__main__":
    main()
