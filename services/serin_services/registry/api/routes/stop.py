"""The emergency stop: one call takes all traffic back to the stable versions and holds every rollout."""

import uuid
from typing import Annotated

import fastapi
import pydantic

from serin_services.registry.api.context import Context
from serin_services.registry.api.routes.deployments import DnsLabel
from serin_services.registry.api.routing import make_router
from serin_services.registry.api.schemas import Answer, Request
from serin_services.registry.records.rollouts import deployments
from serin_services.registry.records.rollouts.requests import Asked, Verb

router = make_router("stop")


class StopBody(Request):
    """What is to stop: one deployment, those of a namespace, or all of the caller's tenant."""

    deployment: uuid.UUID | None = None
    namespace: DnsLabel | None = None

    @pydantic.model_validator(mode="after")
    def names_one_scope(self) -> "StopBody":
        """Refuse both at once: it would not be said which is meant."""
        if self.deployment is not None and self.namespace is not None:
            raise ValueError("expected deployment or namespace, or neither for all of the tenant; got both")
        return self


class StoppedAnswer(Answer):
    """One object that was asked to stop, or could not be asked."""

    namespace: str
    name: str
    request: str | None = pydantic.Field(description="The request's id; null where the object could not be asked.")
    problem: str = ""


class StopAnswer(Answer):
    """All objects that were asked; the operator answers each within a second."""

    items: list[StoppedAnswer]


@router.post("/stop", status_code=202, summary="Stop rollouts at once")
def stop(context: Context, body: Annotated[StopBody | None, fastapi.Body()] = None) -> StopAnswer:
    """Give all traffic back to the stable versions and roll nothing out until somebody resumes it."""
    session, caller, deployer = context.session, context.caller, context.services.deployer
    if body is not None and body.deployment is not None:
        row = deployments.find(session, caller, body.deployment)
        asked = deployments.ask(session, caller, deployer, row, Verb.STOP, context.now)
        return StopAnswer(items=[StoppedAnswer(namespace=asked.namespace, name=asked.name, request=asked.id)])
    namespace = (body.namespace if body is not None else None) or ""
    results = deployments.stop(session, caller, deployer, namespace, context.now)
    return StopAnswer(
        items=[
            StoppedAnswer(namespace=one.namespace, name=one.name, request=one.id)
            if isinstance(one, Asked)
            else StoppedAnswer(namespace=one.namespace, name=one.name, request=None, problem=one.message)
            for one in results
        ]
    )
