"""Which part of the version number a change moves, decided by comparing configurations and not by hand.

Versions are those of Semantic Versioning 2.0.0 (semver.org) without build metadata: a version is also the value of a
Kubernetes label, which has no `+`.
"""

import dataclasses
import enum
import functools
import re
from collections.abc import Callable, Iterable
from typing import Self

from serin_services.registry.core.configuration import Changed, Configuration, Feature, find_changes

# The expression that semver.org suggests, without build metadata.
_NUMBER = r"0|[1-9][0-9]*"
_PATTERN = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(?:-((?:{_NUMBER}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:{_NUMBER}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
)
# Of a label value.
_MAX_LENGTH = 63
# A sliding window never holds quite as many samples as the last: fewer than a tenth more are not more data.
MORE = 1.1


class Part(enum.IntEnum):
    """A part of the version number; the higher, the more a change of it asks of those who use the model."""

    PATCH = 1
    MINOR = 2
    MAJOR = 3


@functools.total_ordering
@dataclasses.dataclass(frozen=True)
class Version:
    """A version number with its order: 1.0.0-rc.1 < 1.0.0-rc.2 < 1.0.0 < 1.0.1."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a version.

        Raises:
            ValueError: it is not one, or could not be a label value; the message says what was expected.
        """
        found = _PATTERN.fullmatch(text)
        if found is None or len(text) > _MAX_LENGTH or text.endswith("-"):
            raise ValueError(
                f"{text[:80]!r} is not a version: expected MAJOR.MINOR.PATCH or MAJOR.MINOR.PATCH-PRE.RELEASE as in "
                f"1.4.0 or 2.0.0-rc.1, at most {_MAX_LENGTH} characters, without +build, ending in a letter or digit"
            )
        major, minor, patch, pre = found.groups()
        return cls(int(major), int(minor), int(patch), tuple(pre.split(".")) if pre else ())

    def __str__(self) -> str:
        pre = "-" + ".".join(self.pre) if self.pre else ""
        return f"{self.major}.{self.minor}.{self.patch}{pre}"

    def __lt__(self, other: "Version") -> bool:
        return self._precedence() < other._precedence()

    def _precedence(self) -> tuple[object, ...]:
        """Give what section 11 of the specification compares: numbers before words, and no pre-release last."""
        pre = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in self.pre)
        return (self.major, self.minor, self.patch, not self.pre, pre)

    def bump(self, part: Part) -> "Version":
        """Give the least version that is higher than this one in the given part and has no pre-release.

        2.0.0-rc.1 becomes 2.0.0 for any part, because its release is still to come.
        """
        if self.pre and (part is Part.PATCH or self.patch == 0) and (part is not Part.MAJOR or self.minor == 0):
            return Version(self.major, self.minor, self.patch)
        match part:
            case Part.MAJOR:
                return Version(self.major + 1, 0, 0)
            case Part.MINOR:
                return Version(self.major, self.minor + 1, 0)
            case Part.PATCH:
                return Version(self.major, self.minor, self.patch + 1)


FIRST = Version(1, 0, 0)


@dataclasses.dataclass(frozen=True)
class Change:
    """The part that moves, and why: the sentences of all rules that ask for this part; none where nothing changed."""

    part: Part
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.reasons:
            return "nothing changed: same configuration, same artifact"
        return f"{self.part.name}: {'; '.join(self.reasons)}"


# What of the two configurations a rule is about, in words; nothing where the rule does not apply.
Fact = Callable[[Configuration, Configuration], Iterable[object]]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule: a fact about two configurations, the part that it moves, and the sentence that says so."""

    name: str
    part: Part
    sentence: str
    fact: Fact

    def explain(self, old: Configuration, new: Configuration) -> str | None:
        """Give the sentence with what it is about, or nothing where the rule does not apply."""
        about = [str(found) for found in self.fact(old, new)]
        return f"{self.sentence}: {', '.join(about)}" if about else None


def _names(features: Iterable[Feature]) -> list[str]:
    return [feature.name for feature in features]


def _architecture(old: Configuration, new: Configuration) -> Iterable[object]:
    family = [Changed("family", old.family, new.family)] if old.family != new.family else []
    return [*family, *find_changes(old.structure, new.structure)]


def _removed_features(old: Configuration, new: Configuration) -> Iterable[object]:
    return [name for name in _names(old.features) if name not in set(_names(new.features))]


def _added_features(old: Configuration, new: Configuration) -> Iterable[object]:
    return _removed_features(new, old)


def find_retyped(old: Configuration, new: Configuration) -> list[Changed]:
    """Give the features that both have, in another type or unit."""
    before = {feature.name: feature for feature in old.features}
    return [
        Changed(f"{feature.name}.{field}", getattr(before[feature.name], field), getattr(feature, field))
        for feature in new.features
        for field in ("dtype", "unit")
        if feature.name in before and getattr(before[feature.name], field) != getattr(feature, field)
    ]


def find_moved(old: Configuration, new: Configuration) -> list[str]:
    """Give the features that both have, but whose order among these differs: rows without names would be read wrongly."""
    both = set(_names(old.features)) & set(_names(new.features))
    kept = [name for name in _names(new.features) if name in both]
    before = [name for name in _names(old.features) if name in both]
    return [after for was, after in zip(before, kept, strict=True) if was != after]


def _redefined_features(old: Configuration, new: Configuration) -> Iterable[object]:
    """Tell of another definition only where the features are the same: with other features it says nothing more."""
    same = set(_names(old.features)) == set(_names(new.features))
    return (
        find_changes({"feature_version": old.feature_version}, {"feature_version": new.feature_version}) if same else []
    )


def _target(old: Configuration, new: Configuration) -> Iterable[object]:
    return find_changes(old.target, new.target)


def _tuning(old: Configuration, new: Configuration) -> Iterable[object]:
    return find_changes(old.hyperparameters, new.hyperparameters)


def _has_more(old: Configuration, new: Configuration) -> bool:
    return new.data.total > old.data.total * MORE


def _more_data(old: Configuration, new: Configuration) -> Iterable[object]:
    return [f"{old.data.total:,} samples became {new.data.total:,}"] if _has_more(old, new) else []


def _other_data(old: Configuration, new: Configuration) -> Iterable[object]:
    before, after = ({"ranges": data.ranges, "samples": data.samples} for data in (old.data, new.data))
    return [] if _has_more(old, new) else find_changes(before, after)


def _retrained(old: Configuration, new: Configuration) -> Iterable[object]:
    return [f"sha256 {new.digest[:12] or 'unknown'}"] if old.digest != new.digest else []


RULES: tuple[Rule, ...] = (
    Rule("architecture", Part.MAJOR, "the architecture changed", _architecture),
    Rule("removed features", Part.MAJOR, "features are gone or have other names", _removed_features),
    Rule("retyped features", Part.MAJOR, "features have other types or units", find_retyped),
    Rule("reordered features", Part.MAJOR, "features stand in another order", find_moved),
    Rule("redefined features", Part.MAJOR, "the same features are defined anew", _redefined_features),
    Rule("target", Part.MAJOR, "the target changed", _target),
    Rule("added features", Part.MINOR, "features were added", _added_features),
    Rule("tuning", Part.MINOR, "hyperparameters were tuned", _tuning),
    Rule("more data", Part.MINOR, "it was trained on more data", _more_data),
    Rule("other data", Part.PATCH, "it was trained on other data", _other_data),
    Rule("retrained or fixed", Part.PATCH, "the artifact is another one", _retrained),
)


def decide(old: Configuration, new: Configuration) -> Change:
    """Give the highest part that a rule asks for, with the sentences of the rules that ask for it."""
    asked = [(rule.part, sentence) for rule in RULES if (sentence := rule.explain(old, new))]
    part = max((found for found, _ in asked), default=Part.PATCH)
    return Change(part, tuple(sentence for found, sentence in asked if found is part))


def next_version(latest: Version | None, change: Change | None = None) -> Version:
    """Give the number of the version that comes next; it is always higher than the latest."""
    return latest.bump(change.part if change else Part.PATCH) if latest else FIRST
