"""Models that crash or occupy their library are refused by what happens to another process."""

import signal

import psutil
import pytest

from serin_services.package import errors, sandbox
from support import networks, packages


@pytest.fixture
def helper(monkeypatch: pytest.MonkeyPatch) -> object:
    """A helper of this test's own."""
    made = sandbox.Helper()
    monkeypatch.setattr(sandbox, "_helper", made)
    monkeypatch.setattr(sandbox, "_passed", set())
    yield made
    made.close()


def test_a_model_that_passed_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.check("xgboost", packages.xgboost_model())
    monkeypatch.setattr(sandbox, "_helper", None)

    sandbox.check("xgboost", packages.xgboost_model())


def test_a_library_that_crashes_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox._helper, "ask", lambda *_: {"signal": signal.SIGSEGV})

    with pytest.raises(errors.PackageError, match="ModelInvalid: xgboost ends with signal 11 over it"):
        sandbox.check("xgboost", b"")


def test_a_model_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox._helper, "ask", lambda *_: {"signal": signal.SIGALRM})

    with pytest.raises(errors.PackageError, match="takes longer than 60 s"):
        sandbox.check("xgboost", b"")


def test_a_text_over_which_lightgbm_aborts_is_refused() -> None:
    broken = packages.lightgbm_model().replace(b"num_leaves=4", b"num_leaves=9")

    with pytest.raises(errors.PackageError, match="ModelInvalid"):
        sandbox.check("lightgbm", broken)


def test_a_helper_that_has_ended_is_started_again(helper: sandbox.Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "IDLE_SECONDS", 0.05)
    sandbox.check("onnx", networks.linear())
    helper._process.wait(timeout=30)
    sandbox._passed.clear()

    sandbox.check("onnx", networks.linear())


@pytest.mark.usefixtures("helper")
def test_a_server_keeps_no_helper() -> None:
    before = set(psutil.Process().children())
    sandbox.leave_early()

    sandbox.check("onnx", networks.linear())

    assert set(psutil.Process().children()) <= before
