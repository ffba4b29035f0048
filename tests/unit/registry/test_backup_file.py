"""The file of a backup: whole, or refused; whatever happens to it on the way."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin_services.registry import errors
from serin_services.registry.backup import archive, reading

CONTENTS = archive.Contents(
    made_at="2026-11-21T12:00:00+00:00", schema="1", rows={"models": 2}, artifacts=2, encrypted=1
)
MEMBERS = {"tables/models/000000.jsonl.gz": b"rows", "artifacts/a": b"", "artifacts/b": bytes(range(256)) * 9000}


def write(members: dict[str, bytes], *, finished: bool = True) -> bytes:
    file = io.BytesIO()
    with archive.Writer(file) as writer:
        for name, content in members.items():
            writer.add(name, len(content), split(content))
        if finished:
            writer.finish(CONTENTS)
    return file.getvalue()


def split(content: bytes) -> list[bytes]:
    return [content[start : start + 1000] for start in range(0, len(content), 1000)]


def read_all(path: Path) -> dict[str, bytes]:
    return {member.name: b"".join(member.chunks) for member in reading.read(path, "")}


@pytest.fixture
def place(tmp_path: Path) -> Callable[[bytes], Path]:
    def put(content: bytes) -> Path:
        path = tmp_path / "backup.tar"
        path.write_bytes(content)
        return path

    return put


def test_what_was_written_is_read_in_its_order_and_whole(place):
    path = place(write(MEMBERS))
    assert reading.check(path) == CONTENTS
    assert list(read_all(path).items()) == list(MEMBERS.items())


def test_only_the_members_below_a_prefix_are_given(place):
    path = place(write(MEMBERS))
    assert [member.name for member in reading.read(path, "artifacts/")] == ["artifacts/a", "artifacts/b"]


def test_a_backup_of_nothing_is_one(place):
    assert reading.check(place(write({}))) == CONTENTS


def test_many_members_and_long_names_need_no_memory_for_each(place):
    members = {f"artifacts/{'x' * 300}/{number}": b"%d" % number for number in range(500)}
    path = place(write(members))
    reading.check(path)
    assert read_all(path) == members


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "it is no tar file", id="an empty file"),
        pytest.param(b"hello" * 1000, "it is no tar file", id="another kind of file"),
        pytest.param(write(MEMBERS, finished=False), "its last member is not", id="a backup that never ended"),
        pytest.param(write({}, finished=False), "its last member is not", id="an empty tar file"),
    ],
)
def test_what_is_no_backup_is_refused_with_the_reason(place, content, said):
    with pytest.raises(errors.InvalidError, match=said):
        reading.check(place(content))


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(errors.InvalidError, match="there is no such file"):
        reading.check(tmp_path / "none.tar")


WHOLE = write({name: content[:3000] for name, content in MEMBERS.items()})
LENGTH_OF_CONTENT = len(WHOLE.rstrip(b"\0"))


@settings(deadline=None, max_examples=60)
@given(length=st.integers(0, LENGTH_OF_CONTENT - 1))
def test_a_backup_that_was_cut_off_anywhere_is_refused(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("cut") / "backup.tar"
    path.write_bytes(WHOLE[:length])
    with pytest.raises(errors.InvalidError):
        reading.check(path)


@settings(deadline=None, max_examples=80)
@given(position=st.integers(0, LENGTH_OF_CONTENT - 1), byte=st.integers(0, 255))
def test_a_changed_byte_is_found_or_changes_nothing_that_is_read(tmp_path_factory, position, byte):
    changed = bytearray(WHOLE)
    changed[position] = byte
    path = tmp_path_factory.mktemp("changed") / "backup.tar"
    path.write_bytes(changed)
    try:
        contents = reading.check(path)
    except errors.InvalidError:
        assert changed != WHOLE
    else:
        assert contents == CONTENTS
        assert read_all(path) == {name: content[:3000] for name, content in MEMBERS.items()}


@pytest.mark.parametrize("member", ["tables/models/000000.jsonl.gz", "artifacts/b"])
def test_a_member_that_is_left_out_or_stands_elsewhere_is_missed(place, member):
    others = {name: content for name, content in MEMBERS.items() if name != member}
    whole, fewer = write(MEMBERS), write(others)
    # The manifest of all of them behind fewer members.
    manifest = whole[whole.index(archive.MANIFEST.encode()) :]
    forged = fewer[: fewer.index(archive.MANIFEST.encode())] + manifest
    with pytest.raises(errors.InvalidError):
        reading.check(place(forged))


@pytest.mark.parametrize(
    ("size", "said"),
    [
        pytest.param(5, "got 4", id="fewer bytes than were said"),
        pytest.param(3, "got more", id="more bytes than were said"),
    ],
)
def test_a_source_of_another_size_than_it_said_ends_the_backup(size, said):
    with archive.Writer(io.BytesIO()) as writer, pytest.raises(errors.UnavailableError, match=said):
        writer.add("artifacts/a", size, [b"ab", b"cd"])


def test_a_file_that_changes_after_it_was_checked_is_found_while_it_is_read(place):
    path = place(write(MEMBERS))
    reading.check(path)
    content = bytearray(path.read_bytes())
    content[content.index(bytes(range(256))) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(errors.InvalidError, match="artifacts/b"):
        read_all(path)
