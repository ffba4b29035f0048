"""From the resource's text to the core's values: targets, plans, criteria."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serin.api import quantities, v1alpha1
from serin.core.evidence import Criterion, Kind
from serin.core.model import Plan, Step, Target

_QUANTILES = {"latencyP50": 0.5, "latencyP95": 0.95, "latencyP99": 0.99}
# Ten hex digits: with 1,000 revisions of an object, two share a name once in two million objects.
_HASH_LENGTH = 10


def make_revision_name(version: str, image: str, template: Mapping[str, Any]) -> str:
    """Hash what makes pods differ; any change of it rolls out as a revision of its own."""
    content = json.dumps([version, image, template], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:_HASH_LENGTH]


def make_target(spec: v1alpha1.Spec) -> Target:
    """Give what the spec wants in production."""
    return Target(make_revision_name(spec.version, spec.image, spec.template.model_dump()), spec.version, spec.image)


def make_baseline(spec: v1alpha1.Spec) -> Target | None:
    """Give what production was, as far as the spec says; it ran with the template that the spec has now."""
    if spec.baseline is None:
        return None
    version, image = spec.baseline.version, spec.baseline.image
    return Target(make_revision_name(version, image, spec.template.model_dump()), version, image)


def make_plan(spec: v1alpha1.Spec) -> Plan:
    """Give how the candidate reaches production, in timedeltas."""
    canary = spec.strategy.canary
    duration = quantities.parse_duration
    return Plan(
        steps=tuple(Step(step.weight, duration(step.duration or "0s")) for step in canary.steps),
        staging=duration(canary.staging.duration),
        mirror_percent=canary.staging.mirror_percent,
        bake=duration(canary.bake),
        progress_deadline=duration(spec.progress_deadline),
        failed_retention=duration(spec.failed_retention),
    )


@dataclass(frozen=True)
class Query:
    """A PromQL query of the user's with its limits."""

    criterion: Criterion
    text: str


def make_criteria(spec: v1alpha1.Spec) -> tuple[Criterion, ...]:
    """Give the counted criteria; latency limits are rounded down to bucket bounds, in seconds."""
    return tuple(_make_criterion(criterion) for criterion in spec.analysis.criteria)


def _make_criterion(criterion: v1alpha1.Criterion) -> Criterion:
    if criterion.name == "errorRate":
        return Criterion(criterion.name, Kind.ERROR_RATE, maximum=float(criterion.max))
    limit = quantities.parse_duration(criterion.max).total_seconds()
    bound = quantities.round_down_to_bucket(limit)
    return Criterion(criterion.name, Kind.LATENCY, maximum=bound, quantile=_QUANTILES[criterion.name])


def make_queries(spec: v1alpha1.Spec) -> tuple[Query, ...]:
    """Give the user's queries with their limits as numbers."""
    return tuple(
        Query(
            Criterion(
                query.name,
                Kind.QUERY,
                maximum=None if query.max is None else float(query.max),
                minimum=None if query.min is None else float(query.min),
            ),
            query.query,
        )
        for query in spec.analysis.queries
    )
