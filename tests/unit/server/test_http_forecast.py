"""KServe's forecast call: series in, steps and quantiles out."""

from collections.abc import Iterator

import numpy as np
import pytest

from serin_services.package import manifest
from serin_services.server.http import forecast
from support import http_site

PATH = "/v1/timeseries/forecast"
UNIVARIATE = {"type": "univariate_time_series", "name": "sales", "series": [0, 1, 2, 3], "frequency": "D"}
MULTIVARIATE = {**UNIVARIATE, "type": "multivariate_time_series"}


def serve(*, width: int, quantiles: tuple[float, ...]) -> object:
    """Predicts the last step, and each further step one more; a quantile is added to it."""

    def predict(series: np.ndarray) -> tuple[np.ndarray, ...]:
        steps = series[:, -1:, 0] + np.arange(1, 6)
        return (steps[..., None] + quantiles,) if quantiles else (steps,)

    shape = (-1, 5, len(quantiles)) if quantiles else (-1, 5)
    document = http_site.make_document(
        task="quantile" if quantiles else "regression",
        inputs=(manifest.Tensor(name="past", dtype="float32", shape=(-1, 3, width)),),
        outputs=(manifest.Tensor(name="future", dtype="float32", shape=shape),),
        quantiles=quantiles,
    )
    return http_site.serve(http_site.make_model(document, predict))


@pytest.fixture(scope="module")
def served() -> Iterator[http_site.Served]:
    with serve(width=1, quantiles=(0.125, 0.5, 0.75)) as running:
        yield running


def ask(served: http_site.Served, *inputs: object, **options: object) -> http_site.Answer:
    return served.call(PATH, {"model": "waves", "inputs": list(inputs), "options": {"horizon": 2, **options}})


def test_it_forecasts_each_series(served: http_site.Served) -> None:
    second = {**UNIVARIATE, "name": "stock", "series": [7, 7, 7], "start_timestamp": "2026-11-21T00:00:00+00:00"}

    answer = ask(served, UNIVARIATE, second, quantiles=[0.75]).body

    assert (answer["status"], answer["model"]) == ("completed", "waves")
    (output,) = answer["outputs"]
    assert output["id"] == answer["id"]
    assert output["content"] == [
        {
            "type": "univariate_time_series",
            "name": "sales",
            "mean_forecast": [4.5, 5.5],
            "frequency": "D",
            "start_timestamp": "",
            "quantiles": {"0.75": [4.75, 5.75]},
        },
        {
            "type": "univariate_time_series",
            "name": "stock",
            "mean_forecast": [8.5, 9.5],
            "frequency": "D",
            "start_timestamp": "2026-11-24T00:00:00+00:00",
            "quantiles": {"0.75": [8.75, 9.75]},
        },
    ]


def test_a_model_of_values_forecasts_many_features() -> None:
    with serve(width=2, quantiles=()) as served:
        answer = ask(served, {**MULTIVARIATE, "series": [[1, 0], [2, 0], [3, 0]]}, horizon=5)
        refused = ask(served, UNIVARIATE)

    assert answer.body["outputs"][0]["content"][0]["mean_forecast"] == [4, 5, 6, 7, 8]
    assert "quantiles" not in answer.body["outputs"][0]["content"][0]
    assert refused.body["error"]["param"] == "inputs[0].series"


REFUSED = {
    "a horizon beyond the model's": ([UNIVARIATE], {"horizon": 6}, "options.horizon"),
    "no horizon": ([UNIVARIATE], {"horizon": 0}, "options.horizon"),
    "another quantile": ([UNIVARIATE], {"quantiles": [0.3]}, "options.quantiles"),
    "a series too short": ([{**UNIVARIATE, "series": [1, 2]}], {}, "inputs[0].series"),
    "lists for numbers": ([{**UNIVARIATE, "series": [[1], [2], [3]]}], {}, "inputs[0].series"),
    "steps of different widths": ([{**MULTIVARIATE, "series": [[1], [2, 3], [4]]}], {}, "inputs[0].series"),
    "another width": ([{**MULTIVARIATE, "series": [[1, 1], [2, 2], [4, 4]]}], {}, "inputs[0].series"),
    "a start that is none": ([{**UNIVARIATE, "start_timestamp": "soon"}], {}, "inputs[0].start_timestamp"),
    "another frequency": ([{**UNIVARIATE, "frequency": "century"}], {}, "body"),
    "no series": ([], {}, "inputs"),
    "nothing in a series": ([{**UNIVARIATE, "series": [1, None, 2, 3]}], {}, "past[0, 0, 0]"),
}  # fmt: skip


@pytest.mark.parametrize(("inputs", "options", "param"), REFUSED.values(), ids=REFUSED)
def test_it_refuses_as_kserve_does(
    served: http_site.Served, inputs: list[object], options: dict[str, object], param: str
) -> None:
    answer = ask(served, *inputs, **options)

    assert (answer.status, answer.body["error"]["code"], answer.body["error"]["param"]) == (400, "400", param)


def test_another_model_is_not_found(served: http_site.Served) -> None:
    body = {"model": "tides", "inputs": [UNIVARIATE], "options": {"horizon": 1}}

    assert served.call(PATH, body).status == 404


MOMENTS = {
    "seconds": ("S", 90, "2026-01-31T00:01:30"),
    "weeks": ("week", 1, "2026-02-07T00:00:00"),
    "months, where the day is missing": ("M", 1, "2026-02-28T00:00:00"),
    "quarters over a year's end": ("quarter", 4, "2027-01-31T00:00:00"),
    "years": ("Y", 2, "2028-01-31T00:00:00"),
}


@pytest.mark.parametrize(("frequency", "steps", "expected"), MOMENTS.values(), ids=MOMENTS)
def test_the_forecast_starts_behind_the_series(frequency: str, steps: int, expected: str) -> None:
    start = forecast.dt.datetime(2026, 1, 31)

    assert forecast.after(start, frequency, steps).isoformat() == expected
