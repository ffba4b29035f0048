"""Commands by name, loaded only when one is called: the list of them must not wait for the libraries of all.

A command is named like an entry point, `module:attribute`; a part of Serin that is installed adds its own in the group
`serin.commands`. The one-line summaries of the list are read from the source without running it.
"""

import ast
import importlib
import importlib.util
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import typer

from serin.cli.errors import CliError, MissingExtraError, install_advice

GROUP = "serin.commands"
DISTRIBUTION = "serin"

OWN = {
    "get": "serin.cli.show:get",
    "status": "serin.cli.inspection:status",
    "promote": "serin.cli.requests:promote",
    "pause": "serin.cli.requests:pause",
    "resume": "serin.cli.requests:resume",
    "rollback": "serin.cli.requests:rollback",
    "retry": "serin.cli.requests:retry",
    "stop": "serin.cli.requests:stop",
    "wait": "serin.cli.waiting:wait",
    "lint": "serin.cli.lint:lint",
    "init": "serin.cli.scaffold:init",
}
# What `pip install` must name for the commands of Serin's other parts.
EXTRAS = {
    "package": ("xgboost", "lightgbm"),
    "build": ("xgboost", "lightgbm"),
    "local": ("local",),
    "demo": ("demo",),
    "registry": ("registry",),
}


@dataclass(frozen=True)
class Part:
    """A command that can be loaded."""

    name: str
    target: str
    extras: tuple[str, ...] = ()

    @property
    def install(self) -> str:
        """How its libraries are installed."""
        return install_advice(*self.extras)


def find_parts(entry_points: Iterable[metadata.EntryPoint] | None = None) -> list[Part]:
    """Find all commands: our own, then those of other parts, which cannot take a name of ours."""
    found = metadata.entry_points(group=GROUP) if entry_points is None else entry_points
    others = {entry.name: Part(entry.name, entry.value, EXTRAS.get(entry.name, ())) for entry in found}
    own = {name: Part(name, target) for name, target in OWN.items()}
    return [*own.values(), *(others[name] for name in sorted(set(others) - set(own)))]


def load(part: Part) -> Any:  # noqa: ANN401 - a typer app or a function
    """Import a command.

    Raises:
        MissingExtraError: one of its libraries is not installed.
        CliError: it is not what the entry point says.
    """
    module, _, attribute = part.target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        advice = part.install if part.extras else f"install the library that {module} imports"
        raise MissingExtraError(f"`serin {part.name}` cannot be loaded: {error}", advice) from error
    except AttributeError as error:
        raise CliError(
            f"`serin {part.name}` cannot be loaded: {error}", f"its entry point names {part.target}"
        ) from error


def register(app: typer.Typer, part: Part, called: str | None) -> None:
    """Add a command to the app: the command itself when it is called, otherwise a line for the list."""
    if part.name != called:
        app.command(part.name, short_help=summarise(part))(_do_nothing)
        return
    command = load(part)
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=part.name)
    else:
        app.command(part.name)(command)


def _do_nothing() -> None:
    """Stand in a list of commands; a command that is called is registered itself."""


def summarise(part: Part) -> str:
    """Give the line for the list: what the command does, and how to install it where it is not."""
    lacking = missing_requirements(part.extras, metadata.requires)
    summary = read_summary(part.target) or part.target
    return f"{summary} [not all of its libraries are installed; {part.install}]" if lacking else summary


def missing_requirements(extras: Iterable[str], requires: Callable[[str], list[str] | None]) -> list[str]:
    """Name the distributions that some extras ask for and that are not installed."""
    wanted = set(extras)
    if not wanted:
        return []
    try:
        lines = requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    found = [re.match(r"""([\w.-]+).*;.*extra == ['"]([\w-]+)['"]""", line) for line in lines]
    names = sorted({match[1] for match in found if match and match[2] in wanted})
    return [name for name in names if not _is_installed(name)]


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def read_summary(target: str) -> str:
    """Read a command's first line of help from its module's source; nothing where it cannot be told."""
    module, _, attribute = target.partition(":")
    path = _find_source(module)
    if path is None:
        return ""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == attribute:
            return (ast.get_docstring(node) or "").partition("\n")[0]
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == attribute for t in node.targets):
            return _read_help(node.value)
    return ""


def _read_help(call: ast.expr) -> str:
    """Read `help` of a call such as `typer.Typer(help="…")`."""
    for keyword in call.keywords if isinstance(call, ast.Call) else ():
        if keyword.arg == "help" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value).partition("\n")[0]
    return ""


def _find_source(module: str) -> Path | None:
    """Find a module's file without importing the packages that it is in."""
    package, _, rest = module.partition(".")
    spec = importlib.util.find_spec(package)
    for base in (spec.submodule_search_locations or []) if spec else []:
        path = Path(base, *rest.split("."))
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None
