"""Measures the forms of a model against each other, and plans which computes a call, by its number of rows."""

import dataclasses
import itertools
import time
from collections.abc import Mapping, Sequence

from serin_services.package import manifest
from serin_services.package.families import base

# A call that takes longer says enough; larger ones are not measured.
LONG_SECONDS = 1.0
# A form must be so many times as fast as another to be changed to: it costs the memory of a library.
WORTH = 1.2


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is measured: the numbers of rows, where a plan can change; and for each form and number, how long."""

    sizes: tuple[int, ...] = tuple(2**power for power in range(11))
    seconds: float = 0.03
    least: int = 5
    most: int = 400


FULL = Effort()


def measure(
    forms: Mapping[manifest.FormName, base.Predictor], pool: tuple[base.Array, ...], effort: Effort
) -> dict[str, dict[int, float]]:
    """Give the microseconds of a call by form and number of rows, as the median of many.

    Each call has other rows, as a server's have: with the same rows again, a processor learns the way through the
    trees. The processor time of this thread is measured, because others may use the same core; the forms take turns.
    """
    result: dict[str, dict[int, float]] = {name: {} for name in forms}
    for size in effort.sizes:
        if size > len(pool[0]):
            break
        for name, seconds in _time(forms, pool, size, effort).items():
            result[name][size] = round(seconds[len(seconds) // 2] * 1e6, 1)
        if max(times[size] for times in result.values()) > LONG_SECONDS * 1e6:
            break
    return result


def _time(
    forms: Mapping[manifest.FormName, base.Predictor], pool: tuple[base.Array, ...], size: int, effort: Effort
) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in forms}
    spent, at = 0.0, 0
    for call in range(effort.most):
        if call >= effort.least and spent >= effort.seconds * len(forms):
            break
        at = at + size if at + 2 * size <= len(pool[0]) else 0
        rows = tuple(array[at : at + size].copy() for array in pool)
        for name, predictor in forms.items():
            started = time.thread_time_ns()
            predictor.predict(*rows)
            seconds = (time.thread_time_ns() - started) / 1e9
            taken[name].append(seconds)
            spent += seconds
        if spent > LONG_SECONDS * len(forms):
            break
    return {name: sorted(seconds) for name, seconds in taken.items()}


def plan(measured: Mapping[str, Mapping[int, float]]) -> tuple[manifest.Step, ...]:
    """Begin with what is fastest for one row, and change where another is worth it."""
    sizes: Sequence[int] = sorted(next(iter(measured.values())))
    form = min(measured, key=lambda name: measured[name][sizes[0]])
    steps = []
    for before, size in itertools.pairwise(sizes):
        fastest = min(measured, key=lambda name: measured[name][size])
        if measured[fastest][size] * WORTH < measured[form][size]:
            steps.append(manifest.Step.model_validate({"rows": before, "form": form}))
            form = fastest
    return (*steps, manifest.Step.model_validate({"rows": None, "form": form}))
