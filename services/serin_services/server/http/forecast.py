"""KServe's forecast call, `POST /v1/timeseries/forecast`, for models that take a sequence and give the steps behind it.

The messages are those of kserve 0.21, `kserve/protocol/rest/timeseries/types.py`. Each series is one element of the
batch; `horizon` takes as many of the model's steps as are wanted.
"""

import calendar
import datetime as dt
import time
from typing import Any, Literal

import msgspec
import numpy as np

from serin_services.package import manifest
from serin_services.server import inference, schema, signature
from serin_services.server.http import endpoints
from serin_services.server.http.endpoints import Call, encode
from serin_services.server.http.messages import Request, Response
from serin_services.server.schema import Array, Refusal

PATH = b"/v1/timeseries/forecast"

Number = float | None
Frequency = Literal[
    "second", "S", "minute", "T", "hour", "H", "day", "D", "week", "W", "month", "M", "quarter", "Q", "year", "Y"
]
SECONDS = {"S": 1, "T": 60, "H": 3600, "D": 86400, "W": 7 * 86400}
MONTHS = {"M": 1, "Q": 3, "Y": 12}
SHORT = {
    "second": "S",
    "minute": "T",
    "hour": "H",
    "day": "D",
    "week": "W",
    "month": "M",
    "quarter": "Q",
    "year": "Y",
}


class Series(msgspec.Struct):
    """One observed series: numbers, or lists of one number for each feature."""

    type: Literal["univariate_time_series", "multivariate_time_series"]
    name: str
    series: list[Number | list[Number]]
    frequency: Frequency
    start_timestamp: str | None = None


class Options(msgspec.Struct):
    """How many steps are wanted, and which quantiles of each."""

    horizon: int
    quantiles: list[float] | None = None


class ForecastRequest(msgspec.Struct):
    """A request for forecasts."""

    model: str
    inputs: list[Series]
    options: Options


class SeriesForecast(msgspec.Struct, omit_defaults=True):
    """The forecast of one series; `mean_forecast` of a model of quantiles is the one nearest to the median."""

    type: str
    name: str
    mean_forecast: list[Any]
    frequency: str
    start_timestamp: str
    quantiles: dict[str, list[Any]] | None = None


class Output(msgspec.Struct):
    """All forecasts of a request."""

    type: str
    id: str
    status: str
    content: list[SeriesForecast]


class ForecastResponse(msgspec.Struct):
    """An answer."""

    id: str
    created_at: int
    status: str
    model: str
    outputs: list[Output]


decode = msgspec.json.Decoder(ForecastRequest).decode


def answers(document: manifest.Manifest) -> bool:
    """Whether a model takes one sequence and gives values for steps behind it."""
    ranks = {2, 3} if not document.inputs[0].features else {3}
    return (
        len(document.inputs) == 1
        and not document.features
        and len(document.inputs[0].shape) in ranks
        and document.task in {"regression", "quantile"}
        and len(document.outputs[0].shape) >= (3 if document.quantiles else 2)
    )


class Forecast:
    """Reads and answers forecast calls of one model."""

    def __init__(self, model: inference.Inference) -> None:
        self._model = model
        self._document = model.manifest
        # Steps back, steps ahead; `manifest.ANY` where each request chooses.
        self._context = self._document.inputs[0].shape[1]
        self._steps = self._document.outputs[0].shape[1]

    def is_slow(self, request: Request) -> bool:
        """Whether it is so large that others should not wait for it."""
        return len(request.body) > endpoints.LARGE_BYTES

    def fail(self, status: int, reason: str, message: str, refusal: Refusal | None = None) -> bytes:
        """Say what is wrong as KServe does."""
        param = refusal.field if refusal else ""
        made: bytes = encode({"error": {"code": str(status), "message": message, "param": param, "type": reason}})
        return made

    def read(self, request: Request) -> Call:
        """Read the series of a request."""
        try:
            asked = decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise invalid("body", "a forecast request as KServe has it", str(error)) from error
        if asked.model not in {"", self._document.model}:
            raise Refusal(
                "NotFound", "model", repr(self._document.model), repr(asked.model[:80]), mismatch=False, status=404
            )
        if not asked.inputs:
            raise invalid("inputs", "at least one series", "none")
        self._check_options(asked.options)
        starts = [forecast_start(series, index) for index, series in enumerate(asked.inputs)]
        rows = [self._read_series(series, f"inputs[{index}].series") for index, series in enumerate(asked.inputs)]
        lengths = {len(row) for row in rows}
        if len(lengths) > 1:
            raise invalid("inputs", "series of one length", f"lengths {sorted(lengths)[:5]}")
        given = signature.Given(self._document.inputs[0].name, np.stack(rows))

        def write(answer: inference.Answer, request_id: bytes) -> Response:
            return self._write(asked, starts, answer, request_id)

        return Call(self._model.signature.accept([given]), write)

    def _check_options(self, options: Options) -> None:
        most = self._steps if self._steps != manifest.ANY else schema.MAX_ROWS
        if not 1 <= options.horizon <= most:
            raise Refusal("HorizonTooLong", "options.horizon", f"1 to {most} steps", str(options.horizon))
        for quantile in options.quantiles or ():
            if quantile not in self._document.quantiles:
                known = ", ".join(map(str, self._document.quantiles)) or "none: the model gives no quantiles"
                raise Refusal("UnknownQuantile", "options.quantiles", known, str(quantile))

    def _read_series(self, series: Series, field: str) -> Array:
        """Give the last steps of a series, as many as the model looks back."""
        own = self._document.inputs[0].shape
        univariate = series.type == "univariate_time_series"
        if any(isinstance(step, list) is univariate for step in series.series):
            expected = "numbers" if univariate else "lists of one number for each feature"
            raise invalid(field, f"{expected}, as {series.type} has them", "others")
        if self._context != manifest.ANY and len(series.series) < self._context:
            raise Refusal("ShapeMismatch", field, f"at least {self._context} steps", str(len(series.series)))
        steps = series.series if self._context == manifest.ANY else series.series[-self._context :]
        try:
            values: Array = np.array(steps, dtype="float64")
        except ValueError as error:
            raise Refusal("ShapeMismatch", field, f"{own[-1]} numbers in each step", "different numbers") from error
        if len(own) == 3 and univariate:
            values = values[:, np.newaxis]
        if values.ndim != len(own) - 1 or (len(own) == 3 and own[2] not in {manifest.ANY, values.shape[1]}):
            width = own[2] if len(own) == 3 else 1
            raise Refusal("ShapeMismatch", field, f"{width} numbers in each step", f"shape {list(values.shape)}")
        return values

    def _write(
        self, asked: ForecastRequest, starts: list[str], answer: inference.Answer, request_id: bytes
    ) -> Response:
        own_id = request_id.decode()
        values = answer.outputs[0][:, : asked.options.horizon]
        content = [
            self._describe(series, start, values[index], asked.options)
            for index, (series, start) in enumerate(zip(asked.inputs, starts, strict=True))
        ]
        output = Output("time_series_forecast", own_id, "completed", content)
        body = ForecastResponse(own_id, int(time.time()), "completed", self._document.model, [output])
        return Response(200, encode(body))

    def _describe(self, series: Series, start: str, steps: Array, options: Options) -> SeriesForecast:
        own = self._document.quantiles
        if not own:
            return SeriesForecast(series.type, series.name, steps.tolist(), series.frequency, start)
        middle = min(range(len(own)), key=lambda place: abs(own[place] - 0.5))
        chosen = {str(quantile): steps[..., own.index(quantile)].tolist() for quantile in options.quantiles or own}
        return SeriesForecast(series.type, series.name, steps[..., middle].tolist(), series.frequency, start, chosen)


def forecast_start(series: Series, index: int) -> str:
    """Give the moment of the first step behind a series, in ISO 8601; nothing where the series has no start."""
    if series.start_timestamp is None:
        return ""
    field = f"inputs[{index}].start_timestamp"
    try:
        start = dt.datetime.fromisoformat(series.start_timestamp)
        return after(start, series.frequency, len(series.series)).isoformat()
    except (ValueError, OverflowError) as error:
        raise invalid(field, "a moment in ISO 8601", repr(series.start_timestamp[:40])) from error


def after(start: dt.datetime, frequency: str, steps: int) -> dt.datetime:
    """Give the moment a number of steps later; the last day of a month stays one where the later month is shorter."""
    unit = SHORT.get(frequency, frequency)
    if unit in SECONDS:
        return start + dt.timedelta(seconds=SECONDS[unit] * steps)
    months = start.year * 12 + start.month - 1 + MONTHS[unit] * steps
    year, month = divmod(months, 12)
    if year > dt.MAXYEAR:
        raise OverflowError(year)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)


def invalid(field: str, expected: str, got: str) -> Refusal:
    """Refuse a request for what has nothing to do with the model's features."""
    return Refusal("InvalidRequest", field, expected, got[:200], mismatch=False)
