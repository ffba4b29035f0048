"""Batches in each form in which they may come: a list of our own, lines, and the events of a model server's log.

A form is known by the body's media type. Whatever it is, the same rows come of it, and what is wrong with one is told with its
place in the body.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

import fastapi
import pydantic

from serin_services.package.manifest import Version
from serin_services.registry import errors
from serin_services.registry.records.outcomes.batches import MAX_FAULTS
from serin_services.registry.records.outcomes.rows import (
    LARGEST,
    MAX_ROWS,
    Id,
    Label,
    Number,
    OutcomeRow,
    PredictionRow,
    Reference,
    Seconds,
)

JSON, LINES = "application/json", "application/x-ndjson"
EVENT, EVENTS = "application/cloudevents+json", "application/cloudevents-batch+json"

Row = TypeVar("Row")


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A row of a model server's prediction log, as far as it is kept: not its inputs, which are many and may be secret."""

    id: Id
    model: Reference
    version: Version
    time: pydantic.AwareDatetime
    seconds: Seconds
    outputs: dict[str, Any]
    label: Label | None = None
    confidence: Number | None = None

    def read(self) -> PredictionRow:
        """Give the prediction: its label, or the number that stands alone in the first output."""
        # Rounded to 32 bits, a probability may be a little more than 1.
        confidence = None if self.confidence is None else min(max(self.confidence, 0.0), 1.0)
        value = find_number(next(iter(self.outputs.values()), None)) if self.label is None else None
        return PredictionRow(self.model, self.version, self.id, self.time, self.label, value, confidence, self.seconds)


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent 1.0 with such a row; `type` is what `serin_services.server` names its events."""

    type: Literal["dev.serin.prediction.v1"]
    data: Record


@dataclasses.dataclass(frozen=True, slots=True)
class Predictions:
    """A batch of predictions."""

    predictions: Annotated[list[PredictionRow], pydantic.Field(max_length=MAX_ROWS)]


@dataclasses.dataclass(frozen=True, slots=True)
class Outcomes:
    """A batch of outcomes."""

    outcomes: Annotated[list[OutcomeRow], pydantic.Field(max_length=MAX_ROWS)]


def find_number(value: object) -> float | None:
    """Give the number of an output that is one that can be added up, or a list of one; None for anything else."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > LARGEST:
        return None
    return float(value)


@dataclasses.dataclass(frozen=True)
class Form(Generic[Row]):
    """One form of a batch: what its body is checked against, where its rows are told to be, and how they are read."""

    adapter: pydantic.TypeAdapter[Any]
    read: Callable[[Any], Sequence[Row]]
    prepare: Callable[[bytes], bytes] = bytes
    # What a row's place in the body is told after.
    prefix: str = ""


@dataclasses.dataclass(frozen=True)
class Body:
    """A request's body as it came."""

    content_type: str
    content: bytes


async def receive(request: fastapi.Request) -> Body:
    """Wait for the whole body, whose size is limited already."""
    return Body(request.headers.get("content-type", ""), await request.body())


Sent = Annotated[Body, fastapi.Depends(receive)]


def join_lines(body: bytes) -> bytes:
    """Make one list of lines, so that they are read at once; empty lines are none."""
    return b"[" + b",".join(line for line in body.splitlines() if line.strip()) + b"]"


def wrap(body: bytes) -> bytes:
    """Make a list of one event."""
    return b"[" + body + b"]"


def _read_events(events: Sequence[Event]) -> list[PredictionRow]:
    return [event.data.read() for event in events]


def _read_records(records: Sequence[Record]) -> list[PredictionRow]:
    return [record.read() for record in records]


_EVENTS = pydantic.TypeAdapter(list[Event])

PREDICTIONS: dict[str, Form[PredictionRow]] = {
    JSON: Form(pydantic.TypeAdapter(Predictions), lambda batch: batch.predictions),
    EVENTS: Form(_EVENTS, _read_events, prefix="events."),
    EVENT: Form(_EVENTS, _read_events, wrap, "events."),
    LINES: Form(pydantic.TypeAdapter(list[Record]), _read_records, join_lines, "lines."),
}
OUTCOMES: dict[str, Form[OutcomeRow]] = {
    JSON: Form(pydantic.TypeAdapter(Outcomes), lambda batch: batch.outcomes),
    LINES: Form(pydantic.TypeAdapter(list[OutcomeRow]), list, join_lines, "lines."),
}


def read(forms: Mapping[str, Form[Row]], sent: Body) -> Sequence[Row]:
    """Read the rows of a body.

    Raises:
        errors.InvalidError: its media type is none of the forms', or what is in it is wrong; each fault has its place.
    """
    kind = sent.content_type.partition(";")[0].strip().lower()
    if (form := forms.get(kind)) is None:
        raise errors.InvalidError(f"content-type: expected one of {', '.join(forms)}, got {kind or 'none'!r}")
    try:
        return form.read(form.adapter.validate_json(form.prepare(sent.content)))
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        faults = [_make_fault(form.prefix, item) for item in found[:MAX_FAULTS]]
        more = f"; the first {MAX_FAULTS} are named" if len(found) > MAX_FAULTS else ""
        raise errors.InvalidError(
            f"no row is taken, because the batch has {len(found)} faults{more}", *faults
        ) from None


def describe(forms: Mapping[str, Form[Any]]) -> dict[str, Any]:
    """Say in OpenAPI which bodies are taken, as far as JSON Schema can say it."""
    content = {}
    for kind, form in forms.items():
        schema = form.adapter.json_schema()
        if form.prepare is join_lines:
            schema = {"type": "string", "description": "A JSON document on each line."}
        elif form.prepare is wrap:
            schema = {**schema["items"], "$defs": schema["$defs"]}
        content[kind] = {"schema": _inline(schema, schema.pop("$defs", {}))}
    return {"requestBody": {"required": True, "content": content}}


def _inline(schema: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of JSON Schema
    """Put definitions where they are referred to: inside an OpenAPI document they have no place of their own."""
    if isinstance(schema, list):
        return [_inline(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        return _inline(definitions[reference.rpartition("/")[2]], definitions)
    return {name: _inline(value, definitions) for name, value in schema.items()}


def _make_fault(prefix: str, item: Any) -> errors.Fault:  # noqa: ANN401 - of pydantic
    where = prefix + ".".join(str(part) for part in item["loc"])
    came = "" if item["type"] in {"missing", "json_invalid"} else f", got {_shorten(item['input'])}"
    return errors.Fault(where, f"{item['msg']}{came}")


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
