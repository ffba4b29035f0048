"""What the command ends with, and what goes to which stream."""

import json

import pytest
import typer
from typer import testing

from serin_demo import api, cli, ground, story, summary, watch
from serin_local import errors

GROUND = ground.Ground(
    cluster=None,
    kubeconfig=None,
    helm=None,
    gateway=story.Gateway("g", "public"),
    address="192.0.2.1:80",
    prometheus=watch.Prometheus("m", "p"),
    engine="buildah",
    publish=str,
    reach_registry=lambda: None,
    values={},
)


def make_summary(*problems):
    return summary.Summary(
        seconds=80.0,
        requests=8000,
        by_protocol={"http": 4000, "grpc": 4000},
        latency={"p50": 0.003},
        accuracy={"1.0.0": 0.9},
        steps=[],
        rollbacks=[],
        fates=[],
        lost=len(problems),
        lost_as={},
        lost_at=[],
        problems=problems,
    )


@pytest.fixture
def run(monkeypatch):
    """Run the command with a performance that gives this, or raises it; the log tells what was taken down."""
    log = []

    def perform(outcome):
        def give(*_):
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setattr(cli, "_perform", give)
        monkeypatch.setattr(cli.local, "prepare", lambda _shown: GROUND)
        monkeypatch.setattr(cli.existing, "prepare", lambda _wishes, _shown: GROUND)
        monkeypatch.setattr(cli.setup, "remove", lambda *_: log.append("removed"))
        monkeypatch.setattr(cli.local, "take_down", lambda *_: log.append("cluster down"))
        monkeypatch.setattr(cli.install, "uninstall", lambda *_: log.append("uninstalled"))

    app = typer.Typer()
    app.command()(cli.demo)

    def call(outcome, *arguments):
        perform(outcome)
        return testing.CliRunner().invoke(app, arguments), log

    return call


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        pytest.param(make_summary(), 0, "nothing else was lost", id="a good story ends with 0"),
        pytest.param(
            make_summary("1 of 8000 requests were lost"), 1, "1 of 8000 requests were lost", id="a loss ends with 1"
        ),
        pytest.param(
            errors.ClusterError("build", "no space left", "free some"),
            1,
            "what to do: free some",
            id="a failed step ends with 1",
        ),
        pytest.param(api.ApiError("PATCH x: forbidden"), 1, "PATCH x: forbidden", id="a refused request ends with 1"),
        pytest.param(KeyboardInterrupt(), 130, "still runs", id="Ctrl-C ends with 130"),
    ],
)
def test_how_the_command_ends(run, outcome, code, said):
    result, log = run(outcome)

    assert result.exit_code == code
    assert said in result.output
    assert log == []


def test_json_stands_alone_on_the_standard_output(run):
    result, _ = run(make_summary(), "-o", "json")

    assert json.loads(result.stdout)["requests"] == 8000
    assert "serin local down" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "taken_down"),
    [
        pytest.param(["--no-keep"], ["removed", "cluster down"], id="a local cluster goes down as a whole"),
        pytest.param(
            ["--no-keep", "--cluster", "existing"],
            ["removed", "uninstalled"],
            id="of an existing one only what was installed",
        ),
    ],
)
def test_nothing_is_kept_when_asked(run, arguments, taken_down):
    result, log = run(make_summary(), *arguments)

    assert result.exit_code == 0
    assert log == taken_down
    assert "Look around" not in result.output


@pytest.mark.parametrize("arguments", [["--rate", "1"], ["--cluster", "mars"], ["-o", "xml"]])
def test_wrong_options_end_with_2(run, arguments):
    result, _ = run(make_summary(), *arguments)

    assert result.exit_code == 2
