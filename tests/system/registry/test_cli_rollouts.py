"""What `serin registry` says of rollouts, with an operator whose answers are known; the cluster's tests ask a real one."""

import json
from collections.abc import Callable, Iterator

import pytest
import typer.testing

from serin_services.registry.cli.main import app
from serin_services.registry.database.sessions import Database
from serin_services.registry.records.rollouts.requests import Answer, Asked, Order, Placed, Refused, Verb
from support import registry_server
from support.registry_server import Served
from support.registry_worlds import add_deployment

Run = Callable[..., typer.testing.Result]


class Operator:
    """Answers what it was told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[str] = []

    def health(self) -> str:
        return ""

    def deploy(self, order: Order) -> Placed:
        self.asked.append(f"deploy {order.namespace}/{order.name} {order.version} {dict(order.spec)}")
        return Placed(order.namespace, order.name, "uid", 1, created=True)

    def ask(self, namespace: str, name: str, uid: str, verb: Verb, request: str, by: str) -> Asked:  # noqa: ARG002
        self.asked.append(f"{verb} {namespace}/{name}")
        return Asked(namespace, name, verb, request)

    def answer(self, asked: Asked, wait_seconds: float) -> Answer:  # noqa: ARG002
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def stop(self, tenant: str, namespace: str, request: str, by: str) -> list[Asked | Refused]:  # noqa: ARG002
        self.asked.append(f"stop all {namespace}")
        return [Asked("models", "momentum", Verb.STOP, request), Refused("models", "value", "it is being deleted")]


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
def served(sqlite_database: Database, operator: Operator, tmp_path) -> Iterator[Served]:
    services = registry_server.make_services(sqlite_database, tmp_path / "artifacts", deployer=operator)
    with registry_server.serve(services) as found:
        yield found


@pytest.fixture
def run(served: Served, sqlite_database: Database, monkeypatch, tmp_path) -> Run:
    developer = served.client()
    developer.make_model()
    pair = [developer.register(image=f"registry.example/momentum@sha256:{number}") for number in range(2)]
    add_deployment(sqlite_database, *pair, "momentum")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERIN_REGISTRY_URL", served.url)
    monkeypatch.setenv("SERIN_REGISTRY_TOKEN", registry_server.make_token(role="admin"))

    def invoke(*words: str, code: int = 0) -> typer.testing.Result:
        done = typer.testing.CliRunner().invoke(app, words)
        assert done.exit_code == code, done.output
        return done

    return invoke


@pytest.mark.parametrize("verb", ["promote", "pause", "resume", "rollback", "retry", "stop"])
def test_a_request_waits_for_the_answer_and_says_it(run, operator, verb):
    operator.answers = [Answer(False, None, ""), Answer(True, True, "version 1.0.1 has all traffic")]
    assert run(verb, "models/momentum").stdout == "models/momentum: version 1.0.1 has all traffic\n"
    assert operator.asked == [f"{verb} models/momentum"]


def test_a_refused_request_ends_with_1_and_the_operators_reason(run, operator):
    operator.answers = [Answer(True, False, "nothing is under test")]
    assert (
        json.loads(run("promote", "models/momentum", "-o", "json", code=1).stdout)["message"] == "nothing is under test"
    )


def test_a_request_without_an_answer_in_time_ends_with_1_and_stands(run, operator):
    operator.answers = [Answer(False, None, "")]
    told = run("rollback", "models/momentum", "--timeout", "0", code=1).stderr
    assert "it stands, and is carried out when it does" in told


def test_deployments_are_listed_and_deployed_to(run, operator, tmp_path):
    assert "models/momentum" in run("deployments", "momentum").stdout
    (tmp_path / "spec.yaml").write_text("replicas: 2\n")
    told = run("deploy", "momentum", "1.0.1", "-n", "models", "--spec", "spec.yaml").stdout
    assert "models/momentum is made: momentum 1.0.1" in told
    assert operator.asked == ["deploy models/momentum 1.0.1 {'replicas': 2}"]
    (tmp_path / "spec.yaml").write_text("- replicas\n")
    run("deploy", "momentum", "1.0.1", "-n", "models", "--spec", "spec.yaml", code=2)


def test_a_stop_of_all_ends_with_1_where_one_could_not_be_asked(run, operator):
    told = run("stop", "-n", "models", "--yes", code=1).stdout
    assert ("asked to stop" in told, "it is being deleted" in told) == (True, True)
    assert operator.asked == ["stop all models"]


def test_a_version_in_the_shadow_is_seen_promoted_and_taken_back(run, operator):
    assert "models/momentum" in run("shadow", "list").stdout
    assert "models/momentum" in run("shadow", "status", "momentum", "1.0.1").stdout
    operator.answers = [Answer(True, True, "done")]
    assert run("shadow", "promote", "momentum", "1.0.1").stdout == "models/momentum: done\n"
    assert run("shadow", "rollback", "momentum", "1.0.1").stdout == "models/momentum: done\n"
    run("shadow", "deploy", "momentum", "1.0.1", "-n", "models", "--duration", "2h")
    assert [asked.split(" ")[0] for asked in operator.asked] == ["promote", "rollback", "deploy"]
