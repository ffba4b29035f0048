"""Kubernetes Events for what happened to an object, so that `kubectl describe` tells the story."""

import logging
import uuid
from datetime import UTC, datetime

from serin.adapters import cluster
from serin.api import names
from serin.core.model import Note

logger = logging.getLogger(__name__)


def make_event(owner: cluster.Object, note: Note, now: datetime) -> cluster.Object:
    """Make an Event about an object."""
    metadata = owner["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}", "namespace": metadata["namespace"]},
        "eventTime": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        "type": "Warning" if note.warning else "Normal",
        "reason": note.reason,
        "note": note.message[:1024],
        "action": "Rollout",
        "reportingController": names.GROUP,
        "reportingInstance": "serin-operator",
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
    }


async def post(api: cluster.Cluster, owner: cluster.Object, note: Note, now: datetime) -> None:
    """Post an Event; that it cannot be posted must not keep a rollout from going on, so it is only logged."""
    try:
        await api.create(cluster.EVENT, make_event(owner, note, now))
    except (cluster.ApiError, OSError, TimeoutError) as error:
        logger.warning("event %s about %s cannot be posted: %s", note.reason, owner["metadata"]["name"], error)
