"""An account of a deployment, put into rows: its events, where its versions stand, and the moves that brought them there."""

import dataclasses
import datetime as dt
import logging
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core import authors, fates, stages
from serin_services.registry.core.access import SYSTEM
from serin_services.registry.core.events import Kind, make_key
from serin_services.registry.core.stages import Mover, Stage
from serin_services.registry.database.tables import Deployment, Model, ModelVersion, Placement, RolloutEvent
from serin_services.registry.records.catalogue import lifecycle
from serin_services.registry.records.outcomes import shadow
from serin_services.registry.records.rollouts import found

logger = logging.getLogger(__name__)

_NOWHERE = (Stage.DRAFT, Stage.ARCHIVED)


@dataclasses.dataclass(frozen=True)
class _Trial:
    """The champion beside a version in the shadow, and since when it has been there."""

    champion: ModelVersion
    since: dt.datetime


class Fate:
    """Writes what was told of one deployment; `resource` is the object that it was read from."""

    def __init__(
        self, session: orm.Session, deployment: Deployment, resource: Mapping[str, Any], now: dt.datetime
    ) -> None:
        self._session, self._deployment, self._resource, self._now = session, deployment, resource, now
        self._versions: dict[str, ModelVersion] = {}

    def write(self, account: fates.Account) -> None:
        """Write events and moves; what is written already stays as it is."""
        self._write_events(account.events)
        wanted = (self._resource.get("spec") or {}).get("version")
        for version in [*account.placements, *([wanted] if wanted else [])]:
            self._find(version)
        for move in account.moves:
            self._move(move)

    def _write_events(self, events: Collection[fates.Event]) -> None:
        keys = [event.key for event in events]
        written = set(self._session.scalars(sa.select(RolloutEvent.key).where(RolloutEvent.key.in_(keys))))
        self._session.add_all(self._make_row(event) for event in events if event.key not in written)
        self._session.flush()

    def _make_row(self, event: fates.Event) -> RolloutEvent:
        asked = {"by": authors.find_requester(self._resource)} if event.kind is Kind.REQUEST else {}
        return RolloutEvent(
            key=event.key,
            tenant_id=self._deployment.tenant_id,
            model_id=self._deployment.model_id,
            deployment_id=self._deployment.id,
            version=event.version,
            at=event.at,
            kind=str(event.kind),
            reason=str(event.details.get("reason", "")),
            message=event.message,
            details={"revision": event.revision, "attempt": event.attempt, **asked, **event.details},
        )

    def _move(self, move: fates.Move) -> None:
        version = self._find(move.version)
        trial = self._find_trial(version)
        self._place(version, move)
        places = sa.select(Placement.stage).where(Placement.version_id == version.id)
        stage = stages.furthest(list(self._session.scalars(places))) or move.target
        if self._record(version, stage, move) and trial is not None:
            shadow.record(self._session, SYSTEM, version, trial.champion, trial.since, self._now)

    def _record(self, version: ModelVersion, stage: Stage, move: fates.Move) -> bool:
        """Move the version itself, where the deployment's move makes a difference to it; give whether it did."""
        if stage is version.stage:
            return False
        way = stages.find(version.stage, stage)
        if way is None or Mover.CLUSTER not in way.movers:
            # It came and went while nobody looked, and never was anywhere that anyone saw.
            logger.info(
                "version %s stays in %s: the cluster makes no move to %s", version.version, version.stage, stage
            )
            return False
        by = authors.find_mover(self._resource, move.version, stage, move.at)
        caller = dataclasses.replace(SYSTEM, subject=by)
        # A cluster that was set back does again what it has done: on record it is another move.
        keys = (move.key, make_key(move.key, self._now.isoformat()))
        causes = (lifecycle.Cause(key, self._deployment.id, move.at) for key in keys)
        return any(
            lifecycle.move(self._session, caller, version, stage, move.why, self._now, cause) for cause in causes
        )

    def _find_trial(self, version: ModelVersion) -> _Trial | None:
        """Give what a version is compared with while it stands in the shadow of this deployment's champion."""
        placement = self._session.get(Placement, (self._deployment.id, version.id))
        if placement is None or placement.stage is not Stage.STAGING or placement.since >= self._now:
            return None
        wanted = (
            sa.select(ModelVersion)
            .join(Placement, Placement.version_id == ModelVersion.id)
            .where(Placement.deployment_id == self._deployment.id, Placement.stage == Stage.PRODUCTION)
        )
        champion = self._session.scalar(wanted)
        return _Trial(champion, placement.since) if champion is not None else None

    def _place(self, version: ModelVersion, move: fates.Move) -> None:
        placement = self._session.get(Placement, (self._deployment.id, version.id))
        if move.target in _NOWHERE:
            if placement is not None:
                self._session.delete(placement)
        elif placement is None:
            self._session.add(
                Placement(
                    deployment_id=self._deployment.id,
                    version_id=version.id,
                    tenant_id=version.tenant_id,
                    model_id=version.model_id,
                    stage=move.target,
                    since=move.at,
                )
            )
        else:
            placement.stage, placement.since = move.target, move.at
        # One after the other: two versions are never in production, not even within a transaction.
        self._session.flush()

    def _find(self, version: str) -> ModelVersion:
        if version not in self._versions:
            model = self._session.get_one(Model, self._deployment.model_id)
            image, by = found.find_image(self._resource, version), authors.find_deployer(self._resource)
            self._versions[version] = found.ensure_version(self._session, model, version, image, by, self._now)
        return self._versions[version]
