"""The acts as resources, and how their endings are read from the status."""

import pytest

from serin.api import v1alpha1
from serin_demo import snapshot, story

GATEWAY = story.Gateway("serin-gateway", "public")
GOOD, BAD = story.ACTS[1], story.ACTS[2]


def make_resource(generation=2, **status):
    return {"metadata": {"generation": generation}, "status": {"observedGeneration": 2, **status}}


READY = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("act", "resource", "ending"),
    [
        pytest.param(
            GOOD,
            make_resource(phase="Production", stable={"version": "1.1.0"}, conditions=READY),
            story.Ending.PROMOTED,
            id="a version is promoted when it is stable in Production",
        ),
        pytest.param(
            GOOD,
            make_resource(phase="Production", stable={"version": "1.0.0"}, conditions=READY),
            None,
            id="the version before it in Production is no ending",
        ),
        pytest.param(
            GOOD,
            make_resource(3, phase="Production", stable={"version": "1.1.0"}, conditions=READY),
            None,
            id="a status of an older spec is no ending",
        ),
        pytest.param(
            GOOD,
            make_resource(phase="Production", stable={"version": "1.1.0"}, conditions=[]),
            None,
            id="Production without Ready is no ending",
        ),
        pytest.param(
            BAD,
            make_resource(phase="RolledBack", stable={"version": "1.1.0"}, failure={"version": "1.2.0"}),
            story.Ending.ROLLED_BACK,
            id="a version is rolled back when the failure names it",
        ),
        pytest.param(
            BAD,
            make_resource(phase="RollingBack", stable={"version": "1.1.0"}, failure={"version": "1.2.0"}),
            None,
            id="rolling back is no ending",
        ),
        pytest.param(BAD, {"metadata": {"generation": 1}}, None, id="no status is no ending"),
    ],
)
def test_endings(act, resource, ending):
    assert story.has_ended(act, snapshot.read(resource)) is ending


@pytest.mark.parametrize(
    ("status", "subject", "weights"),
    [
        pytest.param({}, "", {}, id="nothing known yet"),
        pytest.param(
            {"phase": "Pending", "candidate": {"version": "1.0.0"}},
            "1.0.0",
            {"1.0.0": 100},
            id="the first version is alone",
        ),
        pytest.param(
            {"phase": "Canary", "stable": {"version": "1.0.0"}, "candidate": {"version": "1.1.0"}, "weight": 25},
            "1.1.0",
            {"1.0.0": 75, "1.1.0": 25},
            id="a canary shares with the stable version",
        ),
        pytest.param(
            {"phase": "Production", "stable": {"version": "1.1.0"}, "weight": 0},
            "1.1.0",
            {"1.1.0": 100},
            id="the stable version has everything",
        ),
        pytest.param(
            {"phase": "RolledBack", "stable": {"version": "1.1.0"}, "failure": {"version": "1.2.0"}},
            "1.2.0",
            {"1.1.0": 100},
            id="a rollback is about the version that failed",
        ),
    ],
)
def test_weights_and_subject_of_a_status(status, subject, weights):
    seen = snapshot.read(make_resource(**status))

    assert seen.subject == subject
    assert seen.weights == weights


def test_the_settings_pass_the_operators_own_types():
    for act in story.ACTS:
        settings = story.make_spec(act, GATEWAY, story.USUAL)
        spec = v1alpha1.Spec.model_validate({"model": "tumor", "version": act.version, "image": "tumor:1", **settings})

        assert [step.weight for step in spec.strategy.canary.steps] == [10, 25, 50, 100]
        assert (spec.strategy.canary.staging.duration == "0s") is not act.staged
