"""Predictions and what came of them: sent in batches, and given back as figures."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from serin_services.registry.client import figures, results
from serin_services.registry.client.connection import Connection
from serin_services.registry.client.transport import quote
from serin_services.registry.client.versions import version_path

# Rows of one batch: what a retry sends again, and as many as the API takes at most.
BATCH = 5_000
LINES = "application/x-ndjson"


class Outcomes(Connection):
    """The part of the client for predictions, outcomes, figures and the shadow."""

    def push_predictions(self, rows: Iterable[Mapping[str, Any]]) -> figures.Receipt:
        """Send predictions in batches, as the API or a model server's log writes them; one that came before counts once.

        Raises:
            errors.InvalidError: of a row that is wrong; its batch is refused, those before it are taken.
        """
        return self._push("predictions", rows)

    def push_outcomes(self, rows: Iterable[Mapping[str, Any]]) -> figures.Receipt:
        """Send outcomes in batches; one that came before counts once.

        Raises:
            errors.InvalidError: of a row that is wrong; its batch is refused, those before it are taken.
        """
        return self._push("outcomes", rows)

    def _push(self, what: str, rows: Iterable[Mapping[str, Any]]) -> figures.Receipt:
        total = figures.Receipt()
        for batch in _gather(rows):
            if what == "predictions" and not all("outputs" in row for row in batch):
                answer = self.transport.ask("POST", quote(what), body={what: batch})
            else:
                content = b"".join(json.dumps(row).encode() + b"\n" for row in batch)
                answer = self.transport.ask("POST", quote(what), content=content, headers={"Content-Type": LINES})
            total += figures.Receipt.model_validate(answer.json())
        return total

    def predictions(self, model: str, **filters: Any) -> Iterator[figures.Prediction]:  # noqa: ANN401 - of the API's query
        """Give the predictions of a model with their outcomes, the newest first."""
        return self.pages(figures.Prediction, quote("models", model, "predictions"), filters)

    def performance(self, model: str | None = None, **filters: Any) -> list[figures.Performance]:  # noqa: ANN401 - as above
        """Give how a model's versions do in a window, or all that answer requests now; by default in 24 hours."""
        if model is None:
            return list(self.pages(figures.Performance, quote("performance"), filters))
        return self.get(figures.Window, quote("models", model, "performance"), filters).versions

    def performance_history(self, model: str, version: str, **filters: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        """Give the figures of a version hour by hour or day by day, as plain JSON."""
        found: dict[str, Any] = self.ask("GET", version_path(model, version, "performance"), query=filters)
        return found

    def export(self, month: str, form: str = "json") -> bytes:
        """Give the performance of all active models in a month, `2026-11`, as JSON or CSV."""
        query = {"month": month, "format": form}
        return self.transport.ask("GET", quote("exports", "performance"), query=query).content

    def shadows(self, model: str | None = None, version: str | None = None) -> list[figures.Trial]:
        """Give the versions that answer beside a champion without anyone getting their answers, or where one does."""
        path = version_path(model, version, "shadow") if model and version else quote("shadow")
        return [figures.Trial.model_validate(one) for one in self.ask("GET", path)]

    def shadow_comparison(
        self,
        model: str,
        version: str,
        *,
        keep: bool = False,
        **filters: Any,  # noqa: ANN401 - as above
    ) -> figures.ShadowComparison:
        """Give what came of a version's predictions beside what came of its champion's.

        Args:
            model: its name or id.
            version: its number.
            keep: whether the result is kept in the version's history.
            filters: `champion`, `since`, and `until` where it is not kept.
        """
        answer = self.ask(
            "POST" if keep else "GET", version_path(model, version, "shadow", "comparison"), query=filters
        )
        return figures.ShadowComparison.model_validate(answer)

    def shadow_history(self, model: str, version: str) -> Iterator[figures.ShadowComparison]:
        """Give the comparisons that were kept of a version, the newest first."""
        return self.pages(figures.ShadowComparison, version_path(model, version, "shadow", "history"))

    def deploy_shadow(self, model: str, version: str, body: Mapping[str, Any]) -> results.Placed:
        """Have a version rolled out, beginning with mirrored traffic: `namespace`, `name`, `duration`, `mirror_percent`."""
        return self.post(results.Placed, version_path(model, version, "shadow", "deploy"), body)

    def request_shadow(self, model: str, version: str, verb: str) -> results.Asked:
        """Ask the operator to promote a version from the shadow, or to roll it back; `requests` of its deployment answers."""
        return self.post(results.Asked, version_path(model, version, "shadow", verb), {})


def _gather(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    gathered: list[Mapping[str, Any]] = []
    for row in rows:
        gathered.append(row)
        if len(gathered) == BATCH:
            yield gathered
            gathered = []
    if gathered:
        yield gathered
