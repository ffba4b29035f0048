"""Writes docs/benchmarks.md: a section for each benchmark, with the machine and the date, met or not."""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Each section is written by the benchmark that it names (`make bench`), as measured, met or not. The machines are small
and shared: read medians and ratios, and take single times with care.
"""


@dataclass(frozen=True)
class Figure:
    """One figure: what was asked for, and what was measured; `met` is none where nothing was."""

    what: str
    target: str
    measured: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """Met or not, as the page has it."""
        return {True: "met", False: "**not met**", None: "-"}[self.met]


def describe_machine() -> str:
    """Say what this machine is."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"


def write(name: str, title: str, figures: Sequence[Figure], notes: str) -> None:
    """Write or replace one section, and print it."""
    rows = [f"| {f.what} | {f.target} | {f.measured} | {f.verdict} |" for f in figures]
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {describe_machine()}; load average {os.getloadavg()[1]:.1f}"
    table = ["| figure | target | measured | |", "|---|---|---|---|", *rows]
    section = "\n".join([f"## {title}", "", f"`{name}`, {made}.", "", *table, "", notes.strip(), ""])
    page = PAGE.read_text() if PAGE.exists() else HEAD
    marked = f"<!-- {name} -->\n{section}\n<!-- end {name} -->"
    pattern = re.compile(f"<!-- {re.escape(name)} -->.*<!-- end {re.escape(name)} -->", re.DOTALL)
    page = pattern.sub(lambda _: marked, page) if pattern.search(page) else f"{page.rstrip()}\n\n{marked}\n"
    PAGE.write_text(page)
    print(f"\n{section}")


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value within which a share of the values lies (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, -(-int(share * 100) * len(ranked) // 100) - 1)]
