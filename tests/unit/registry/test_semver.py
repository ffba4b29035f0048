import dataclasses
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serin_services.package import manifest
from serin_services.registry.core import semver
from serin_services.registry.core.configuration import Configuration, Data, Feature
from serin_services.registry.core.semver import Change, Part, Version

# From the specification's sections 9 to 11 and its examples.
ASCENDING = [
    "0.0.4",
    "0.9.0",
    "1.0.0-0",
    "1.0.0-1",
    "1.0.0-11",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1-rc",
    "1.0.1",
    "1.9.0",
    "1.10.0",
    "1.11.0",
    "2.0.0",
]


def test_versions_have_the_order_of_the_specification() -> None:
    parsed = [Version.parse(text) for text in ASCENDING]
    assert sorted(set(parsed)) == parsed
    for position, one in enumerate(parsed):
        for place, other in enumerate(parsed):
            assert (one < other, one == other, one > other) == (position < place, position == place, position > place)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.4",
        "1.2.3",
        "10.20.30",
        "1.1.2-prerelease",
        "1.0.0-alpha.0valid",
        "1.0.0-0A.is.legal",
        "1.2.3----RC-SNAPSHOT.12.9.1--.12",
        "1.0.0--a",
    ],
)
def test_a_version_is_written_as_it_was_read(text: str) -> None:
    assert str(Version.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("1", id="one number"),
        pytest.param("1.2", id="two numbers"),
        pytest.param("1.2.3.4", id="four numbers"),
        pytest.param("v1.2.3", id="a letter before it"),
        pytest.param("01.2.3", id="a leading zero"),
        pytest.param("1.2.3-01", id="a leading zero in a number of the pre-release"),
        pytest.param("1.2.3-", id="an empty pre-release"),
        pytest.param("1.2.3-a..b", id="an empty word in the pre-release"),
        pytest.param("1.2.3-a_b", id="a character that is not allowed"),
        pytest.param("1.2.3+build", id="build metadata, which a label value cannot have"),
        pytest.param("1.2.3-rc-", id="a dash at the end, which a label value cannot have"),
        pytest.param("1.2.3\n", id="a line break behind it"),
        pytest.param("\u0661.2.3", id="digits of another script"),
        pytest.param(f"1.2.{'3' * 60}", id="more characters than a label value has"),
    ],
)
def test_what_is_not_a_version_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape("expected MAJOR.MINOR.PATCH")):
        Version.parse(text)


NUMBERS = st.integers(0, 10_000)
WORDS = st.from_regex(r"\A(0|[1-9][0-9]{0,3}|[0-9]{0,2}[a-z][a-z0-9]{0,4})\Z")
VERSIONS = st.builds(Version, NUMBERS, NUMBERS, NUMBERS, st.lists(WORDS, max_size=4).map(tuple))


@given(version=VERSIONS)
def test_every_version_is_also_a_label_value(version: Version) -> None:
    assert re.fullmatch(manifest.VERSION_PATTERN, str(version))
    assert Version.parse(str(version)) == version


@settings(max_examples=40)
@given(one=VERSIONS, other=VERSIONS, third=VERSIONS)
def test_the_order_is_total(one: Version, other: Version, third: Version) -> None:
    assert [one < other, one == other, other < one].count(True) == 1
    if one < other < third:
        assert one < third


def configuration(**changes: Any) -> Configuration:
    usual: dict[str, Any] = {
        "family": "xgboost",
        "structure": {"trees": {"depth": 6}},
        "hyperparameters": {"eta": 0.1, "rounds": 100},
        "features": tuple(Feature(name) for name in ("close", "volume", "rsi")),
        "feature_version": "7",
        "target": {"name": "up", "horizon": "1h"},
        "data": Data({"train": ("2026-01-01", "2026-03-31")}, {"train": 25_000}),
        "digest": "a" * 64,
    }
    return Configuration(**(usual | changes))


def features(*names: str) -> tuple[Feature, ...]:
    return tuple(Feature(name) for name in names)


@pytest.mark.parametrize(
    ("changes", "part", "said"),
    [
        pytest.param(
            {"family": "lightgbm"},
            Part.MAJOR,
            "the architecture changed: family: 'xgboost' became 'lightgbm'",
            id="another family",
        ),
        pytest.param(
            {"structure": {"trees": {"depth": 8}}},
            Part.MAJOR,
            "the architecture changed: trees.depth: 6 became 8",
            id="another structure",
        ),
        pytest.param(
            {"features": features("close", "volume")},
            Part.MAJOR,
            "features are gone or have other names: rsi",
            id="a feature less",
        ),
        pytest.param(
            {"features": features("close", "volume", "rsi14")},
            Part.MAJOR,
            "features are gone or have other names: rsi",
            id="a renamed feature",
        ),
        pytest.param(
            {"features": features("volume", "close", "rsi")},
            Part.MAJOR,
            "features stand in another order: volume, close",
            id="features in another order",
        ),
        pytest.param(
            {"features": (Feature("close", "float32"), *features("volume", "rsi"))},
            Part.MAJOR,
            "features have other types or units: close.dtype: 'float64' became 'float32'",
            id="a feature of another type",
        ),
        pytest.param(
            {"features": (Feature("close", unit="EUR"), *features("volume", "rsi"))},
            Part.MAJOR,
            "features have other types or units: close.unit: None became 'EUR'",
            id="a feature in another unit",
        ),
        pytest.param(
            {"feature_version": "8"},
            Part.MAJOR,
            "the same features are defined anew: feature_version: '7' became '8'",
            id="the same features, computed in another way",
        ),
        pytest.param(
            {"target": {"name": "up", "horizon": "4h"}},
            Part.MAJOR,
            "the target changed: horizon: '1h' became '4h'",
            id="another target",
        ),
        pytest.param(
            {"features": features("close", "volume", "rsi", "macd"), "feature_version": "8"},
            Part.MINOR,
            "features were added: macd",
            id="a feature more",
        ),
        pytest.param(
            {"features": features("macd", "close", "volume", "rsi")},
            Part.MINOR,
            "features were added: macd",
            id="a feature more before the others",
        ),
        pytest.param(
            {"hyperparameters": {"eta": 0.05, "rounds": 100}},
            Part.MINOR,
            "hyperparameters were tuned: eta: 0.1 became 0.05",
            id="tuning",
        ),
        pytest.param(
            {"hyperparameters": {"eta": 0.1}},
            Part.MINOR,
            "hyperparameters were tuned: rounds: 100 became nothing",
            id="a hyperparameter left to its default",
        ),
        pytest.param(
            {"data": Data({"train": ("2025-01-01", "2026-03-31")}, {"train": 125_000})},
            Part.MINOR,
            "it was trained on more data: 25,000 samples became 125,000",
            id="more data",
        ),
        pytest.param(
            {"data": Data({"train": ("2026-01-08", "2026-04-07")}, {"train": 25_100})},
            Part.PATCH,
            "it was trained on other data",
            id="a window that slid on and holds a few more samples",
        ),
        pytest.param(
            {"data": Data({"train": ("2026-01-01", "2026-03-31")}, {"train": 5_000})},
            Part.PATCH,
            "it was trained on other data",
            id="less data",
        ),
        pytest.param(
            {"digest": "b" * 64},
            Part.PATCH,
            f"the artifact is another one: sha256 {'b' * 12}",
            id="retrained: another artifact of the same configuration",
        ),
    ],
)
def test_a_change_moves_its_part(changes: dict[str, Any], part: Part, said: str) -> None:
    change = semver.decide(configuration(), configuration(**changes))
    assert change.part is part
    assert len(change.reasons) == 1
    assert said in change.reasons[0]
    assert str(change) == f"{part.name}: {change.reasons[0]}"


def test_no_change_is_said_too() -> None:
    assert str(semver.decide(configuration(), configuration())) == "nothing changed: same configuration, same artifact"


def test_only_the_reasons_of_the_highest_part_are_given() -> None:
    change = semver.decide(
        configuration(), configuration(family="torch", target={}, hyperparameters={}, digest="c" * 64)
    )
    assert change.part is Part.MAJOR
    assert [reason.partition(":")[0] for reason in change.reasons] == ["the architecture changed", "the target changed"]


VALUES = st.one_of(st.integers(-3, 3), st.booleans(), st.sampled_from(["a", "b"]), st.none())
DICTS = st.dictionaries(
    st.sampled_from("pqrs"), st.one_of(VALUES, st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3)), max_size=4
)
FEATURES = st.lists(
    st.builds(Feature, st.sampled_from(["close", "volume", "rsi", "macd"]), st.sampled_from(["float32", "float64"])),
    unique_by=lambda feature: feature.name,
    max_size=4,
).map(tuple)
CONFIGURATIONS = st.builds(
    Configuration,
    family=st.sampled_from(["xgboost", "torch"]),
    structure=DICTS,
    hyperparameters=DICTS,
    features=FEATURES,
    feature_version=st.sampled_from(["1", "2"]),
    target=DICTS,
    data=st.builds(Data, samples=st.dictionaries(st.sampled_from(["train", "test"]), st.integers(0, 100))),
    digest=st.sampled_from(["a" * 64, "b" * 64]),
)


@settings(max_examples=40)
@given(old=CONFIGURATIONS, new=CONFIGURATIONS)
def test_the_decision_is_the_highest_of_all_rules(old: Configuration, new: Configuration) -> None:
    change = semver.decide(old, new)
    asked = [rule for rule in semver.RULES if rule.explain(old, new)]
    assert change.part == max([rule.part for rule in asked], default=Part.PATCH)
    assert len(change.reasons) == sum(rule.part is change.part for rule in asked)


@given(found=CONFIGURATIONS)
def test_nothing_differs_from_itself(found: Configuration) -> None:
    assert semver.decide(found, Configuration.load(found.dump())) == Change(Part.PATCH, ())


@settings(max_examples=40)
@given(old=CONFIGURATIONS, new=CONFIGURATIONS)
def test_a_difference_has_a_reason(old: Configuration, new: Configuration) -> None:
    """1 and true are equal to Python, and not to JSON: such pairs differ, too."""
    assume(old.dump() != new.dump())
    assert semver.decide(old, new).reasons


def turn_round(value: Any) -> Any:
    return {key: turn_round(value[key]) for key in reversed(value)} if isinstance(value, dict) else value


@settings(max_examples=40)
@given(old=CONFIGURATIONS, new=CONFIGURATIONS)
def test_the_order_of_keys_is_irrelevant(old: Configuration, new: Configuration) -> None:
    fields = ("structure", "hyperparameters", "target")
    turned = dataclasses.replace(new, **{name: turn_round(getattr(new, name)) for name in fields})
    assert semver.decide(old, turned) == semver.decide(old, new)
    assert semver.decide(turned, old) == semver.decide(new, old)


@given(latest=VERSIONS, part=st.sampled_from(Part))
def test_the_next_version_is_always_higher_and_the_least_release_of_its_part(latest: Version, part: Part) -> None:
    following = semver.next_version(latest, Change(part))
    assert following > latest
    assert not following.pre
    if part is not Part.PATCH:
        assert following.patch == 0
    if part is Part.MAJOR:
        assert following.minor == 0


@pytest.mark.parametrize(
    ("latest", "part", "expected"),
    [
        pytest.param("1.2.3", Part.PATCH, "1.2.4", id="a patch"),
        pytest.param("1.2.3", Part.MINOR, "1.3.0", id="a minor one starts its patches at 0"),
        pytest.param("1.2.3", Part.MAJOR, "2.0.0", id="a major one starts all at 0"),
        pytest.param("2.0.0-rc.1", Part.PATCH, "2.0.0", id="a release candidate becomes its release"),
        pytest.param("2.0.0-rc.1", Part.MAJOR, "2.0.0", id="also by a major change"),
        pytest.param(
            "1.2.0-rc.1", Part.MAJOR, "2.0.0", id="a candidate of a minor version does not hold a major change"
        ),
        pytest.param("1.2.3-rc.1", Part.MINOR, "1.3.0", id="a candidate of a patch does not hold a minor change"),
    ],
)
def test_next_version(latest: str, part: Part, expected: str) -> None:
    assert str(semver.next_version(Version.parse(latest), Change(part))) == expected


def test_the_first_version() -> None:
    assert str(semver.next_version(None)) == "1.0.0"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param({}, "configuration.family: missing", id="no family"),
        pytest.param({"family": "x", "colour": 1}, "unknown colour", id="an unknown field"),
        pytest.param(
            {"family": "x", "features": [{"dtype": "float32"}]}, "another form", id="a feature without a name"
        ),
        pytest.param({"family": "x", "data": {"ranges": {"train": ["2026"]}}}, "another form", id="half a range"),
    ],
)
def test_a_configuration_of_another_form_is_refused(found: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Configuration.load(found)
