"""The number of a new version, from its parent, what changed and what is taken."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin_services.registry.core import numbering
from serin_services.registry.core.semver import Change, Part, Version

PARTS = {part: Change(part, ("something changed",)) for part in Part}
NUMBERS = st.builds(Version, st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))


def parse(*texts: str) -> list[Version]:
    return [Version.parse(text) for text in texts]


@pytest.mark.parametrize(
    ("parent", "taken", "part", "expected"),
    [
        pytest.param(None, [], None, "1.0.0", id="the first version of a model is 1.0.0"),
        pytest.param("1.2.0", ["1.2.0"], Part.PATCH, "1.2.1", id="a retrained version moves the patch"),
        pytest.param("1.2.3", ["1.2.3"], Part.MINOR, "1.3.0", id="an added feature moves the minor"),
        pytest.param("1.2.3", ["1.2.3"], Part.MAJOR, "2.0.0", id="another architecture moves the major"),
        pytest.param("1.2.0", ["1.2.0", "2.0.0"], Part.PATCH, "1.2.1", id="a fix of an older line stays on that line"),
        pytest.param("1.2.0", ["1.2.0", "1.2.4", "1.3.0"], Part.PATCH, "1.2.5", id="a fix comes after the line's last"),
        pytest.param(
            "1.2.0", ["1.2.0", "1.5.1", "2.0.0"], Part.MINOR, "1.6.0", id="tuning comes after the major's last"
        ),
        pytest.param("1.2.0", ["1.2.0", "3.1.4"], Part.MAJOR, "4.0.0", id="a new architecture comes after all"),
        pytest.param("2.0.0-rc.1", ["2.0.0-rc.1"], Part.PATCH, "2.0.0", id="what follows a pre-release is its release"),
    ],
)
def test_choosing(parent: str | None, taken: list[str], part: Part | None, expected: str) -> None:
    before = Version.parse(parent) if parent else None

    assert str(numbering.choose(before, parse(*taken), PARTS[part] if part else None)) == expected


@pytest.mark.parametrize(
    ("given_number", "part", "fits"),
    [
        pytest.param("1.2.1", Part.PATCH, True, id="the next patch is enough for a retrained version"),
        pytest.param("2.0.0", Part.PATCH, True, id="more than is demanded is allowed"),
        pytest.param("1.2.1", Part.MINOR, False, id="a patch is not enough for an added feature"),
        pytest.param("1.9.0", Part.MAJOR, False, id="a minor is not enough for another target"),
        pytest.param("2.0.0-rc.1", Part.MAJOR, True, id="a pre-release of the next major is enough"),
        pytest.param("1.2.0", Part.PATCH, False, id="the parent's own number is not enough"),
        pytest.param("1.1.9", Part.PATCH, False, id="a smaller number is not enough"),
    ],
)
def test_a_given_number(given_number: str, part: Part, fits: bool) -> None:
    problem = numbering.find_problem(Version.parse(given_number), Version.parse("1.2.0"), PARTS[part])

    assert (problem is None) is fits
    if problem:
        assert "1.2.0" in problem
        assert "something changed" in problem


@settings(max_examples=30)
@given(st.lists(NUMBERS, min_size=1, unique=True), st.data(), st.sampled_from(Part))
def test_the_chosen_number_is_free_and_is_enough(taken: list[Version], data: st.DataObject, part: Part) -> None:
    parent = data.draw(st.sampled_from(taken))

    chosen = numbering.choose(parent, taken, PARTS[part])

    assert chosen not in taken
    assert numbering.find_problem(chosen, parent, PARTS[part]) is None
