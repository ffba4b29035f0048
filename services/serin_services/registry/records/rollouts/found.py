"""Models and versions that were found in the cluster and that nobody registered: what runs is on record, known or not."""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core.access import SYSTEM, Visibility
from serin_services.registry.core.stages import Stage
from serin_services.registry.database.tables import Model, ModelVersion
from serin_services.registry.records import audits, heads

NOTE = "found in the cluster; nobody registered it"
# On an object that the registry made: which of the models of that name is meant, because a user may have one of their own.
MODEL_ANNOTATION = "serin.dev/registry-model"


def ensure_model(session: orm.Session, tenant: str, resource: Mapping[str, Any], by: str, now: dt.datetime) -> Model:
    """Give the model that an object serves: the one it names, else the tenant's of that name, else a new one."""
    annotations = resource["metadata"].get("annotations") or {}
    name = str(resource["spec"]["model"])
    named = _find_named(session, tenant, name, str(annotations.get(MODEL_ANNOTATION, "")))
    if named is not None:
        return named
    heads.ensure(session, tenant, now)
    model = session.scalar(sa.select(Model).where(Model.tenant_id == tenant, Model.name == name, Model.owner == ""))
    if model is not None:
        return model
    model = Model(
        id=uuid.uuid4(),
        tenant_id=tenant,
        name=name,
        owner="",
        visibility=Visibility.PLATFORM if tenant == SYSTEM.tenant else Visibility.TENANT,
        description=NOTE,
        labels={},
        created_at=now,
        created_by=by,
    )
    session.add(model)
    session.flush()
    audits.append(session, SYSTEM, "model.found", model, {"name": name, "by": by}, now)
    return model


def _find_named(session: orm.Session, tenant: str, name: str, reference: str) -> Model | None:
    """Give the model of an annotation; one of another tenant or name is not believed."""
    try:
        identity = uuid.UUID(reference)
    except ValueError:
        return None
    model = session.get(Model, identity)
    return model if model is not None and (model.tenant_id, model.name) == (tenant, name) else None


def ensure_version(
    session: orm.Session, model: Model, version: str, image: str, by: str, now: dt.datetime
) -> ModelVersion:
    """Give a version of a model, locked; one that is not registered is, with what the cluster knows of it."""
    wanted = sa.select(ModelVersion).where(ModelVersion.model_id == model.id, ModelVersion.version == version)
    row = session.scalar(wanted.with_for_update())
    if row is not None:
        # What runs is its image; one that was registered with another keeps what was said of it.
        row.image = row.image or image
        return row
    row = ModelVersion(
        id=uuid.uuid4(),
        tenant_id=model.tenant_id,
        model_id=model.id,
        version=version,
        stage=Stage.DRAFT,
        stage_since=now,
        change="",
        change_reasons=[NOTE],
        family="",
        architecture={},
        hyperparameters={},
        features=[],
        feature_version="",
        target="",
        data={},
        metrics={},
        labels={},
        artifact_sha256="",
        image=image,
        run_id="",
        created_at=now,
        created_by=by,
    )
    session.add(row)
    session.flush()
    audits.append(session, SYSTEM, "version.found", row, {"version": version, "image": image, "by": by}, now)
    return row


def find_image(resource: Mapping[str, Any], version: str) -> str:
    """Give the image that an object has for a version; empty where it has none."""
    spec, status = resource.get("spec") or {}, resource.get("status") or {}
    places = [spec, spec.get("baseline"), *(status.get(part) for part in ("stable", "candidate", "leaving"))]
    places += [kept.get("revision") for kept in status.get("retained") or []]
    images = (str(place.get("image") or "") for place in places if place and place.get("version") == version)
    return next((image for image in images if image), "")
