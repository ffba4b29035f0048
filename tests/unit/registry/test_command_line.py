"""`serin registry` without a registry: its help, what it reads from its options, and the registry of one's own."""

import datetime as dt
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
import typer
from typer.testing import CliRunner

from serin_services.registry import errors, settings
from serin_services.registry.cli import figures, home, options, screens, serving
from serin_services.registry.cli.main import app

COMMANDS = typer.main.get_command(app)
# Loading one of these takes longer than the command line may.
HEAVY = {
    "alembic",
    "fastapi",
    "kubernetes",
    "mlflow",
    "obstore",
    "pydantic",
    "requests",
    "rich",
    "sqlalchemy",
    "uvicorn",
    "yaml",
}


def find_commands(group, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        inner = (*words, name)
        found += find_commands(command, inner) if hasattr(command, "commands") else [inner]
    return found


@pytest.mark.parametrize("words", [pytest.param(words, id=" ".join(words)) for words in find_commands(COMMANDS)])
def test_each_command_has_help_with_examples_of_options_that_there_are(words):
    told = CliRunner().invoke(app, [*words, "--help"])
    assert told.exit_code == 0
    examples, described = told.output.partition("Examples:")[2].split("\n\n", 1)
    own = [line.partition(" ".join(("serin registry", *words)))[2] for line in examples.splitlines() if line.strip()]
    assert own
    for option in re.findall(r"(?<= )--?[a-z][a-z-]*(?= |$)", "\n".join(own), re.MULTILINE):
        assert re.search(rf"(^|[ ,]){option}\b", described), option


def test_the_list_of_commands_waits_for_no_library():
    code = f"import sys; import serin_services.registry.cli.main; print(sorted(set(sys.modules) & {HEAVY!r}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # typer brings rich along only where it prints with it.
    assert told.stdout.strip() == "[]"


def test_wrong_use_ends_with_2():
    assert CliRunner().invoke(app, ["stop"]).exit_code == 2
    assert CliRunner().invoke(app, ["stop", "--all", "-n", "x"]).exit_code == 2
    assert CliRunner().invoke(app, ["export", "--month", "2026-11", "--format", "xml"]).exit_code == 2
    assert CliRunner().invoke(app, ["performance", "--version", "1.0.0"]).exit_code == 2


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param("2026-11-01", "2026-11-01T00:00:00+00:00", id="a day is its first moment in UTC"),
        pytest.param("2026-11-01T10:00", "2026-11-01T10:00:00+00:00", id="a time without a zone is UTC"),
        pytest.param("2026-11-01T10:00+02:00", "2026-11-01T10:00:00+02:00", id="a zone stays"),
        pytest.param(None, None, id="nothing stays nothing"),
    ],
)
def test_moments_are_read_as_the_api_takes_them(text, read):
    assert options.read_moment("--since", text) == read


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda: options.read_moment("--since", "yesterday"), id="a moment"),
        pytest.param(lambda: options.pairs("--label", ["team"]), id="a label"),
        pytest.param(lambda: options.numbers("--metric", ["accuracy=high"]), id="a metric"),
    ],
)
def test_what_cannot_be_read_is_wrong_use(read):
    with pytest.raises(typer.BadParameter, match="expected"):
        read()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param(None, "-", id="nothing is a dash"),
        pytest.param("", "-", id="an empty text is a dash"),
        pytest.param({}, "-", id="an empty object is a dash"),
        pytest.param(True, "yes", id="true is yes"),
        pytest.param(0, "0", id="zero is a number"),
        pytest.param(0.123456, "0.1235", id="four digits are enough"),
        pytest.param({"a": 1, "b": {"c": 2}}, "a=1, b (c=2)", id="objects are pairs"),
        pytest.param(["x", 1], "x, 1", id="lists have commas"),
        pytest.param(
            dt.datetime(2026, 11, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2026-11-01 10:00:00Z", id="UTC"
        ),
    ],
)
def test_values_are_written_for_people(value, written):
    assert screens.write(value) == written


@pytest.mark.parametrize(
    ("size", "written"), [(0, "0 B"), (999, "999 B"), (160_000, "160 kB"), (3_000_000_000, "3 GB")]
)
def test_sizes_are_written_with_their_unit(size, written):
    assert screens.write_bytes(size) == written


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        pytest.param('{"a": 1}\n\n{"a": 2}\n', [{"a": 1}, {"a": 2}], id="lines of JSON"),
        pytest.param(
            "id,value,label\nx,0.5,\ny,,up\n", [{"id": "x", "value": 0.5}, {"id": "y", "label": "up"}], id="CSV"
        ),
        pytest.param(
            "id,value\nx,much\n", [{"id": "x", "value": "much"}], id="what is no number is the registry's to say"
        ),
        pytest.param("", [], id="nothing"),
    ],
)
def test_rows_are_read_from_either_form(tmp_path, content, rows):
    (tmp_path / "rows").write_text(content)
    assert list(figures.read_rows(tmp_path / "rows")) == rows


def test_a_line_that_is_no_json_is_named(tmp_path):
    (tmp_path / "rows").write_text('{"a": 1}\n{"a":\n')
    with pytest.raises(typer.BadParameter, match="rows:2: expected a line of JSON"):
        list(figures.read_rows(tmp_path / "rows"))


def test_who_sets_nothing_gets_a_registry_of_their_own_with_a_secret_that_stays(tmp_path):
    environment = home.find_environment({home.VARIABLE: str(tmp_path / "home")})
    found = settings.read(environment)
    assert found.is_sqlite
    assert found.artifacts == str(tmp_path / "home" / "artifacts")
    assert settings.read(home.find_environment({home.VARIABLE: str(tmp_path / "home")})) == found
    secret = Path(environment["SERIN_REGISTRY_JWT_SECRET_FILE"])
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name", ["SERIN_REGISTRY_JWKS_URL", "SERIN_REGISTRY_JWT_SECRET", "SERIN_REGISTRY_JWT_SECRET_FILE"]
)
def test_who_has_an_issuer_gets_nothing_added(tmp_path, name):
    given = {name: "x", home.VARIABLE: str(tmp_path / "home")}
    assert home.find_environment(given) == given
    assert not (tmp_path / "home").exists()


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(errors.InvalidError, match=home.VARIABLE):
        home.find_environment({home.VARIABLE: str(tmp_path / "file" / "home")})


@pytest.fixture
def own(tmp_path, monkeypatch) -> settings.Settings:
    for name in [name for name in os.environ if name.startswith("SERIN_REGISTRY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(home.VARIABLE, str(tmp_path))
    return settings.read(home.find_environment())


def test_a_token_says_who_of_which_tenant_in_which_role_and_until_when(own):
    given = ["--subject", "anna", "--tenant", "desk", "--role", "approver", "--office", "risk-manager", "--days", "2"]
    told = CliRunner().invoke(app, ["token", *given])
    assert own.jwt_secret is not None
    claims = jwt.decode(told.output.strip(), own.jwt_secret.get_secret_value(), ["HS256"], audience=own.jwt_audience)
    assert claims["exp"] - claims["iat"] == 2 * 86400
    assert {name: claims[name] for name in ("sub", "tenant", "role", "offices", "iss")} == {
        "sub": "anna",
        "tenant": "desk",
        "role": "approver",
        "offices": ["risk-manager"],
        "iss": home.ISSUER,
    }


@pytest.mark.usefixtures("own")
def test_a_token_of_no_role_is_refused():
    told = CliRunner().invoke(app, ["token", "--role", "king"])
    assert (told.exit_code, "expected viewer, developer, approver or admin" in told.stderr) == (1, True)


def test_where_an_issuer_signs_tokens_this_command_does_not():
    of_issuer = settings.Settings(jwt_issuer="https://issuer.example", jwks_url="https://issuer.example/keys")
    with pytest.raises(errors.InvalidError, match="ask there for one"):
        serving.sign(of_issuer, "anna", "desk", "admin", [], 1)


@pytest.mark.usefixtures("own")
def test_a_wrong_setting_is_a_sentence_before_anything_is_served(monkeypatch):
    monkeypatch.setenv("SERIN_REGISTRY_PORT", "many")
    told = CliRunner().invoke(app, ["serve"])
    assert told.exit_code == 1
    assert "port" in told.stderr


def test_a_key_is_made_for_its_owner_and_never_over_another(tmp_path):
    assert CliRunner().invoke(app, ["keygen", str(tmp_path / "keys")]).exit_code == 0
    content = (tmp_path / "keys").read_text()
    assert "AGE-SECRET-KEY-1" in content
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600
    assert CliRunner().invoke(app, ["keygen", str(tmp_path / "keys")]).exit_code == 1
    assert (tmp_path / "keys").read_text() == content
