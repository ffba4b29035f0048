"""A prediction and an outcome as they come in: what a row may hold, said once for every way it can come.

They are plain dataclasses, because thousands come in a second; pydantic holds what comes from outside against the
annotations, and what comes from Python is as it should be.
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated

import pydantic

from serin_services.package.manifest import Version

# One batch, in rows: as many as a model server's log puts together at most.
MAX_ROWS = 10_000

# A model's name, or its UUID.
Reference = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,51}$")]
# A request's id of up to 128 characters, `/` and the row's number; or any other, without control characters.
Id = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Label = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=253, pattern=r"^[^\x00-\x1f\x7f]+$")]
Moment = pydantic.AwareDatetime
# Neither squares nor sums of numbers up to this become infinite.
LARGEST = 1e100
Number = Annotated[float, pydantic.Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Probability = Annotated[float, pydantic.Field(ge=0, le=1)]
Seconds = Annotated[float, pydantic.Field(ge=0, le=LARGEST, allow_inf_nan=False)]

STRICT = pydantic.ConfigDict(extra="forbid")


@dataclasses.dataclass(frozen=True, slots=True)
class PredictionRow:
    """What a version answered to one row."""

    __pydantic_config__ = STRICT

    model: Reference
    version: Version
    id: Id
    at: Moment
    # The class that was answered, or the number.
    label: Label | None = None
    value: Number | None = None
    confidence: Probability | None = None
    # From the request's arrival to its answer.
    seconds: Seconds | None = None
    # Whether nobody got the answer; where it is not said, the version's stage says it.
    shadow: bool | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class OutcomeRow:
    """What came of it, by the prediction's id."""

    __pydantic_config__ = STRICT

    model: Reference
    id: Id
    at: Moment
    label: Label | None = None
    value: Number | None = None
    # What acting on the prediction brought, as a share of what was at stake; below 0 where it cost. Nobody acts on an
    # answer that nobody got: it does not count for versions in the shadow.
    returned: Number | None = None
    # What acting on each label would have brought: it counts for every version, by the label that it gave.
    returns: Annotated[Mapping[Label, Number], pydantic.Field(max_length=1000)] = dataclasses.field(
        default_factory=dict
    )
