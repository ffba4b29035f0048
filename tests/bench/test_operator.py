"""What the operator costs while three rollouts run."""

import contextlib
import os
import time
from pathlib import Path

from support import report
from support import world as worlds

ROLLOUTS = 3
SECONDS = 60.0


def find_operator() -> int:
    """Find the operator's process: the node is this machine."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and b"-m\0serin.main\0" in (entry / "cmdline").read_bytes():
                return int(entry.name)
    raise AssertionError("no process runs serin.main")


def read_cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_peak_memory(pid: int) -> float:
    """Read the largest resident size so far, in MB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def test_the_operator_is_small(world: worlds.World) -> None:
    with world.namespace() as namespace, contextlib.ExitStack() as stack:
        objects = [worlds.Model(world, namespace, f"tumor-{number}") for number in range(ROLLOUTS)]
        steps = [{"weight": 25, "duration": "10m"}, {"weight": 100}]
        for item in objects:
            item.spec["strategy"] = worlds.make_canary(steps=steps)
            item.apply("1.0.0")
        for item in objects:
            item.wait_stable("1.0.0")
            stack.enter_context(item.traffic(rate=10))
            item.apply("1.1.0")
        for item in objects:
            item.wait_weight(25)
        pid = find_operator()
        before, started = read_cpu_seconds(pid), time.monotonic()
        world.wait("a minute", time.monotonic, lambda now: now - started >= SECONDS, SECONDS + 30)
        used = 100 * (read_cpu_seconds(pid) - before) / (time.monotonic() - started)
        phases = {item.status()["phase"] for item in objects}
        memory = read_peak_memory(pid)

    assert phases == {"Canary"}
    figures = [
        report.Figure("peak resident memory", "≤ 150 MB", f"{memory:.0f} MB", memory <= 150),
        report.Figure("share of a core", "≤ 2 %", f"{used:.1f} %", used <= 2),
    ]
    notes = f"""
{ROLLOUTS} canaries at 25 % for {SECONDS:.0f} s, each with traffic; evidence is evaluated every second and alerts are polled
twice a second, which is five times as often as the chart's default.
"""
    report.write("tests/bench/test_operator.py", "The operator", figures, notes)
