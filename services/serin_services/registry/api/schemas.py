"""The forms that several routes share: text, labels, JSON, pages, and what names a model or a version."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

import fastapi
import pydantic

from serin_services.registry.records import labelling, paging

Item = TypeVar("Item")
Row = TypeVar("Row")

MAX_DEPTH = 16
MAX_LINE = 253
MAX_TEXT = 8192
# The largest whole number that every reader of JSON understands (RFC 7493).
_SAFE = 2**53 - 1
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"

# One line, such as a name; and text of several, such as a reason.
Line = Annotated[str, pydantic.StringConstraints(max_length=MAX_LINE, pattern=_NO_CONTROLS)]
Text = Annotated[str, pydantic.StringConstraints(max_length=MAX_TEXT, pattern=r"^[^\x00]*$")]
Reason = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=MAX_TEXT, pattern=r"^[^\x00]*$")]
Key = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=MAX_LINE, pattern=r'^[^\x00-\x1f\x7f"\\:]+$')]
Number = Annotated[float, pydantic.Field(allow_inf_nan=False)]
Sha256 = Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Labels = Annotated[dict[Key, Text], pydantic.Field(max_length=labelling.MAX_LABELS, examples=[{"team": "alpha"}])]
Metrics = Annotated[dict[Line, Number], pydantic.Field(max_length=256, examples=[{"accuracy": 0.64, "sharpe": 1.3}])]


def check_json(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON value
    """Refuse what a database or another reader of JSON could not keep as it is.

    Raises:
        ValueError: it is nested too deeply, or has a NUL, half a character, or a number that a double does not hold.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"expected at most {MAX_DEPTH} levels")
    for kind, check in _CHECKS:
        if isinstance(value, kind):
            check(value)
            break
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    for each in inner:
        check_json(each, depth + 1)
    return value


def _check_text(text: str) -> None:
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("expected text without NUL and without halves of characters")


def _check_float(number: float) -> None:
    if not math.isfinite(number):
        raise ValueError("expected a finite number")


def _check_int(number: int) -> None:
    if abs(number) > _SAFE:
        raise ValueError(f"expected a whole number of at most {_SAFE}, or text")


_CHECKS: tuple[tuple[type, Callable[[Any], None]], ...] = (
    (str, _check_text),
    (float, _check_float),
    (int, _check_int),
)
JsonObject = Annotated[dict[str, Any], pydantic.AfterValidator(check_json)]


class Request(pydantic.BaseModel):
    """A body that a caller sends: nothing that is not described."""

    model_config = pydantic.ConfigDict(extra="forbid")


class Answer(pydantic.BaseModel):
    """A body that the registry sends, read from a row."""

    model_config = pydantic.ConfigDict(from_attributes=True)


class FaultAnswer(Answer):
    """One thing that is wrong."""

    where: str
    message: str


class Problem(Answer):
    """What is wrong (RFC 9457)."""

    type: str = pydantic.Field(examples=["about:blank"])
    title: str = pydantic.Field(examples=["Not Found"])
    status: int = pydantic.Field(examples=[404])
    detail: str = pydantic.Field(examples=["there is no model 'momentum' that you may see"])
    instance: str | None = pydantic.Field(default=None, description="Names the request's line in the log.")
    errors: list[FaultAnswer] | None = None


class PageAnswer(Answer, Generic[Item]):
    """A part of a list; `next` asks for the part behind it, as `cursor`, and is null at the end."""

    items: list[Item]
    next: str | None


def _read_slice(
    limit: Annotated[int, fastapi.Query(ge=1, le=200, description="How many at most.")] = 50,
    cursor: Annotated[
        str | None, fastapi.Query(max_length=1024, description="What the page before gave as `next`.")
    ] = None,
) -> paging.Slice:
    return paging.Slice(limit, cursor)


Slice = Annotated[paging.Slice, fastapi.Depends(_read_slice)]
ModelPath = Annotated[
    str,
    fastapi.Path(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,51}$", description="A model's name, or its id.", examples=["momentum"]
    ),
]
VersionPath = Annotated[
    str,
    fastapi.Path(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="A version's number, or its id.", examples=["1.2.0"]
    ),
]
Search = Annotated[str | None, fastapi.Query(max_length=MAX_LINE, description="Text anywhere in it, in any case.")]
LabelQuery = Annotated[
    list[Annotated[str, pydantic.StringConstraints(max_length=2 * MAX_LINE)]],
    fastapi.Query(alias="label", max_length=16, description="`key:value`, or `key` for any value; all must hold."),
]
Moment = Annotated[pydantic.AwareDatetime | None, fastapi.Query(description="With its zone, as in RFC 3339.")]
