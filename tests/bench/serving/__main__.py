"""`make bench-serving`: measures Serin and its peers in one run, prints as it goes, and writes docs/benchmarks.md."""

import argparse
import tempfile
from pathlib import Path

import rich.console

from serin_local import layout
from support import report as page

from . import campaign, environments, models, peers, processes, results, screen


def main(words: list[str] | None = None) -> None:
    """Run the command line."""
    options = read(words)
    console = rich.console.Console(width=None if rich.console.Console().is_terminal else 160)
    kept = layout.default().home / "bench" / "serving.json"
    seen = results.Results(machine=page.describe_machine())
    processes.pin_self()
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as scratch:
        running = campaign.Campaign(make_plan(options), environments.open_workshop(), Path(scratch), seen)
        for window in running.run():
            console.print(screen.describe(window, seen), highlight=False)
    seen.save(kept)
    console.print(f"kept in {kept}")


def read(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench-serving", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round and a short soak: does it all work?")
    parser.add_argument("--peers", default="", help="only those whose names contain one of these, by comma")
    parser.add_argument("--models", default="", help="only these, by comma: xgboost, lightgbm, network")
    return parser.parse_args(words)


def make_plan(options: argparse.Namespace) -> campaign.Plan:
    """Choose what is measured."""
    wanted = [word.lower() for word in options.peers.split(",")]
    chosen = tuple(peer for peer in peers.PEERS if any(word in peer.name.lower() for word in wanted))
    kinds = tuple(kind for kind in models.KINDS if not options.models or kind.name in options.models.split(","))
    if options.quick:
        return campaign.Plan(chosen, kinds, rounds=1, seconds=1.0, open_seconds=2.0, soak_seconds=20.0)
    return campaign.Plan(chosen, kinds)


if __name__ == "__main__":
    main()
