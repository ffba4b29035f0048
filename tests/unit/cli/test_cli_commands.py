"""The commands against an API server over real HTTP: what they print, and with what they end."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def answer(accepted: bool, message: str) -> Callable[..., None]:
    """Play the operator."""

    def handle(owner: dict[str, Any], verb: str, identity: str) -> None:
        owner["status"]["request"] = {
            "id": identity,
            "verb": verb,
            "accepted": accepted,
            "message": message,
            "at": "2026-01-01T12:00:00+00:00",
        }

    return handle


def test_get_shows_the_context_s_namespace(api, serin, owner):
    api.add(owner())
    api.add(owner("elsewhere", "quiet"))

    code, out, _ = serin("get")

    assert code == 0
    assert "elsewhere" not in out
    assert [line.split() for line in out.splitlines()[:1]] == [
        ["NAMESPACE", "NAME", "READY", "PHASE", "VERSION", "STABLE", "STEP", "WEIGHT", "VERDICT", "AGE"]
    ]
    assert out.splitlines()[1].split()[:10] == [
        "trading",
        "momentum",
        "True",
        "Canary",
        "1.1.0",
        "1.0.0",
        "2/3",
        "25",
        "%",
        "Insufficient",
    ]


def test_get_shows_all_namespaces_and_the_message_when_wide(api, serin, owner):
    api.add(owner())
    api.add(owner("elsewhere", "quiet"))

    code, out, _ = serin("get", "-A", "-o", "wide")

    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["quiet", "trading"]
    assert "120 of at least 500 requests so far" in out


def test_another_context_has_another_namespace(api, serin, owner):
    api.add(owner("elsewhere", "quiet"))

    code, out, _ = serin("get", "--context", "other", "-o", "json")

    assert code == 0
    assert [found["metadata"]["name"] for found in json.loads(out)["items"]] == ["elsewhere"]


def test_get_of_one_prints_only_the_object_as_json(api, serin, owner):
    api.add(owner())

    code, out, err = serin("get", "momentum", "-o", "json")

    assert code == 0
    assert json.loads(out)["status"]["weight"] == 25
    assert err == ""


@pytest.mark.usefixtures("api")
def test_nothing_there_is_said_on_stderr(serin):
    assert serin("get") == (0, "", "there is no ModelDeployment in namespace trading\n")


def test_status_as_json_has_object_pods_and_events(api, serin, owner):
    api.add(owner())

    code, out, _ = serin("status", "momentum", "-o", "json")

    assert code == 0
    document = json.loads(out)
    assert document["object"]["metadata"]["name"] == "momentum"
    assert document["weights"] == {"intended": 25, "observed": None}


@pytest.mark.parametrize("verb", ["promote", "pause", "resume", "rollback", "retry", "stop"])
def test_a_request_prints_the_operator_s_answer(api, serin, owner, verb):
    api.add(owner())
    api.on_request = answer(True, f"{verb} is done")

    assert serin(verb, "momentum") == (0, f"trading/momentum: {verb} is done\n", "")
    assert api.objects["trading", "momentum"]["metadata"]["annotations"]["serin.dev/request"].startswith(f"{verb}:")


def test_a_refused_request_ends_with_1_and_the_operator_s_reason(api, serin, owner):
    api.add(owner())
    api.on_request = answer(False, "retry has nothing to do in phase Canary")

    code, out, err = serin("retry", "momentum")

    assert (code, out) == (1, "")
    assert "retry has nothing to do in phase Canary" in err
    assert "serin status momentum -n trading" in err


def test_an_answer_to_an_older_request_is_not_taken_for_this_one(api, serin, owner):
    api.add(owner(request={"id": "older", "verb": "pause", "accepted": True, "message": "paused", "at": ""}))

    code, _, err = serin("pause", "momentum", "--timeout", "500ms")

    assert code == 1
    assert "the operator has not answered pause of trading/momentum" in err


def test_a_request_that_another_replaced_says_so(api, serin, owner):
    api.add(owner())

    def replace(found: dict[str, Any], *_: str) -> None:
        found["metadata"]["annotations"]["serin.dev/request"] = "stop:other"

    api.on_request = replace
    code, _, err = serin("pause", "momentum")

    assert code == 1
    assert "another request (stop:other) took its place" in err


def test_no_wait_returns_at_once(api, serin, owner):
    api.add(owner())

    code, out, _ = serin("pause", "momentum", "--no-wait")

    assert code == 0
    assert out.startswith("trading/momentum: pause is asked for (id ")


def test_stop_all_needs_a_confirmation(api, serin, owner, monkeypatch):
    api.add(owner())
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)

    code, _, err = serin("stop", "--all")

    assert code == 2
    assert "say it with --yes" in err
    assert api.objects["trading", "momentum"]["metadata"]["annotations"] == {}


def test_stop_all_stops_each_that_is_not_stopped_and_reports_those_that_refuse(api, serin, owner):
    for name, namespace in (("one", "trading"), ("two", "trading"), ("three", "quiet")):
        api.add(owner(name, namespace))
    api.add(owner("still", "quiet", phase="Stopped"))

    def handle(found: dict[str, Any], verb: str, identity: str) -> None:
        good = found["metadata"]["name"] != "two"
        answer(good, "stopped" if good else "it cannot be")(found, verb, identity)

    api.on_request = handle
    code, out, err = serin("stop", "--all", "-A", "--yes")

    assert code == 1
    assert out.splitlines() == ["quiet/three: stopped", "trading/one: stopped"]
    assert "trading/two: it cannot be" in err
    assert "1 of 3 could not be stopped" in err
    assert "serin.dev/request" not in api.objects["quiet", "still"]["metadata"]["annotations"]


@pytest.mark.parametrize(
    "words",
    [
        ("stop",),
        ("stop", "momentum", "--all"),
        ("stop", "momentum", "-A"),
        ("wait", "momentum", "--for", "phase=Lunch"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("api")
def test_wrong_use_ends_with_2(serin, words):
    assert serin(*words)[0] == 2


def test_wait_ends_when_the_version_is_promoted(api, serin, owner, condition):
    found = owner()
    api.add(found)
    reads = []
    plain = api.answer

    def count(method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        reads.append(path)
        if len(reads) == 2:
            found["status"] |= {"phase": "Baking", "weight": 100}
            found["status"]["conditions"] = [condition("Promoted", "True", message="version 1.1.0 has all traffic")]
        return plain(method, path, body)

    api.answer = count
    code, out, err = serin("wait", "momentum", "--for", "promoted")

    assert (code, out) == (0, "momentum promoted: version 1.1.0 has all traffic\n")
    assert [line.split()[2] for line in err.splitlines()] == ["Canary,", "Baking,"]


def test_wait_ends_with_1_and_the_reason_on_a_rollback(api, serin, owner):
    failure = {"version": "1.1.0", "reason": "AlertFiring", "message": "alert TooManyErrors is firing", "numbers": {}}
    api.add(owner(phase="RollingBack", failure=failure))

    code, out, err = serin("wait", "momentum")

    assert (code, out) == (1, "")
    assert "rolled back: version 1.1.0, AlertFiring: alert TooManyErrors is firing" in err


def test_wait_ends_with_1_when_the_time_is_over(api, serin, owner):
    api.add(owner())

    code, _, err = serin("wait", "momentum", "--timeout", "1ms")

    assert code == 1
    assert "not promoted after 0s; it is in phase Canary: 120 of at least 500 requests so far" in err


REFUSALS = {
    "a cluster without Serin": (404, "404 page not found\n", "helm install serin"),
    "no permission": (
        403,
        {"message": "User x cannot list"},
        "you may not read modeldeployments here: User x cannot list",
    ),
    "no credentials": (401, {"message": "Unauthorized"}, "the cluster does not accept your credentials"),
    "a broken cluster": (500, {"message": "etcd is gone"}, "the cluster answers 500 to GET"),
}


@pytest.mark.parametrize(("status", "body", "said"), REFUSALS.values(), ids=REFUSALS)
def test_what_the_cluster_refuses_is_a_sentence(api, serin, status, body, said):
    api.refusal = (status, body)

    code, out, err = serin("get")

    assert (code, out) == (1, "")
    assert said in err
    assert "Traceback" not in err


def test_a_cluster_that_does_not_answer_is_named_with_what_to_do(api, serin, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    kubeconfig = tmp_path / "dead"
    kubeconfig.write_text((tmp_path / "kubeconfig").read_text().replace(api.url, dead))

    code, _, err = serin("get", "--kubeconfig", str(kubeconfig))

    assert code == 1
    assert f"the cluster at {dead} does not answer: " in err
    assert "Connection refused" in err
    assert "kubectl cluster-info" in err


ABSENT = {
    "a name that was mistyped": ("momentun", "did you mean momentum?"),
    "a name of another namespace": ("elsewhere", "there is one in quiet: say so with -n quiet"),
    "a name of nothing": ("xyzzy", "`serin get -A` lists all of them"),
}


@pytest.mark.parametrize(("name", "said"), ABSENT.values(), ids=ABSENT)
def test_no_such_object_says_what_was_perhaps_meant(api, serin, owner, name, said):
    api.add(owner())
    api.add(owner("elsewhere", "quiet"))

    code, _, err = serin("status", name)

    assert code == 1
    assert f"there is no ModelDeployment {name} in namespace trading" in err
    assert said in err


def test_without_any_kubeconfig_the_places_are_named(serin, monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "SERIN_HOME"):
        monkeypatch.delenv(variable, raising=False)

    code, _, err = serin("get")

    assert code == 1
    assert "--kubeconfig, KUBECONFIG, ~/.kube/config" in err
    assert "serin local up" in err


def test_the_local_cluster_is_used_when_there_is_no_other_and_said_so(api, serin, owner, monkeypatch, tmp_path):
    api.add(owner())
    local = tmp_path / ".cache" / "serin" / "cluster" / "kubeconfig"
    local.parent.mkdir(parents=True)
    local.write_text((tmp_path / "kubeconfig").read_text())
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "SERIN_HOME"):
        monkeypatch.delenv(variable, raising=False)

    code, out, err = serin("get", "-o", "json")

    assert code == 0
    assert len(json.loads(out)["items"]) == 1
    assert f"this is the local cluster ({local})" in err
