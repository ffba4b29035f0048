"""What a busy server answers over HTTP: 429 with when to come back, 504 when the client's time is over."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from serin_services.package import manifest
from serin_services.server import admission, inference, mode
from support import http_site

FEATURES = (manifest.Feature(name="a"), manifest.Feature(name="b"))
ROWS = http_site.make_document(
    task="regression",
    inputs=(manifest.Tensor(name="rows", dtype="float32", shape=(-1, 2), features=FEATURES),),
    outputs=(manifest.Tensor(name="value", dtype="float32", shape=(-1,)),),
)
ROW = {"rows": [[1, 2]]}
THREADED = mode.Mode(inline_rows=0)


class Slow:
    """A model that answers when it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def predict(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        assert self.go_on.wait(20)
        return (rows.sum(axis=1),)


@pytest.fixture
def slow() -> Iterator[Slow]:
    model = Slow()
    yield model
    model.go_on.set()


@pytest.fixture
def served(slow: Slow) -> Iterator[http_site.Served]:
    with http_site.serve(http_site.make_model(ROWS, slow.predict, parts=inference.Parts(serving=THREADED))) as running:
        yield running


@pytest.mark.parametrize("serving", [THREADED, mode.Mode()], ids=["by a thread", "on the event loop"])
def test_one_too_many_is_told_when_to_come_back(slow: Slow, serving: mode.Mode) -> None:
    parts = inference.Parts(door=admission.Admission(most=0), serving=serving)
    with http_site.serve(http_site.make_model(ROWS, slow.predict, parts=parts)) as served:
        refused = served.call("/predict", ROW)

    assert (refused.status, refused.body["reason"], refused.headers["retry-after"]) == (429, "Busy", "1")


DEADLINES = {"milliseconds": {"x_request_timeout_ms": "40"}, "gRPC's form": {"grpc_timeout": "40m"}}


@pytest.mark.parametrize("headers", DEADLINES.values(), ids=DEADLINES)
def test_an_answer_too_late_is_not_waited_for(served: http_site.Served, headers: dict[str, str]) -> None:
    started = time.monotonic()
    answer = served.call("/predict", ROW, **headers)

    assert (answer.status, answer.body["reason"]) == (504, "DeadlineExceeded")
    assert 0.03 < time.monotonic() - started < 10


def test_the_servers_own_deadline_holds_where_the_client_has_none(slow: Slow) -> None:
    model = http_site.make_model(ROWS, slow.predict, parts=inference.Parts(serving=THREADED))
    with http_site.serve(model, deadline_seconds=0.04) as served:
        assert served.call("/predict", ROW).status == 504
        assert served.call("/predict", ROW, x_request_timeout_ms="10000").status == 504
        slow.go_on.set()


WRONG = {
    "no number": {"x_request_timeout_ms": "soon"},
    "no unit": {"grpc_timeout": "100"},
    "none": {"grpc_timeout": ""},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
def test_a_deadline_that_is_none_is_refused(served: http_site.Served, headers: dict[str, str]) -> None:
    assert served.call("/predict", ROW, **headers).status == 400


def test_a_failure_of_the_model_is_logged_under_the_id_that_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_rows: np.ndarray) -> tuple[np.ndarray, ...]:
        raise RuntimeError("the model's own")

    with http_site.serve(http_site.make_model(ROWS, fail)) as served:
        answer = served.call("/predict", ROW, x_request_id="r-5")

    assert (answer.status, answer.body["reason"]) == (500, "InternalError")
    assert "the model's own" not in answer.body["error"]
    assert "request r-5 failed" in caplog.text
