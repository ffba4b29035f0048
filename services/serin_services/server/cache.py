"""A cache of answers by their inputs: one process serves one version, and that never answers differently."""

import collections
import dataclasses
import threading
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from prometheus_client import core, registry

from serin.api import metrics
from serin_services.package import manifest

Array = npt.NDArray[Any]

# An entry's own objects beside the numbers; measured with tracemalloc.
OVERHEAD_BYTES = 800


class Answered(Protocol):
    """What is kept: a dataclass that has the model's outputs."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    @property
    def outputs(self) -> tuple[Array, ...]:
        """One array for each output."""
        ...


T = TypeVar("T", bound=Answered)


def key(inputs: tuple[Array, ...]) -> bytes:
    """Give what an answer is found by: the inputs' bytes themselves, so that no two inputs ever share an answer.

    Shapes stand in front, since some axes are the request's to choose; types do not, since the manifest has set them.
    A digest instead of the bytes saves memory for inputs of some hundred bytes up, at more than a look-up's time.
    """
    if len(inputs) == 1 and inputs[0].ndim == 2:
        width: int = inputs[0].shape[1]
        return width.to_bytes(4, "little") + inputs[0].tobytes()
    shapes: bytes = b"".join(np.array((array.ndim, *array.shape), "<i8").tobytes() for array in inputs)
    return shapes + b"".join(array.tobytes() for array in inputs)


class AnswerCache(Generic[T]):
    """Keeps the answers that were used last, up to a number and a size; may be used from several threads."""

    def __init__(self, entries: int, size: int) -> None:
        self.hits = 0
        self.misses = 0
        self._most_entries = entries
        self._most_bytes = size
        self._held: collections.OrderedDict[bytes, T] = collections.OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def size(self) -> int:
        """How many bytes the entries hold."""
        return self._bytes

    def get(self, wanted: bytes) -> T | None:
        """Look an answer up."""
        with self._lock:
            if (found := self._held.get(wanted)) is None:
                self.misses += 1
                return None
            self._held.move_to_end(wanted)
            self.hits += 1
            return found

    def put(self, wanted: bytes, answer: T) -> None:
        """Keep an answer, from now on unchangeable; the ones not used for longest make room for it."""
        size = weigh(wanted, answer)
        if size > self._most_bytes:
            return
        kept = own(answer)
        for array in kept.outputs:
            array.flags.writeable = False
        with self._lock:
            if wanted in self._held:
                return
            self._held[wanted] = kept
            self._bytes += size
            while len(self._held) > self._most_entries or self._bytes > self._most_bytes:
                self._bytes -= weigh(*self._held.popitem(last=False))


def own(answer: T) -> T:
    """Give the answer with memory of its own: a part of a batch's outputs would hold all of them."""
    if all(array.base is None for array in answer.outputs):
        return answer
    return dataclasses.replace(answer, outputs=tuple(array.copy() for array in answer.outputs))


def weigh(wanted: bytes, answer: Answered) -> int:
    """Give about how many bytes an entry holds."""
    return OVERHEAD_BYTES + len(wanted) + sum(array.nbytes for array in answer.outputs)


class Collector(registry.Collector):
    """Exports how often a version's cache was asked and knew; read when Prometheus asks."""

    def __init__(self, known: AnswerCache[Any], document: manifest.Manifest) -> None:
        self._known = known
        self._own = {metrics.MODEL: document.model, metrics.MODEL_VERSION: document.version}

    def collect(self) -> Iterator[core.Metric]:
        """Give the counter."""
        labels = [*self._own, metrics.RESULT]
        family = core.CounterMetricFamily(metrics.CACHE_LOOKUPS, "Requests looked up in the cache.", labels=labels)
        for result, count in (("hit", self._known.hits), ("miss", self._known.misses)):
            family.add_metric([*self._own.values(), result], count)
        yield family


def make(
    entries: int, size: int, document: manifest.Manifest, target: registry.CollectorRegistry
) -> AnswerCache[Any] | None:
    """Make a cache whose look-ups are counted, or none where nothing is to be kept."""
    if not entries or not size:
        return None
    known: AnswerCache[Any] = AnswerCache(entries, size)
    target.register(Collector(known, document))
    return known
