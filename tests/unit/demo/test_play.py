"""The order of things: what is applied when, when traffic starts, and when the play stops."""

import pytest

from serin_demo import ledger, play, story, watch

READY = [{"type": "Ready", "status": "True"}]


class FakeCluster:
    """Ends each act at once, the way it is told."""

    def __init__(self, endings):
        self.endings = endings
        self.deployed = []
        self.resource = None

    def deploy(self, act):
        self.deployed.append(act.version)
        generation = len(self.deployed)
        self.resource = {
            "metadata": {"generation": generation},
            "status": {"observedGeneration": generation, **self.endings[act.version]},
        }

    def get(self, path, **_query):
        return {"items": []} if path.endswith("/events") else self.resource

    def query_service(self, _namespace, _service, _port, path, **_query):
        return {"data": {"alerts": []} if path.endswith("alerts") else {"result": []}}


class FakeReplay:
    """Tells when it was started and stopped."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.ledger = ledger.Ledger()
        self.log = []
        self.running = False

    def start(self):
        self.running = True
        self.log.append(("start", tuple(self.cluster.deployed)))

    def stop(self):
        self.running = False
        self.log.append(("stop", tuple(self.cluster.deployed)))


class FakeScreen:
    def __init__(self):
        self.scenes = []

    def show(self, scene):
        self.scenes.append(scene)


def serves(version):
    return {"phase": "Production", "stable": {"version": version}, "conditions": READY}


def failed(version, stable):
    failure = {"version": version, "reason": "AlertFiring", "message": "too many errors"}
    return {"phase": "RolledBack", "stable": {"version": stable}, "failure": failure}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(play, "_FRAME_SECONDS", 0.01)
    monkeypatch.setattr(play, "_CURTAIN_SECONDS", 0.02)
    monkeypatch.setattr(watch, "_POLL_SECONDS", 0.01)


def perform(endings, act_deadline=10):
    cluster = FakeCluster(endings)
    replay, screen = FakeReplay(cluster), FakeScreen()
    stage = play.Stage(cluster, watch.Prometheus("m", "p"), cluster.deploy, story.Tempo(act_deadline=act_deadline))
    played, watched = play.Play(stage, replay, screen).run()
    return played, watched, replay, screen


GOOD_STORY = {"1.0.0": serves("1.0.0"), "1.1.0": serves("1.1.0"), "1.2.0": failed("1.2.0", "1.1.0")}


def test_three_acts_are_played_with_traffic_from_the_first_ending_on():
    played, watched, replay, screen = perform(GOOD_STORY)

    assert [one.ending for one in played] == [act.ending for act in story.ACTS]
    assert played[2].cause == "AlertFiring: too many errors"
    assert replay.log == [("start", ("1.0.0",)), ("stop", ("1.0.0", "1.1.0", "1.2.0"))]
    assert [moment.version for moment in watched.moments] == ["1.0.0", "1.1.0", "1.2.0"]
    assert screen.scenes[-1].versions == ("1.0.0", "1.1.0", "1.2.0")


def test_the_first_wrong_ending_is_the_last_act():
    played, _, replay, _ = perform({**GOOD_STORY, "1.1.0": failed("1.1.0", "1.0.0")})

    assert [one.ending for one in played] == [story.Ending.PROMOTED, story.Ending.ROLLED_BACK]
    assert replay.log[-1] == ("stop", ("1.0.0", "1.1.0"))


def test_an_act_that_never_ends_stops_at_its_deadline():
    played, _, replay, _ = perform({"1.0.0": {"phase": "Pending"}}, act_deadline=0.1)

    assert [one.ending for one in played] == [None]
    assert replay.log == [("stop", ("1.0.0",))]


def test_a_replay_that_broke_ends_the_play(monkeypatch):
    monkeypatch.setattr(FakeReplay, "start", lambda _self: None)
    played, _, _, _ = perform({**GOOD_STORY, "1.1.0": {"phase": "Pending"}})

    assert [one.ending for one in played] == [story.Ending.PROMOTED, None]
