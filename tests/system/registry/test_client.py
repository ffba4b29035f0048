"""The client against a real server: what it asks, what it makes of refusals, and what it does when connections break."""

import contextlib
import datetime as dt
import hashlib
import io
import socket
import threading
import typing
from collections.abc import Iterator
from pathlib import Path

import pydantic
import pytest

from serin_services.registry import errors
from serin_services.registry.api.app import make_app
from serin_services.registry.client import Client, figures, learning, results, transfers
from support import registry_server
from support.registry_served import served, tenant

__all__ = ["served", "tenant"]

CONTENT = bytes(range(256)) * 20_000


@pytest.fixture
def registry(served, tenant) -> Iterator[Client]:
    """An administrator of a tenant that no other test has."""
    with Client(served.url, registry_server.make_token(tenant=tenant, role="admin")) as client:
        yield client


@pytest.fixture
def momentum(registry) -> results.Version:
    registry.create_model("momentum", description="hourly", labels={"team": "alpha"})
    return registry.register("momentum", {"family": "xgboost", "metrics": {"accuracy": 0.64}})


def test_a_version_is_registered_found_changed_moved_and_compared(registry, momentum):
    assert (momentum.version, momentum.stage, momentum.metrics) == ("1.0.0", "DRAFT", {"accuracy": 0.64})
    tuned = {"family": "xgboost", "hyperparameters": {"depth": 6}}
    decided = registry.decide("momentum", tuned)
    second = registry.register("momentum", tuned)
    assert (decided.version, decided.parent) == (second.version, "1.0.0")
    assert (decided.change.part, decided.change.reasons) == (second.change, second.change_reasons)
    assert second.parent == "1.0.0"
    changed = registry.change_version("momentum", "1.0.0", momentum.revision, {"labels": {"reviewed": "yes"}})
    assert changed.labels == {"reviewed": "yes"}
    assert registry.move("momentum", "1.0.0", "TESTING", "trained").stage == "TESTING"
    assert [move.why for move in registry.transitions("momentum", "1.0.0")] == ["trained"]
    assert registry.compare("momentum", "1.0.0", second.version)["change"]["part"] == second.change
    assert [node.version for node in registry.lineage("momentum").nodes] == ["1.0.0", second.version]
    assert registry.lineage("momentum", second.version).ancestors == ["1.0.0"]
    assert registry.status().versions == 2


@pytest.mark.usefixtures("momentum")
def test_lists_are_given_to_their_end_however_many_pages_they_have(registry, monkeypatch):
    monkeypatch.setattr("serin_services.registry.client.connection._PAGE", 2)
    numbers = [registry.register("momentum", {"family": "xgboost"}).version for _ in range(5)]
    assert [version.version for version in registry.versions("momentum")] == [*reversed(numbers), "1.0.0"]
    assert [version.version for version in registry.versions()] == [*reversed(numbers), "1.0.0"]


@pytest.mark.usefixtures("momentum")
def test_a_tenant_asks_for_sign_off_and_an_office_gives_it(served, registry, tenant):
    registry.upload("momentum", "1.0.0", "model", io.BytesIO(b"model"))
    assert registry.ask_sign_off(tenant, ["risk-manager"]).sign_off == ["risk-manager"]
    assert registry.tenant(tenant).sign_off == ["risk-manager"]
    assert [(one.id, one.sign_off) for one in registry.tenants()] == [(tenant, ["risk-manager"])]
    assert registry.approvals("momentum", "1.0.0").missing == ["risk-manager has not approved it"]
    token = registry_server.make_token(tenant=tenant, role="approver", sub="anna", offices=["risk-manager"])
    with Client(served.url, token) as anna:
        assert anna.me().offices == ["risk-manager"]
        said = anna.approve("momentum", "1.0.0", "risk-manager", approved=True, why="fine")
    assert (said.by, said.approved) == ("anna", True)
    found = registry.approvals("momentum", "1.0.0")
    assert ([one.why for one in found.items], found.missing) == (["fine"], [])


@pytest.mark.usefixtures("momentum")
def test_the_audit_log_is_read_and_verified(registry):
    entries = list(registry.audit())
    assert [entry.action for entry in entries] == ["version.register", "model.create"]
    assert [entry.action for entry in registry.audit(action="model.create")] == ["model.create"]
    verdict = registry.verify_audit()
    assert (verdict.ok, verdict.count, verdict.head.digest) == (True, 2, entries[0].hash)


@pytest.mark.usefixtures("momentum")
def test_outcomes_join_predictions_and_give_figures(registry):
    now = dt.datetime.now(dt.UTC)
    row = {"model": "momentum", "at": now.isoformat(), "label": "up"}
    rows = [{**row, "version": "1.0.0", "id": f"r{n}/0"} for n in range(10)]
    came = [{**row, "id": f"r{n}/0"} for n in range(8)]
    assert registry.push_predictions(rows).taken == 10
    receipt = registry.push_outcomes(came)
    assert (receipt.taken, receipt.joined) == (8, 8)
    assert registry.push_outcomes(came).doubled == 8
    (found,) = registry.performance("momentum")
    assert (found.figures.predictions, found.figures.outcomes) == (10, 8)
    assert found.figures.accuracy is not None
    assert str(found.figures.accuracy).startswith("100.0% (")
    listed = list(registry.predictions("momentum"))
    assert sum(row.outcome is not None for row in listed) == 8
    assert b"momentum" in registry.export(f"{now:%Y-%m}", "csv")


@pytest.mark.usefixtures("momentum")
def test_many_rows_go_up_in_batches_and_their_receipts_are_added_up(registry, monkeypatch):
    monkeypatch.setattr("serin_services.registry.client.outcomes.BATCH", 3)
    row = {"model": "momentum", "at": dt.datetime.now(dt.UTC).isoformat(), "label": "up"}
    rows = ({**row, "id": f"r{n}"} for n in range(8))
    assert registry.push_outcomes(rows) == figures.Receipt(taken=8, waiting=8)


@pytest.mark.usefixtures("momentum")
def test_an_artifact_goes_up_and_comes_back_and_progress_is_told(registry, tmp_path):
    told: list[tuple[int, int]] = []
    source = tmp_path / "model.ubj"
    source.write_bytes(CONTENT)
    sent = registry.upload("momentum", "1.0.0", "model", source, progress=lambda *step: told.append(step))
    assert (sent.size, sent.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert registry.upload("momentum", "1.0.0", "model", io.BytesIO(CONTENT)) == sent
    registry.download("momentum", "1.0.0", "model", tmp_path / "fetched", lambda *step: told.append(step))
    assert (tmp_path / "fetched").read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert b"".join(registry.read("momentum", "1.0.0", "model")) == CONTENT
    assert registry.version("momentum", "1.0.0").artifact_sha256 == sent.sha256
    assert [artifact.name for artifact in registry.artifacts("momentum", "1.0.0")] == ["model"]


@pytest.mark.usefixtures("momentum")
def test_a_name_with_folders_in_it_is_kept(registry):
    registry.upload("momentum", "1.0.0", "logs/of the/train.log", io.BytesIO(b"epoch 1"))
    assert b"".join(registry.read("momentum", "1.0.0", "logs/of the/train.log")) == b"epoch 1"


@pytest.mark.usefixtures("momentum")
@pytest.mark.parametrize(
    ("ask", "kind", "said"),
    [
        pytest.param(lambda r: r.model("nothing"), errors.NotFoundError, "no model 'nothing'", id="what is not there"),
        pytest.param(
            lambda r: r.register("momentum", {"family": "xgboost", "version": "1.0.0"}),
            errors.ConflictError,
            "registered already",
            id="a number that is taken",
        ),
        pytest.param(
            lambda r: r.change_version("momentum", "1.0.0", 99, {"labels": {}}),
            errors.PreconditionError,
            "read it again",
            id="a version that has changed since",
        ),
        pytest.param(
            lambda r: r.register("momentum", {"family": "a b", "metrics": {"x": "y"}}),
            errors.InvalidError,
            "family",
            id="a body that is wrong",
        ),
        pytest.param(lambda r: r.model(".."), errors.InvalidError, "expected a name", id="a name that leads elsewhere"),
        pytest.param(lambda r: r.model(""), errors.InvalidError, "expected a name", id="no name"),
        pytest.param(
            lambda r: list(r.read("momentum", "1.0.0", "model")),
            errors.NotFoundError,
            "no artifact 'model'",
            id="a file that is not there",
        ),
        pytest.param(
            lambda r: r.upload("momentum", "1.0.0", "etc/passwd", io.BytesIO(b"x")),
            errors.InvalidError,
            "expected one of model",
            id="a file of another name",
        ),
    ],
)
def test_a_refusal_is_an_error_of_its_kind_with_the_registrys_sentence(registry, ask, kind, said):
    with pytest.raises(kind, match=said):
        ask(registry)


@pytest.mark.usefixtures("momentum")
def test_each_thing_that_is_wrong_is_named_with_its_place(registry):
    with pytest.raises(errors.InvalidError) as caught:
        registry.register("momentum", {"family": "a b", "metrics": {"x": "y"}})
    assert {fault.where for fault in caught.value.faults} == {"body.family", "body.metrics.x"}


def test_without_a_token_it_is_said_where_one_may_stand(served, monkeypatch):
    for name in ("SERIN_REGISTRY_TOKEN", "SERIN_REGISTRY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    with Client(served.url) as nobody, pytest.raises(errors.ForbiddenError, match="SERIN_REGISTRY_TOKEN_FILE"):
        nobody.me()


def test_address_and_token_come_from_the_environment_and_a_file_may_be_renewed(served, monkeypatch, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{registry_server.make_token(sub='first')}\n")
    monkeypatch.setenv("SERIN_REGISTRY_URL", served.url)
    monkeypatch.setenv("SERIN_REGISTRY_TOKEN_FILE", str(file))
    with Client() as client:
        assert client.me().subject == "first"
        file.write_text(registry_server.make_token(sub="second"))
        assert client.me().subject == "second"
        file.unlink()
        with pytest.raises(errors.InvalidError, match="expected a file with a token"):
            client.me()


def test_a_password_in_the_home_folder_does_not_take_the_tokens_place(served, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with Client(served.url, registry_server.make_token(sub="dora")) as client:
        assert client.me().subject == "dora"


def test_nobody_there_is_said_so_with_the_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Client(url, "x", attempts=2) as client, pytest.raises(errors.UnavailableError, match=f"at {url} does not"):
            client.me()


class Breaking:
    """Stands in front of a server and cuts connections off: the first `times`, after so many bytes of the answer."""

    def __init__(self, port: int, times: int, *, after: int) -> None:
        self._port, self._times, self._after = port, times, after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.cut = 0
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            threading.Thread(target=self._copy, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, self._after), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, after: int | None) -> None:
        passed = 0
        try:
            while chunk := source.recv(65536):
                if after is not None and self.cut < self._times and passed + len(chunk) > after:
                    self.cut += 1
                    break
                target.sendall(chunk)
                passed += len(chunk)
        except OSError:
            pass
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def breaking(served, tenant) -> Iterator[typing.Callable[..., tuple[Client, Breaking]]]:
    made: list[tuple[Client, Breaking]] = []

    def make(times: int, after: int = 0) -> tuple[Client, Breaking]:
        breaker = Breaking(served.port, times, after=after)
        token = registry_server.make_token(tenant=tenant, role="admin")
        made.append((Client(breaker.url, token), breaker))
        return made[-1]

    yield make
    for client, breaker in made:
        client.__exit__()
        breaker.close()


@pytest.mark.usefixtures("momentum")
def test_a_lost_answer_does_not_register_twice(registry, breaking):
    client, breaker = breaking(times=2)
    made = client.register("momentum", {"family": "xgboost"})
    assert breaker.cut == 2
    assert [one.version for one in registry.versions("momentum")] == [made.version, "1.0.0"]


@pytest.mark.usefixtures("momentum")
def test_a_lost_answer_to_an_upload_is_followed_by_the_same_upload(registry, breaking):
    client, breaker = breaking(times=2)
    sent = client.upload("momentum", "1.0.0", "model", io.BytesIO(CONTENT))
    assert breaker.cut == 2
    assert registry.artifacts("momentum", "1.0.0") == [sent]


@pytest.mark.usefixtures("momentum")
def test_a_download_that_breaks_off_begins_again_and_leaves_no_piece_behind(registry, breaking, tmp_path):
    registry.upload("momentum", "1.0.0", "model", io.BytesIO(CONTENT))
    client, breaker = breaking(times=2, after=1_000_000)
    client.download("momentum", "1.0.0", "model", tmp_path / "model")
    assert breaker.cut == 2
    assert (tmp_path / "model").read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


@pytest.mark.usefixtures("momentum")
def test_a_download_that_never_comes_whole_leaves_nothing(registry, breaking, tmp_path):
    registry.upload("momentum", "1.0.0", "model", io.BytesIO(CONTENT))
    client, _ = breaking(times=100, after=1_000_000)
    with pytest.raises(errors.UnavailableError):
        client.download("momentum", "1.0.0", "model", tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_change_that_may_have_been_made_is_not_sent_again(momentum, breaking):
    client, breaker = breaking(times=2)
    with pytest.raises(errors.UnavailableError):
        client.change_version("momentum", "1.0.0", momentum.revision, {"labels": {"a": "b"}})
    assert breaker.cut == 1


def test_bytes_that_are_not_the_artifacts_are_refused():
    chunks = transfers.verified([b"ab", b"cd"], hashlib.sha256(b"other").hexdigest(), "model")
    with pytest.raises(errors.UnavailableError, match="did not arrive whole"):
        list(chunks)


def test_down_is_an_answer_of_health_and_no_error(served, registry, monkeypatch):
    assert registry.health().state == "up"

    def fail() -> None:
        raise errors.UnavailableError("the disk is gone")

    monkeypatch.setattr(served.services.artifacts, "health", fail)
    with Client(served.url, registry_server.make_token(), attempts=1) as client:
        found = client.health()
    assert (found.state, found.dependencies["artifacts"].message) == ("down", "the disk is gone")


# Each type of the client's with the API's own.
TYPES: dict[type[results.Result], str] = {
    results.Model: "ModelAnswer",
    results.VersionSummary: "VersionSummary",
    results.Version: "VersionAnswer",
    results.Transition: "TransitionAnswer",
    results.Approval: "ApprovalAnswer",
    results.ApprovalList: "ApprovalList",
    results.Artifact: "ArtifactAnswer",
    results.Node: "NodeAnswer",
    results.Lineage: "LineageAnswer",
    results.Deployment: "DeploymentAnswer",
    results.RolloutEvent: "EventAnswer",
    results.Placed: "PlacedAnswer",
    results.Asked: "RequestAnswer",
    results.Stopped: "StoppedAnswer",
    results.Answer: "OperatorAnswer",
    results.Tenant: "TenantAnswer",
    results.TenantList: "TenantList",
    results.Decision: "DecisionAnswer",
    results.Change: "ChangeAnswer",
    results.AuditEntry: "EntryAnswer",
    results.Verdict: "VerdictAnswer",
    results.Health: "HealthAnswer",
    results.Caller: "CallerAnswer",
    results.Status: "StatusAnswer",
    learning.DriftEvent: "DriftAnswer",
    learning.Job: "RetrainingAnswer",
    figures.Receipt: "ReceiptAnswer",
    figures.Prediction: "PredictionAnswer",
    figures.Figures: "Figures",
    figures.Performance: "VersionPerformance",
    figures.Trial: "TrialAnswer",
    figures.ShadowComparison: "ShadowComparison",
    figures.Paired: "PairedAnswer",
}


@pytest.fixture(scope="module")
def described(served) -> dict[str, typing.Any]:
    found: dict[str, typing.Any] = make_app(served.services).openapi()["components"]["schemas"]
    return found


@pytest.mark.parametrize(("kind", "name"), [pytest.param(kind, name, id=name) for kind, name in TYPES.items()])
def test_what_the_client_reads_is_what_the_api_says_that_it_answers(described, kind: type[pydantic.BaseModel], name):
    fields = described[name]["properties"]
    missing = set(kind.model_fields) - set(fields)
    assert not missing
    own = kind.model_json_schema()["properties"]
    for field in kind.model_fields:
        may_be_null = {"type": "null"} in fields[field].get("anyOf", [])
        assert ({"type": "null"} in own[field].get("anyOf", [])) == may_be_null, field


def test_a_file_can_be_wound_back_while_it_is_sent(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb") as file:
        sent = transfers.Outgoing(file, 10, transfers.ignore)
        assert sent.read(4) == b"0123"
        sent.seek(0)
        assert (sent.tell(), sent.read()) == (0, b"0123456789")
