"""Deployments: versions brought into a cluster, what became of them, and what people ask of the operator."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from serin_services.registry import errors
from serin_services.registry.client import results
from serin_services.registry.client.connection import Connection
from serin_services.registry.client.transport import quote
from serin_services.registry.client.versions import version_path

# As long as the API waits for the operator's answer in one request, in seconds.
_WAIT_SECONDS = 25.0


class Rollouts(Connection):
    """The part of the client for deployments."""

    def deployments(self, **filters: Any) -> Iterator[results.Deployment]:  # noqa: ANN401 - of the API's query
        """Give what runs, as far as the caller may see it: by `model`, `namespace`, `phase`."""
        return self.pages(results.Deployment, quote("deployments"), filters)

    def deployment(self, reference: str) -> results.Deployment:
        """Give a deployment by its id, or by `namespace/name`.

        Raises:
            errors.NotFoundError: there is none.
        """
        namespace, slash, name = reference.partition("/")
        if not slash:
            return self.get(results.Deployment, quote("deployments", reference))
        found = next((one for one in self.deployments(namespace=namespace) if one.name == name), None)
        if found is None:
            raise errors.NotFoundError(f"there is no deployment {reference} that you may see")
        return found

    def deployment_history(self, deployment: str) -> Iterator[results.RolloutEvent]:
        """Give what happened to a deployment, the latest first."""
        return self.pages(results.RolloutEvent, quote("deployments", deployment, "history"))

    def deploy(
        self, model: str, version: str, namespace: str, name: str = "", spec: Mapping[str, Any] | None = None
    ) -> results.Placed:
        """Have a version rolled out: its ModelDeployment is made, or the one that is there is changed.

        Args:
            model: its name or id.
            version: its number.
            namespace: where.
            name: of the ModelDeployment; the model's name without one.
            spec: fields of the ModelDeployment's spec; what is left out stays as it is, or as it is by default.
        """
        body = {"namespace": namespace, "name": name or None, "spec": dict(spec or {})}
        return self.post(results.Placed, version_path(model, version, "deploy"), body)

    def request(self, deployment: str, verb: str, seconds: float = 60.0) -> results.Answer:
        """Ask the operator to promote, pause, resume, rollback, retry or stop, and wait so long for its answer.

        A request that is not answered in time stands: the operator carries it out when it can.
        """
        asked = self.post(results.Asked, quote("deployments", deployment, verb), {})
        return self.await_answer(deployment, asked, seconds)

    def await_answer(self, deployment: str, asked: results.Asked, seconds: float = 60.0) -> results.Answer:
        """Wait so long for the operator's answer to a request; one that is not settled then has none yet."""
        deadline = time.monotonic() + seconds
        while True:
            left = max(0.0, deadline - time.monotonic())
            answer = self.get(
                results.Answer,
                quote("deployments", deployment, "requests", asked.request),
                {"wait_seconds": min(left, _WAIT_SECONDS)},
            )
            if answer.settled or left <= 0:
                return answer

    def stop(self, namespace: str = "") -> list[results.Stopped]:
        """Stop every rollout of the tenant, in one namespace or in all: all traffic to what is stable."""
        return self.post(results.AllStopped, quote("stop"), {"namespace": namespace or None}).items
