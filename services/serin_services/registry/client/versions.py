"""Models and their versions: made, found, compared, moved and signed off."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from serin_services.registry.client import results
from serin_services.registry.client.connection import Body, Connection
from serin_services.registry.client.transport import quote


class Versions(Connection):
    """The part of the client for models and versions."""

    def models(self, **filters: Any) -> Iterator[results.Model]:  # noqa: ANN401 - of the API's query
        """Give the models that the caller may see, the newest first."""
        return self.pages(results.Model, quote("models"), filters)

    def model(self, model: str) -> results.Model:
        """Give a model by its name or id."""
        return self.get(results.Model, quote("models", model))

    def create_model(
        self,
        name: str,
        *,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        visibility: str | None = None,
    ) -> results.Model:
        """Make a model; without a visibility it is the tenant's."""
        body = {"name": name, "description": description, "labels": dict(labels or {}), "visibility": visibility}
        return self.post(results.Model, quote("models"), body)

    def change_model(self, model: str, revision: int, changes: Body) -> results.Model:
        """Change what is said about a model, if its revision is still this one."""
        return self.patch(results.Model, quote("models", model), revision, changes)

    def versions(self, model: str | None = None, **filters: Any) -> Iterator[results.VersionSummary]:  # noqa: ANN401 - as above
        """Give the versions of a model, or of all models that the caller may see, the newest first."""
        path = quote("models", model, "versions") if model else quote("versions")
        return self.pages(results.VersionSummary, path, filters)

    def version(self, model: str, version: str) -> results.Version:
        """Give a version by its number or id."""
        return self.get(results.Version, version_path(model, version))

    def register(self, model: str, body: Body, *, key: str | None = None) -> results.Version:
        """Register a version; without a number of its own it is given the one that what changed asks for.

        Args:
            model: its model's name or id.
            body: what it is made of, as the API describes it.
            key: what the request is known by: sent again with the same key, it registers nothing twice.
        """
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return self.post(results.Version, quote("models", model, "versions"), body, headers)

    def decide(self, model: str, body: Body) -> results.Decision:
        """Give the number that a version would get, and by which rules, without registering it."""
        return self.post(results.Decision, quote("models", model, "decide"), body)

    def change_version(self, model: str, version: str, revision: int, changes: Body) -> results.Version:
        """Change what is said about a version, if its revision is still this one."""
        return self.patch(results.Version, version_path(model, version), revision, changes)

    def compare(self, model: str, old: str, new: str) -> dict[str, Any]:
        """Compare two versions: what they are made of, how they did, and what became of them."""
        found: dict[str, Any] = self.ask("GET", quote("models", model, "compare"), query={"old": old, "new": new})
        return found

    def lineage(self, model: str, version: str | None = None) -> results.Lineage:
        """Give where the versions of a model come from, or where one of them does."""
        path = version_path(model, version, "lineage") if version else quote("models", model, "lineage")
        return self.get(results.Lineage, path)

    def move(self, model: str, version: str, target: str, why: str) -> results.Version:
        """Move a version to another stage of its lifecycle, where that is a caller's to do."""
        return self.post(results.Version, version_path(model, version, "move"), {"target": target, "why": why})

    def transitions(self, model: str, version: str) -> Iterator[results.Transition]:
        """Give the moves of a version, the last one first."""
        return self.pages(results.Transition, version_path(model, version, "transitions"))

    def approve(self, model: str, version: str, office: str, *, approved: bool, why: str) -> results.Approval:
        """Say yes or no to a version, for an office that the caller holds."""
        body = {"office": office, "approved": approved, "why": why}
        return self.post(results.Approval, version_path(model, version, "approvals"), body)

    def approvals(self, model: str, version: str) -> results.ApprovalList:
        """Give all that offices said to a version, and what it lacks to go into production."""
        return self.get(results.ApprovalList, version_path(model, version, "approvals"))


def version_path(model: str, version: str, *rest: str) -> str:
    """Give the path of a version, or of what belongs to it."""
    return quote("models", model, "versions", version, *rest)
