"""Computes each call by the form that was the fastest for its number of rows when the package was made."""

import functools
import logging
import threading
from collections.abc import Callable

from serin_services.package import errors, families, manifest, transforms

log = logging.getLogger("serin.package")

# Gives the content of a file of the package, checked against the manifest.
Read = Callable[[str], bytes]


def open_form(document: manifest.Manifest, path: str, read: Read, where: str) -> families.Predictor:
    """Open one form of a model, hold it against the manifest, and try it.

    Raises:
        errors.PackageError: the library refuses it, or it is not the model that the manifest describes.
    """
    family = families.FAMILIES[document.family]
    if path == document.artifact.path:
        opened = families.open_model(family, read(path), f"{where}/{path}")
    else:
        opened = families.open_form(family, read(path), document.artifact.sha256, f"{where}/{path}")
    families.check_schema(document, opened.inspection)
    model = opened.select(tuple(tensor.name for tensor in document.outputs))
    predictor = transforms.wrap(model, document)
    families.check_predicts(predictor, document)
    return predictor


def open_planned(document: manifest.Manifest, read: Read, where: str) -> families.Predictor:
    """Open the form that the smallest calls are planned for; the others are opened when the first such call comes."""
    routes = document.routes
    first = open_form(document, routes[0][1], read, where)
    opened: dict[str, families.Predictor] = {routes[0][1]: first}
    for _, path in routes:
        if path not in opened:
            opened[path] = Late(first, functools.partial(open_form, document, path, read, where))
    return Planned([(rows, opened[path]) for rows, path in routes]) if len(routes) > 1 else first


class Planned:
    """Chooses by the number of rows; the fewest first, because one row at a time is what is mostly asked for."""

    def __init__(self, steps: list[tuple[int | None, families.Predictor]]) -> None:
        (first_limit, first), *self._others = steps
        assert first_limit is not None  # noqa: S101 - a manifest has no plan of more steps where it is
        self._first_limit = first_limit
        self._predict_first = first.predict

    def predict(self, *inputs: families.Array) -> tuple[families.Array, ...]:
        """Score a batch."""
        rows = len(inputs[0])
        if rows <= self._first_limit:
            return self._predict_first(*inputs)
        chosen = next(predictor for limit, predictor in self._others if limit is None or rows <= limit)
        return chosen.predict(*inputs)


class Late:
    """A form that is opened beside the calls once one comes for it; until then, another form computes them.

    A library of its own takes tens of megabytes and up to a second to load: a server that never sees a large batch pays
    for neither, and no call waits for it. Where it cannot be loaded, the other form stays, with a line in the log.
    """

    def __init__(self, instead: families.Predictor, opener: Callable[[], families.Predictor]) -> None:
        self._predict = instead.predict
        self._opener = opener
        self._asked = threading.Lock()
        self.loading = threading.Thread(target=self._load, name="serin-form", daemon=True)

    def predict(self, *inputs: families.Array) -> tuple[families.Array, ...]:
        """Score a batch with what is there."""
        if self._asked.acquire(blocking=False):
            # Never given back: the form is loaded once.
            self.loading.start()
        return self._predict(*inputs)

    def _load(self) -> None:
        try:
            self._predict = self._opener().predict
        except errors.PackageError as error:
            log.warning("large batches go on without their fastest form: %s", error)
