"""What the cluster was seen to do, written down: an observation of a ModelDeployment is one transaction.

Every row has a key made of what happened, and where a version stands is a function of what is now. So an observation that
comes again changes nothing, and one that never came falsifies nothing that comes after it.
"""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core import authors, fates
from serin_services.registry.core.access import SYSTEM
from serin_services.registry.database.tables import Deployment
from serin_services.registry.records import audits
from serin_services.registry.records.rollouts import found
from serin_services.registry.records.rollouts.fate import Fate

# What is not in the cluster any more says nothing of who did it.
_GONE: Mapping[str, Any] = {}


@dataclasses.dataclass(frozen=True)
class Observation:
    """A ModelDeployment as it was seen: in which cluster, whose, and whether that was the last of it.

    `anew` says that the cluster itself was set back, so that what it says holds although what is on record is later.
    """

    cluster: str
    tenant: str
    resource: Mapping[str, Any]
    removed: bool = False
    anew: bool = False

    @property
    def uid(self) -> str:
        """The API server's own name of this very object."""
        return str(self.resource["metadata"]["uid"])

    @property
    def version(self) -> int:
        """The resource version, which grows with every write of the cluster."""
        return int(self.resource["metadata"].get("resourceVersion") or 0)


@dataclasses.dataclass(frozen=True)
class Known:
    """A deployment that is on record, as far as a list of the cluster is held against it."""

    id: uuid.UUID
    namespace: str
    version: int
    deleted: bool


def record(session: orm.Session, observation: Observation, now: dt.datetime) -> bool:
    """Write down what an observation tells that was not known; give whether there was anything.

    One that is not newer than the last one written is no news: two followers may overlap for a moment.
    """
    row = _find(session, observation.cluster, observation.uid)
    if row is not None and _is_old(row, observation):
        return False
    row = row or _add(session, observation, now)
    account = fates.read(_load(row), observation.resource)
    Fate(session, row, observation.resource, now).write(account)
    if observation.removed:
        account = fates.remove(account.seen, now)
        Fate(session, row, observation.resource, now).write(account)
    _show(row, observation.resource, now)
    row.seen = {"fate": account.seen.dump(), "version": str(observation.version)}
    row.deleted_at = now if account.seen.removed else None
    return True


def record_missing(session: orm.Session, deployment: uuid.UUID, now: dt.datetime) -> bool:
    """Write down that a ModelDeployment is gone, which nobody saw go: it is not in the list any more."""
    row = session.get(Deployment, deployment, with_for_update=True)
    previous = _load(row) if row is not None and row.deleted_at is None else None
    if row is None or previous is None:
        return False
    account = fates.remove(previous, now)
    Fate(session, row, _GONE, now).write(account)
    row.seen = {**row.seen, "fate": account.seen.dump()}
    row.deleted_at = row.observed_at = now
    return True


def list_known(session: orm.Session, cluster: str, namespace: str = "") -> dict[str, Known]:
    """Give what is on record of a cluster, or of one of its namespaces, by uid."""
    row = Deployment
    wanted = sa.select(row.uid, row.id, row.namespace, row.seen["version"].as_string(), row.deleted_at)
    wanted = wanted.where(row.cluster == cluster)
    if namespace:
        wanted = wanted.where(row.namespace == namespace)
    return {
        uid: Known(identity, where, int(version or 0), deleted_at is not None)
        for uid, identity, where, version, deleted_at in session.execute(wanted)
    }


def version_of(row: Deployment) -> int:
    """Give the resource version that was written last of a deployment."""
    return int(row.seen.get("version", 0))


def _find(session: orm.Session, cluster: str, uid: str) -> Deployment | None:
    wanted = sa.select(Deployment).where(Deployment.cluster == cluster, Deployment.uid == uid)
    return session.scalar(wanted.with_for_update())


def _is_old(row: Deployment, observation: Observation) -> bool:
    if observation.anew:
        return False
    return row.deleted_at is not None or observation.version <= version_of(row)


def _load(row: Deployment) -> fates.Seen | None:
    return fates.Seen.load(row.seen["fate"]) if "fate" in row.seen else None


def _add(session: orm.Session, observation: Observation, now: dt.datetime) -> Deployment:
    metadata, by = observation.resource["metadata"], authors.find_deployer(observation.resource)
    model = found.ensure_model(session, observation.tenant, observation.resource, by, now)
    row = Deployment(
        id=uuid.uuid4(),
        tenant_id=model.tenant_id,
        model_id=model.id,
        cluster=observation.cluster,
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=observation.uid,
        seen={},
    )
    _show(row, observation.resource, now)
    session.add(row)
    session.flush()
    details = {"cluster": row.cluster, "namespace": row.namespace, "name": row.name, "by": by}
    audits.append(session, SYSTEM, "deployment.found", row, details, now)
    return row


def _show(row: Deployment, resource: Mapping[str, Any], now: dt.datetime) -> None:
    """Put into the row what a list of deployments shows."""
    status = resource.get("status") or {}
    row.version = resource["spec"]["version"]
    row.phase = str(status.get("phase") or "Pending")
    row.step = str(status.get("step") or "")
    row.weight = int(status.get("weight") or 0)
    row.verdict = str(status.get("verdict") or "")
    row.message = str(status.get("message") or "")
    row.observed_at = now
