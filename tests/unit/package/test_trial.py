"""Models that crash or occupy their library are refused by what happens to another process."""

import signal

import pytest

from serin_services.package import errors, trial
from support import networks, packages


@pytest.fixture
def helper(monkeypatch: pytest.MonkeyPatch) -> object:
    """A helper of this test's own."""
    made = trial.Helper()
    monkeypatch.setattr(trial, "_helper", made)
    monkeypatch.setattr(trial, "_passed", set())
    yield made
    made.close()


def test_a_model_that_passed_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    trial.check("xgboost", packages.xgboost_model())
    monkeypatch.setattr(trial, "_helper", None)

    trial.check("xgboost", packages.xgboost_model())


def test_a_library_that_crashes_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial._helper, "ask", lambda *_: {"signal": signal.SIGSEGV})

    with pytest.raises(errors.PackageError, match="ModelInvalid: xgboost ends with signal 11 over it"):
        trial.check("xgboost", b"")


def test_a_model_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial._helper, "ask", lambda *_: {"signal": signal.SIGALRM})

    with pytest.raises(errors.PackageError, match="takes longer than 60 s"):
        trial.check("xgboost", b"")


def test_a_text_over_which_lightgbm_aborts_is_refused() -> None:
    broken = packages.lightgbm_model().replace(b"num_leaves=4", b"num_leaves=9")

    with pytest.raises(errors.PackageError, match="ModelInvalid"):
        trial.check("lightgbm", broken)


def test_a_helper_that_has_ended_is_started_again(helper: trial.Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "IDLE_SECONDS", 0.05)
    trial.check("onnx", networks.linear())
    helper._process.wait(timeout=30)
    trial._passed.clear()

    trial.check("onnx", networks.linear())
