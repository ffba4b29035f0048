"""Commands of parts: found by entry point, listed without being imported, loaded when called."""

import subprocess
import sys
from importlib import metadata

import pytest
from typer.testing import CliRunner

from serin.cli import main, parts

PART = '''
"""A part."""
import typer
app = typer.Typer(help="Does what a part does.")

@app.command()
def go() -> None:
    """Go."""
    typer.echo("gone")

def single(times: int = 1) -> None:
    """Do one thing.

    At length.
    """
    typer.echo("done " * times)
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package on the path, whose import is an event."""
    folder = tmp_path / "serin_test_part"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise_on_import = None\n")
    (folder / "cli.py").write_text(PART)
    (folder / "broken.py").write_text(
        '"""Needs what is not there."""\nimport not_installed_anywhere\n\ndef run():\n    """Run."""\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "serin_test_part"
    for name in [name for name in sys.modules if name.startswith("serin_test_part")]:
        del sys.modules[name]


def entry(name: str, value: str) -> metadata.EntryPoint:
    return metadata.EntryPoint(name, value, parts.GROUP)


def invoke(found: list[parts.Part], *words: str):
    return CliRunner().invoke(main.make_app(main.find_called(words), found), words)


def test_the_project_s_own_parts_are_found():
    assert {"package", "build", "local", "demo"} <= {part.name for part in parts.find_parts()}


def test_a_part_cannot_take_a_name_of_ours():
    found = parts.find_parts([entry("get", "evil:get"), entry("extra", "good:run")])

    assert {part.name: part.target for part in found}["get"] == parts.OWN["get"]
    assert found[-1] == parts.Part("extra", "good:run")


def test_the_list_shows_summaries_without_importing_anything(package):
    found = parts.find_parts([entry("thing", f"{package}.cli:app"), entry("single", f"{package}.cli:single")])

    shown = invoke(found, "--help").output

    assert "Does what a part does." in shown
    assert "Do one thing." in shown
    assert not [name for name in sys.modules if name.startswith(package)]


def test_a_typer_app_becomes_a_group(package):
    found = parts.find_parts([entry("thing", f"{package}.cli:app"), entry("other", f"{package}.cli:single")])

    assert "Go." in invoke(found, "thing", "--help").output


def test_a_function_becomes_a_command(package):
    found = parts.find_parts([entry("single", f"{package}.cli:single")])

    result = invoke(found, "single", "--times", "2")

    assert (result.exit_code, result.output) == (0, "done done \n")


def test_a_part_whose_library_is_not_installed_is_listed_and_says_how_to_install_it(package):
    part = parts.Part("broken", f"{package}.broken:run", ("demo",))

    assert "Run." in invoke([part], "--help").output
    with pytest.raises(parts.MissingExtraError, match="not_installed_anywhere") as raised:
        parts.load(part)
    assert raised.value.advice == "in Serin's source tree: pip install '.[demo]'"


def test_the_list_names_what_an_extra_lacks():
    requires = [
        'numpy>=2; extra == "demo"',
        'surely-not-installed>=1.0; extra == "demo"',
        "pyyaml",
        'x; extra == "other"',
    ]

    assert parts.missing_requirements(["demo"], lambda _: requires) == ["surely-not-installed"]


def test_the_list_says_how_to_install_what_is_lacking(monkeypatch):
    monkeypatch.setattr(parts.metadata, "requires", lambda _: ['surely-not-installed; extra == "demo"'])

    summary = parts.summarise(parts.Part("demo", "serin.cli.show:get", ("demo",)))

    assert summary.startswith("List ModelDeployments")
    assert "pip install '.[demo]'" in summary


def test_an_entry_point_that_names_nothing_says_so(package):
    with pytest.raises(parts.CliError, match="no attribute 'nothing'"):
        parts.load(parts.Part("x", f"{package}.cli:nothing"))


@pytest.mark.parametrize("part", parts.find_parts(), ids=lambda part: part.name)
def test_each_command_has_a_summary(part):
    assert len(parts.read_summary(part.target)) > 10


@pytest.mark.parametrize("name", parts.OWN)
def test_each_command_of_ours_has_examples(name):
    result = invoke(parts.find_parts([]), name, "--help")

    assert result.exit_code == 0
    assert f"serin {name} " in result.output


def test_version_is_the_distribution_s():
    assert invoke([], "--version").output == f"serin {metadata.version('serin')}\n"


def test_a_mistyped_command_gets_a_suggestion():
    result = invoke(parts.find_parts([]), "statsu")

    assert result.exit_code == 2
    assert "status" in result.output


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["--help"], ["kubernetes", "rich", "pydantic", "numpy", "serin_local", "serin_demo", "serin_services"]),
        (["get", "--help"], ["kubernetes", "numpy"]),
        (["lint", "--help"], ["kubernetes", "numpy", "rich"]),
    ],
    ids=["the list of commands", "get", "lint"],
)
def test_only_what_a_command_needs_is_imported(words, absent):
    program = (
        f"import sys\nsys.argv = ['serin', *{words!r}]\nfrom serin.cli import main\n"
        "try:\n    main.main()\nexcept SystemExit:\n    pass\n"
        f"print('IMPORTED', [name for name in {absent!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "IMPORTED []"
