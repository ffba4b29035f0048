"""Who did what is seen on a ModelDeployment: what the API server noted of each writer, and whom the registry acted for.

The API server notes of every field which program wrote it last (`managedFields`). Where that was the registry, annotations
in the same write name the caller; for everybody else the program's name is all that the cluster knows.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from serin.api import names
from serin_services.registry.core.stages import Stage

# The registry's own name in managedFields.
MANAGER = "serin-registry"
# Whom the registry acted for when it wrote the spec, and the request.
DEPLOYED_BY = "serin.dev/deployed-by"
REQUESTED_BY = "serin.dev/requested-by"
# Where nothing names anybody.
UNKNOWN = "cluster"

_VERSION = ("f:spec", "f:version")
_REQUEST = ("f:metadata", "f:annotations", f"f:{names.REQUEST_ANNOTATION}")
# The operator's word for a rollback that a person asked for.
_ASKED_FOR = "RollbackRequested"


def find_deployer(resource: Mapping[str, Any]) -> str:
    """Give who asked for the version that the spec names."""
    return _find(resource, _VERSION, DEPLOYED_BY)


def find_requester(resource: Mapping[str, Any]) -> str:
    """Give who wrote the last request, such as promote or stop."""
    return _find(resource, _REQUEST, REQUESTED_BY)


def find_mover(resource: Mapping[str, Any], version: str, target: Stage, at: dt.datetime) -> str:
    """Give who moved a version: a person whose request did it, the operator that took it back, or who deployed it."""
    status = resource.get("status") or {}
    failure, request = status.get("failure") or {}, status.get("request") or {}
    if target is Stage.DRAFT and failure.get("version") == version:
        return find_requester(resource) if failure.get("reason") == _ASKED_FOR else names.MANAGER
    if request.get("accepted") and _is(request.get("at"), at):
        return find_requester(resource)
    return find_deployer(resource)


def _find(resource: Mapping[str, Any], field: tuple[str, ...], annotation: str) -> str:
    metadata = resource.get("metadata") or {}
    entries = [entry for entry in metadata.get("managedFields") or [] if _owns(entry, field)]
    if not entries:
        return UNKNOWN
    manager = str(max(entries, key=lambda entry: str(entry.get("time", ""))).get("manager") or UNKNOWN)
    if manager != MANAGER:
        return manager
    return str((metadata.get("annotations") or {}).get(annotation) or MANAGER)


def _owns(entry: Mapping[str, Any], field: tuple[str, ...]) -> bool:
    fields: Any = entry.get("fieldsV1") or {}
    for name in field:
        if not isinstance(fields, Mapping) or name not in fields:
            return False
        fields = fields[name]
    return not entry.get("subresource")


def _is(text: object, at: dt.datetime) -> bool:
    try:
        return dt.datetime.fromisoformat(str(text)) == at
    except ValueError:
        return False
