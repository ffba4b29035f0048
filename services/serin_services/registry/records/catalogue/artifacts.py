"""The files of a version: a row names what the store keeps, and appears only when the store has all of it.

An upload is longer than a transaction should be: `plan` says in one what may come, the caller streams it to the store, and
`enter` writes the row in another. What breaks off in between leaves a file that nothing refers to, and no row.
"""

import dataclasses
import datetime as dt
import re
import uuid
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.artifacts import layout
from serin_services.registry.artifacts.store import Stored
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.database import tables
from serin_services.registry.database.upserts import insert_missing
from serin_services.registry.records import audits, guards
from serin_services.registry.records.catalogue import approvals, versions

# The trained model itself: the digest that a server checks is this one's.
MODEL = "model"
NAMES = (MODEL, "model.onnx", "scaler", "config.json", "metadata.json")
# Below these, names are free: what training wrote, the files of a package, and what other tools brought along.
LOGS = "logs"
FOLDERS = (LOGS, "package", "opaque")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+= -]{0,127}")
MAX_NAME = 512
# Whether an office has approved what would change.
_Ask = Callable[[orm.Session, tables.ModelVersion], None]


@dataclasses.dataclass(frozen=True)
class Upload:
    """A file that may come, or the one that is there already."""

    place: layout.Place
    version_id: uuid.UUID
    name: str
    sha256: str
    media_type: str
    found: tables.Artifact | None = None


def plan(
    session: orm.Session, caller: Caller, version: tables.ModelVersion, name: str, sha256: str, media_type: str
) -> Upload:
    """Say where a file will lie, or that it is there.

    Raises:
        errors.ForbiddenError: the caller may not, or the version is not the caller's tenant's.
        errors.InvalidError: a version has no file of this name.
        errors.ConflictError: there is one of this name with another content, or the version is approved as it is.
    """
    guards.require(caller, Operation.CHANGE, version)
    check_name(name)
    layout.check_digest("Content-Digest", sha256)
    model = version.model
    place = layout.Place(model.tenant_id, model.name, version.version, layout.encode(name), model.owner)
    found = _find_same(session, version, name, sha256)
    if found is None:
        _check_fits(session, version, name, sha256, approvals.refuse_approved)
    return Upload(place, version.id, name, sha256, media_type, found)


def enter(
    session: orm.Session,
    caller: Caller,
    version: tables.ModelVersion,
    upload: Upload,
    stored: Stored,
    now: dt.datetime,
) -> tuple[tables.Artifact, bool]:
    """Write the row of a file that the store has, of the same file sent twice at once one; tells whether this one did.

    Raises:
        errors.ConflictError: meanwhile there is another of this name, or the version was approved.
    """
    guards.require(caller, Operation.CHANGE, version)
    # Of two uploads at once the second is judged by what the first one left.
    guards.lock(session, version)
    _check_fits(session, version, upload.name, upload.sha256, approvals.refuse_after_approval)
    if upload.name == MODEL:
        versions.say_once(version, "artifact_sha256", upload.sha256)
    added = insert_missing(
        session,
        tables.Artifact,
        id=uuid.uuid4(),
        tenant_id=version.tenant_id,
        model_id=version.model_id,
        version_id=version.id,
        name=upload.name,
        sha256=upload.sha256,
        size=stored.size,
        media_type=upload.media_type,
        key=stored.key,
        encrypted=stored.encrypted,
        created_at=now,
        created_by=caller.subject,
    )
    found = _find_same(session, version, upload.name, upload.sha256)
    assert found is not None  # noqa: S101 - it was added, or is there
    if added:
        details = {"name": upload.name, "sha256": upload.sha256, "size": stored.size, "version": version.version}
        audits.append(session, caller, "artifact.put", found, details, now)
    return found, added


def find(session: orm.Session, caller: Caller, version: tables.ModelVersion, name: str) -> tables.Artifact:
    """Give a version's file by its name.

    Raises:
        errors.NotFoundError: it has none of this name.
    """
    guards.require(caller, Operation.READ)
    found = _find(session, version, name)
    if found is None:
        raise errors.NotFoundError(f"version {version.version} has no artifact {name!r}")
    return found


def list_artifacts(session: orm.Session, caller: Caller, version: tables.ModelVersion) -> Sequence[tables.Artifact]:
    """Give the files of a version, by name."""
    guards.require(caller, Operation.READ)
    row = tables.Artifact
    return session.scalars(sa.select(row).where(row.version_id == version.id).order_by(row.name)).all()


def check_name(name: str) -> None:
    """Refuse a name that no file of a version has.

    Raises:
        errors.InvalidError: with the names there are.
    """
    folder, slash, rest = name.partition("/")
    is_inside = bool(slash) and folder in FOLDERS and all(_PART.fullmatch(part) for part in rest.split("/"))
    if len(name) > MAX_NAME or not (name in NAMES or is_inside):
        folders = ", ".join(f"{each}/…" for each in FOLDERS)
        message = f"expected one of {', '.join(NAMES)} or a path below {folders}, got {name[:80]!r}"
        raise errors.InvalidError(f"name: {message}", errors.Fault("name", message))


def _check_fits(session: orm.Session, version: tables.ModelVersion, name: str, sha256: str, ask: _Ask) -> None:
    if name == MODEL and version.artifact_sha256 not in {"", sha256}:
        raise errors.ConflictError(
            f"version {version.version} was registered with a model of sha256 {version.artifact_sha256}, and this is {sha256}"
        )
    if not name.startswith(f"{LOGS}/"):
        ask(session, version)


def _find(session: orm.Session, version: tables.ModelVersion, name: str) -> tables.Artifact | None:
    row = tables.Artifact
    return session.scalar(sa.select(row).where(row.version_id == version.id, row.name == name))


def _find_same(session: orm.Session, version: tables.ModelVersion, name: str, sha256: str) -> tables.Artifact | None:
    found = _find(session, version, name)
    if found is not None and found.sha256 != sha256:
        raise errors.ConflictError(
            f"version {version.version} has an artifact {name!r} of sha256 {found.sha256}, which is never overwritten, "
            f"and this one has {sha256}; register another version",
            errors.Fault("name", f"{name} is there with another content"),
        )
    return found
