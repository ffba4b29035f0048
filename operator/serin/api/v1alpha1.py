"""ModelDeployment v1alpha1: the resource's fields as types. The CRD is generated from them, descriptions included.

Rules that the API server checks by itself (CEL) stand beside the fields that they bind, so that a bad object is refused
with a sentence when it is applied, and no webhook is needed.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serin.api.quantities import DURATION_PATTERN, NUMBER_PATTERN

Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=24)]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$", max_length=63)]
Image = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\s]+$")]
DnsLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """Give CEL rules, each with the sentence that a refused user reads."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


class Model(BaseModel):
    """What all parts of the resource share: camelCase outside, no unknown fields."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: "".join([name.split("_")[0], *(p.title() for p in name.split("_")[1:])]),
        populate_by_name=True,
    )


class Baseline(Model):
    """What production was, for a cluster that is restored from Git in the middle of a rollout."""

    version: Version = Field(description="The version that was in production.")
    image: Image = Field(description="Its image.")


class Gateway(Model):
    """The Gateway that the route attaches to."""

    name: DnsLabel = Field(description="The Gateway's name.")
    namespace: DnsLabel | None = Field(None, description="Its namespace; this object's, if left out.")
    section_name: DnsLabel | None = Field(None, description="The listener; all that allow it, if left out.")


class Route(Model):
    """Where requests reach the model."""

    gateway: Gateway = Field(description="The Gateway that the route attaches to.")
    hostnames: list[Annotated[str, Field(max_length=253, min_length=1)]] | None = Field(
        None, max_length=8, description="Hosts that are answered; all, if left out."
    )
    path_prefix: Annotated[str, Field(pattern=r"^/[A-Za-z0-9/._~-]*$", max_length=256)] | None = Field(
        None,
        description="The path under which the server is reached over HTTP, taken off before it; /<namespace>/<name>, if "
        "left out. gRPC requests carry it, without the first slash, as metadata x-model.",
        json_schema_extra=rules(
            ("self == '/' || !self.endsWith('/')", "pathPrefix must not end with a slash"),
            ("!self.contains('//')", "pathPrefix must not contain an empty segment"),
        ),
    )


class Staging(Model):
    """Mirrored traffic before any answer of the candidate is returned."""

    duration: Duration = Field(
        "24h", description="How long at least the candidate is shown mirrored traffic; 0s leaves staging out."
    )
    mirror_percent: int = Field(100, ge=1, le=100, description="The share of the traffic that is mirrored, in percent.")


class Step(Model):
    """One share of the traffic."""

    weight: int = Field(ge=1, le=100, description="The candidate's share of the traffic, in percent.")
    duration: Duration | None = Field(None, description="How long at least it stays at this weight.")


class Canary(Model):
    """Rising shares of the real traffic."""

    staging: Staging = Field(default_factory=Staging, description="Mirrored traffic before the first step.")
    steps: list[Step] = Field(
        default_factory=lambda: [
            Step(weight=10, duration="48h"),
            Step(weight=25, duration="6h"),
            Step(weight=50, duration="6h"),
            Step(weight=100),
        ],
        min_length=1,
        max_length=20,
        description="The shares in ascending order; the last is 100.",
        json_schema_extra=rules(
            ("self[self.size() - 1].weight == 100", "the last step must have weight 100"),
            (
                "self.all(x, self.filter(y, y.weight == x.weight).size() == 1) && self.map(x, x.weight).isSorted()",
                "the steps' weights must ascend",
            ),
            (
                "self.all(x, x.weight == 100 || has(x.duration))",
                "each step below 100 needs a duration; the time at 100 is bake",
            ),
            ("self.all(x, x.weight != 100 || !has(x.duration))", "the step at 100 has no duration; set bake instead"),
        ),
    )
    bake: Duration = Field(
        "24h", description="How long the old version stays warm, at full capacity, after the new one has all traffic."
    )


class Strategy(Model):
    """How a new version takes over."""

    type: Literal["Canary"] = Field("Canary", description="The way; the block of the same name has its settings.")
    canary: Canary = Field(default_factory=Canary, description="Settings of type Canary.")


class Criterion(Model):
    """An absolute limit that the candidate must keep."""

    name: Literal["errorRate", "latencyP50", "latencyP95", "latencyP99"] = Field(
        description="What is measured: the share of failed requests, or a quantile of the time to answer."
    )
    max: Annotated[str, Field(max_length=24)] = Field(
        description="The limit: a share between 0 and 1 for errorRate, a duration for the latencies."
    )


class Query(Model):
    """A limit on the result of a PromQL query of your own."""

    name: DnsLabel = Field(description="What it is called in the verdict.")
    query: Annotated[str, Field(min_length=1, max_length=2048)] = Field(
        description="PromQL with one result. $namespace, $name, $revision, $version and $stable are filled in."
    )
    max: Annotated[str, Field(pattern=NUMBER_PATTERN, max_length=26)] | None = Field(
        None, description="The largest allowed result."
    )
    min: Annotated[str, Field(pattern=NUMBER_PATTERN, max_length=26)] | None = Field(
        None, description="The smallest allowed result."
    )


class Analysis(Model):
    """What must hold before a version advances."""

    min_requests: int = Field(
        100, ge=1, le=10_000_000, description="Fewer requests of the candidate in a step prove nothing, and it waits."
    )
    criteria: list[Criterion] = Field(
        default_factory=lambda: [Criterion(name="errorRate", max="0.05"), Criterion(name="latencyP95", max="250ms")],
        max_length=8,
        description="Absolute limits.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            **rules(
                (
                    r"self.all(c, c.name != 'errorRate' || c.max.matches('^(0([.][0-9]{1,6})?|1([.]0{1,6})?)$'))",
                    "the max of errorRate is a share between 0 and 1, like 0.05",
                ),
                (
                    r"self.all(c, !c.name.startsWith('latency') || c.max.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$'))",
                    "the max of a latency is a duration, like 250ms",
                ),
            ),
        },
    )
    queries: list[Annotated[Query, Field(json_schema_extra=rules(
        ("has(self.max) || has(self.min)", "a query needs max, min or both"),
    ))]] = Field(
        default_factory=list,
        max_length=8,
        description="Limits on queries of your own.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )  # fmt: skip


class PodTemplate(Model):
    """Pod settings that are merged over Serin's: containers, env, volumes and the like by their names."""

    metadata: dict[str, Any] = Field(
        default_factory=dict,
        description="Labels and annotations of the pods.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    spec: dict[str, Any] = Field(
        default_factory=dict,
        description="Fields of a PodSpec: env and resources of container server, pull secrets, service account, "
        "scheduling, volumes.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )


class Spec(Model):
    """What should end up in production, and how it gets there."""

    model: DnsLabel = Field(description="The model's name, as in its package.")
    version: Version = Field(description="The version that should end up in production.")
    image: Image = Field(description="The version's image, best with its digest: name:tag@sha256:…")
    baseline: Baseline | None = Field(
        None, description="What production was; used only where no version runs yet, as after a restore from Git."
    )
    replicas: int = Field(1, ge=1, le=1000, description="Pods of each version.")
    template: PodTemplate = Field(default_factory=PodTemplate, description="Pod settings merged over Serin's.")
    route: Route = Field(description="Where requests reach the model.")
    strategy: Strategy = Field(default_factory=Strategy, description="How a new version takes over.")
    progress_deadline: Duration = Field("10m", description="How long a version may take to become ready.")
    failed_retention: Duration = Field("1h", description="How long a failed version's pods stay for inspection.")
    analysis: Analysis = Field(default_factory=Analysis, description="What must hold before a version advances.")


SPEC_RULES = rules(
    (
        (
            "self.version != oldSelf.version || !self.image.contains('@') || !oldSelf.image.contains('@') || "
            "self.image.split('@')[1] == oldSelf.image.split('@')[1]"
        ),
        "the same version cannot have another image digest: give the changed image a new version",
    ),
    # Versions of two models are not compared with each other: no traffic of one says anything of the other.
    ("self.model == oldSelf.model", "the model cannot change: make an object for the other model"),
)
OBJECT_RULES = rules(
    ("self.metadata.name.size() <= 52", "the name may have at most 52 characters"),
    (
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "the name must be small letters, digits and dashes, beginning with a letter: Services are named after it",
    ),
)
