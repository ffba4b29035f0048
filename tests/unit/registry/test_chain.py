import dataclasses
import hashlib
import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serin_services.registry.core import chain
from serin_services.registry.core.chain import START, Entry, Head

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def note(number: int, **changes: Any) -> Entry:
    usual = Entry(
        0, AT + timedelta(minutes=number), "trading", "ada", "promote", "version", f"v{number}", {"to": number}
    )
    return dataclasses.replace(usual, **changes)


def make_chain(length: int) -> list[Entry]:
    entries, head = [], START
    for number in range(length):
        entry = chain.link(head, note(number))
        entries.append(entry)
        head = Head(entry.seq, entry.digest)
    return entries


def head_of(entries: list[Entry]) -> Head:
    return Head(entries[-1].seq, entries[-1].digest) if entries else START


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            {"b": 1, "a": [None, True, False]}, '{"a":[null,true,false],"b":1}', id="keys are sorted, without spaces"
        ),
        pytest.param(
            {"\ufb33": 1, "\U0001f600": 2, "€": 3, "ö": 4, "1": 5, "\r": 6},
            '{"\\r":6,"1":5,"ö":4,"€":3,"\U0001f600":2,"\ufb33":1}',
            id="by UTF-16 code units, as in the RFC's own example",
        ),
        pytest.param(
            '€$\u000f\nA\'B"\\\\"/',
            '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"',
            id="only what must be escaped is, as in the RFC's example",
        ),
        pytest.param([1.0, -0.0, 100000.0, 4.5, 0.002], "[1,0,100000,4.5,0.002]", id="whole numbers have no fraction"),
        pytest.param(
            [1e-6, 1.5e-7, 1e-27, -0.00012],
            "[0.000001,1.5e-7,1e-27,-0.00012]",
            id="small numbers as ECMAScript writes them",
        ),
        pytest.param((1, 2), "[1,2]", id="a tuple is a list"),
        pytest.param({}, "{}", id="an empty object"),
    ],
)
def test_the_canonical_form_of_rfc_8785(value: Any, expected: str) -> None:
    assert chain.canonical(value).decode() == expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(math.nan, id="not a number"),
        pytest.param(math.inf, id="infinity"),
        pytest.param(2**53, id="an integer that a double may not hold"),
        pytest.param({1: 2}, id="a key that is no text"),
        pytest.param(AT, id="a time, which is not JSON"),
        pytest.param({"a": {1, 2}}, id="a set inside"),
        pytest.param("\ud800", id="half a character"),
    ],
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        chain.canonical(value)


SAFE = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2**53) + 1, 2**53 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | SAFE | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON)
def test_the_canonical_form_is_json_of_the_same_value(value: Any) -> None:
    assert json.loads(chain.canonical(value)) == value
    assert chain.canonical(json.loads(chain.canonical(value))) == chain.canonical(value)


@given(number=SAFE)
def test_a_number_has_one_form_however_a_database_gives_it_back(number: float) -> None:
    assert chain.canonical(number) == chain.canonical(float(number))


def test_the_digest_is_that_of_the_previous_digest_and_the_content() -> None:
    """By hand, so that a chain can be checked without this code."""
    entry = make_chain(1)[0]
    content = (
        '{"action":"promote","actor":"ada","at":"2026-05-01T12:00:00.000000+00:00","details":{"to":0},"object_id":"v0",'
        '"object_type":"version","seq":1,"tenant":"trading"}'
    )
    assert entry.digest == hashlib.sha256(bytes(32) + content.encode()).hexdigest()
    assert entry.previous == "0" * 64


def test_the_same_time_in_another_zone_has_the_same_digest() -> None:
    entry = make_chain(1)[0]
    elsewhere = dataclasses.replace(entry, at=entry.at.astimezone(timezone(timedelta(hours=2))))
    assert chain.verify([elsewhere]).ok


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no zone"):
        chain.link(START, note(0, at=AT.replace(tzinfo=None)))


@pytest.mark.parametrize("length", [0, 1, 5])
def test_a_chain_that_nobody_touched_is_whole(length: int) -> None:
    entries = make_chain(length)
    verdict = chain.verify(iter(entries), head_of(entries))
    assert (verdict.ok, verdict.count, verdict.broken, verdict.head) == (True, length, None, head_of(entries))


def test_a_chain_can_be_checked_in_parts() -> None:
    entries = make_chain(6)
    first = chain.verify(entries[:3])
    assert chain.verify(entries[3:], head_of(entries), start=first.head).ok
    assert not chain.verify(entries[4:], start=first.head).ok


def forge(entries: list[Entry], position: int) -> list[Entry]:
    """Change an entry and link all that follow anew, as whoever can write the table could."""
    head, forged = START, []
    for number, entry in enumerate(entries):
        changed = dataclasses.replace(entry, actor="eve") if number == position else entry
        forged.append(chain.link(head, changed))
        head = head_of(forged)
    return forged


FIVE = make_chain(5)


@pytest.mark.parametrize(
    ("entries", "broken", "said"),
    [
        pytest.param(
            [*FIVE[:2], dataclasses.replace(FIVE[2], actor="eve"), *FIVE[3:]],
            3,
            "was changed",
            id="an entry was changed",
        ),
        pytest.param([*FIVE[:2], *FIVE[3:]], 4, "between 2 and 4 are missing", id="an entry was taken out"),
        pytest.param(FIVE[1:], 2, "between 0 and 2 are missing", id="the first was taken out"),
        pytest.param([*FIVE[:3], FIVE[2], *FIVE[3:]], 3, "put in or moved", id="an entry stands there twice"),
        pytest.param([*FIVE[:2], FIVE[3], FIVE[2], FIVE[4]], 4, "are missing", id="two entries were exchanged"),
        pytest.param(
            [*FIVE[:2], *[dataclasses.replace(entry, seq=entry.seq - 1) for entry in FIVE[3:]]],
            3,
            "does not follow",
            id="the numbers were closed up behind a missing entry",
        ),
        pytest.param(
            [
                *FIVE[:2],
                chain.link(head_of(FIVE[:2]), note(9)),
                *[dataclasses.replace(entry, seq=entry.seq + 1) for entry in FIVE[2:]],
            ],
            4,
            "does not follow",
            id="an entry was put in, and those behind renumbered",
        ),
        pytest.param(
            [*FIVE[:4], dataclasses.replace(FIVE[4], digest="f" * 64)],
            5,
            "was changed",
            id="the last digest was changed",
        ),
        pytest.param(
            [*FIVE[:4], dataclasses.replace(FIVE[4], details={"to": math.nan})],
            5,
            "was changed",
            id="details that cannot be written any more",
        ),
        pytest.param(FIVE[:3], 4, "are missing or were added", id="the end was cut off"),
        pytest.param([], 1, "are missing or were added", id="everything was deleted"),
        pytest.param(forge(FIVE, 4), 5, "rewritten", id="the last entry was changed and linked anew"),
        pytest.param(forge(FIVE, 0), 5, "rewritten", id="the whole chain was written anew"),
        pytest.param(
            [*FIVE, chain.link(head_of(FIVE), note(5))],
            6,
            "are missing or were added",
            id="an entry was added behind the head",
        ),
    ],
)
def test_what_was_done_to_a_chain_is_found(entries: list[Entry], broken: int, said: str) -> None:
    verdict = chain.verify(entries, head_of(FIVE))
    assert not verdict.ok
    assert verdict.broken == broken
    assert said in verdict.reason


MUTATIONS = st.one_of(
    st.tuples(
        st.sampled_from(["tenant", "actor", "action", "object_type", "object_id", "previous", "digest"]),
        st.text(max_size=4),
    ),
    st.tuples(st.just("seq"), st.integers(-2, 9)),
    st.tuples(st.just("at"), st.datetimes(timezones=st.just(UTC))),
    st.tuples(st.just("details"), st.dictionaries(st.text(max_size=2), JSON, max_size=2)),
)


@settings(max_examples=60)
@given(position=st.integers(0, 4), mutation=MUTATIONS)
def test_any_single_mutation_of_any_entry_is_found(position: int, mutation: tuple[str, Any]) -> None:
    field, value = mutation
    assume(getattr(FIVE[position], field) != value)
    entries = [*FIVE[:position], dataclasses.replace(FIVE[position], **{field: value}), *FIVE[position + 1 :]]
    verdict = chain.verify(entries)
    assert not verdict.ok
    assert verdict.count == position
    assert verdict.head == head_of(FIVE[:position])


@given(order=st.permutations(range(5)))
def test_any_other_order_is_found(order: list[int]) -> None:
    assert chain.verify([FIVE[number] for number in order]).ok is (order == sorted(order))


@given(kept=st.sets(st.integers(0, 4)))
def test_any_missing_entry_is_found_when_the_head_is_known(kept: set[int]) -> None:
    assert chain.verify([FIVE[number] for number in sorted(kept)], head_of(FIVE)).ok is (len(kept) == 5)


@given(position=st.integers(0, 4))
def test_a_rewritten_chain_is_found_by_its_head_alone(position: int) -> None:
    forged = forge(FIVE, position)
    assert chain.verify(forged).ok
    assert not chain.verify(forged, head_of(FIVE)).ok
