"""A part's image is named by what it is built from, and the chart is given what runs."""

import pathlib

import pytest

from serin_local import release


@pytest.fixture
def part(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> release.Part:
    """Give a part of a small tree."""
    monkeypatch.setattr(release, "ROOT", tmp_path)
    (tmp_path / "serin" / "__pycache__").mkdir(parents=True)
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    (tmp_path / "serin" / "main.py").write_text("one")
    return release.Part("serin-x", "x", ("Dockerfile", "serin"))


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        pytest.param("serin/main.py", True, id="a source"),
        pytest.param("serin/notes.mako", True, id="a file beside the sources"),
        pytest.param("Dockerfile", True, id="the Dockerfile"),
        pytest.param("serin/__pycache__/main.pyc", False, id="no source, but what Python left"),
        pytest.param("README.md", False, id="no source, but a file elsewhere"),
    ],
)
def test_a_tag_follows_the_source(part: release.Part, tmp_path: pathlib.Path, file: str, changes: bool) -> None:
    first = release.make_tag(part)
    assert release.make_tag(part) == first
    (tmp_path / file).write_text("two")
    assert (release.make_tag(part) != first) is changes


@pytest.mark.parametrize("part", [release.OPERATOR, release.REGISTRY], ids=lambda part: part.image)
def test_a_part_is_built_from_what_there_is(part: release.Part) -> None:
    assert release.is_checkout()
    assert [source for source in part.sources if not (release.ROOT / source).exists()] == []
    assert f" AS {part.target}\n" in (release.ROOT / "Dockerfile").read_text()


def test_what_a_part_copies_is_among_its_sources() -> None:
    """A source that the Dockerfile copies and the part does not name would not change the image's tag."""
    stages = (release.ROOT / "Dockerfile").read_text().split("\nFROM ")
    for part in (release.OPERATOR, release.REGISTRY):
        own = [stage for stage in stages if f" AS {part.target}-" in stage.partition("\n")[0]]
        copied = [
            line.split()[1].rstrip("/") for stage in own for line in stage.splitlines() if line.startswith("COPY ")
        ]
        assert copied
        assert set(copied) <= set(part.sources)


def test_the_chart_gets_the_image_by_repository_and_tag() -> None:
    assert release.make_image_values("registry.example:5000/serin-operator:abc") == {
        "repository": "registry.example:5000/serin-operator",
        "tag": "abc",
    }
