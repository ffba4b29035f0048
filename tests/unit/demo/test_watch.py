"""Reading what Prometheus and Kubernetes say, and what the watcher keeps of it."""

import pytest

from serin_demo import api, watch

ALERT = {
    "labels": {
        "alertname": "SerinErrorRate",
        "namespace": "demo",
        "modeldeployment": "tumor",
        "serin_action": "rollback",
    },
    "state": "firing",
    "activeAt": "2026-11-21T03:00:00.123456789Z",
}


def make_alert(state="firing", active_at=ALERT["activeAt"], **labels):
    return {"labels": {**ALERT["labels"], **labels}, "state": state, "activeAt": active_at}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            make_alert(),
            watch.Alert("SerinErrorRate", 1795230000.123456, firing=True, action="rollback"),
            id="nanoseconds are cut",
        ),
        pytest.param(
            make_alert(state="pending", active_at="2026-11-21T03:00:00Z"),
            watch.Alert("SerinErrorRate", 1795230000.0, firing=False, action="rollback"),
            id="whole seconds are read, and pending is not firing",
        ),
        pytest.param(make_alert(modeldeployment="other"), None, id="another model's alert is left out"),
        pytest.param(make_alert(namespace="other"), None, id="another namespace's alert is left out"),
    ],
)
def test_alerts_are_read(raw, expected):
    assert watch.read_alert(raw) == expected


class FakeCluster:
    """Gives one status after the other, then fails."""

    def __init__(self, *statuses):
        self.statuses = list(statuses)

    def get(self, path, **_query):
        if path.endswith("/events"):
            return {"items": []}
        if not self.statuses:
            raise api.ApiError("the API server did not answer")
        return {"metadata": {"generation": 1}, "status": self.statuses.pop(0)}

    def query_service(self, _namespace, _service, _port, path, **_query):
        return {"data": {"alerts": [make_alert()]} if path.endswith("alerts") else {"result": []}}


def look(watcher, times):
    for _ in range(times):
        watcher._look()


def test_changes_become_moments_and_repetitions_do_not():
    canary = {"phase": "Canary", "stable": {"version": "1.0.0"}, "candidate": {"version": "1.1.0"}, "weight": 10}
    watcher = watch.Watcher(FakeCluster(canary, canary, {**canary, "weight": 25}), watch.Prometheus("monitoring", "p"))
    look(watcher, 3)

    assert [(moment.phase, moment.weight) for moment in watcher.moments] == [("Canary", 10), ("Canary", 25)]
    assert [alert.name for alert in watcher.alerts.values()] == ["SerinErrorRate"]


def test_a_failed_poll_keeps_the_last_sight_and_says_so():
    watcher = watch.Watcher(FakeCluster({"phase": "Staging"}), watch.Prometheus("monitoring", "p"))
    look(watcher, 2)

    assert watcher.sight.rollout.phase == "Staging"
    assert watcher.sight.trouble == "the API server did not answer"
