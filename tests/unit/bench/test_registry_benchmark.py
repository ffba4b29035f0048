"""What the registry's benchmark keeps of a run, and which section of the page it writes."""

import argparse
import types

import pytest

from bench.registry import __main__ as command
from support import report

FIGURE = report.Figure("a list", "≤ 20 ms", "12.0 ms", met=True)
OTHER = report.Figure("lost", "0", "1", met=False)


@pytest.fixture
def made(monkeypatch, tmp_path):
    """A benchmark whose parts have measured already, with a page and a folder of its own."""
    monkeypatch.setattr(report, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setenv("SERIN_HOME", str(tmp_path))
    parts = {"listing": ([FIGURE], "Lists are of 100."), "crashes": ([OTHER], "")}

    def measure(name):
        return types.SimpleNamespace(measure=lambda quick, scratch: parts[name][0], NOTES=parts[name][1])  # noqa: ARG005

    monkeypatch.setattr(command.importlib, "import_module", lambda name: measure(name.rpartition(".")[2]))
    return tmp_path / "benchmarks.md"


def test_a_part_that_is_measured_anew_leaves_the_others(made):
    command.main(["--only", "listing"])
    command.main(["--only", "crashes"])
    page = made.read_text()
    assert page.count("<!-- tests/bench/registry -->") == 1
    assert page.index("| a list | ≤ 20 ms | 12.0 ms | met |") < page.index("| lost | 0 | 1 | **not met** |")
    assert "Lists are of 100." in page


@pytest.mark.parametrize("option", ["--quick", "--no-page"])
def test_the_page_stays_where_it_should(made, option):
    command.main(["--only", "listing", option])
    assert not made.exists()


def test_an_unknown_part_is_named():
    with pytest.raises(argparse.ArgumentTypeError, match="got speed"):
        command.choose("listing,speed")
