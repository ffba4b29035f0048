"""The audit log's hash chain: what is changed, taken out, put in or moved afterwards is found.

Each entry carries the digest of the one before it, and its own digest is the SHA-256 of both. The entries are hashed in the
canonical form of RFC 8785 (JSON Canonicalization Scheme), which does not change when a database stores numbers and keys
in its own way. Whoever can write all entries can also write a new chain: keep the head elsewhere, and that is found, too.
"""

import dataclasses
import decimal
import hashlib
import hmac
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

# The largest integer up to which a double holds every integer (RFC 8785, 3.2.2.3, and RFC 7493).
_SAFE = 2**53 - 1


@dataclasses.dataclass(frozen=True)
class Entry:
    """One change: who did what to which thing, when; `previous` and `digest` (hexadecimal) are filled in by `link`."""

    seq: int
    at: datetime
    tenant: str
    actor: str
    action: str
    object_type: str
    object_id: str
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    previous: str = ""
    digest: str = ""


@dataclasses.dataclass(frozen=True)
class Head:
    """The end of a tenant's chain: the number and digest of its last entry."""

    seq: int
    digest: str


# What the first entry follows.
START = Head(0, "0" * 64)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came of a look at a chain: how many entries are good, the first that is not, and the head of the good ones."""

    ok: bool
    count: int
    broken: int | None
    reason: str
    head: Head


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Give the one way to write a JSON value, by RFC 8785: sorted keys, no spaces, numbers as ECMAScript writes them.

    Raises:
        ValueError: the value is not JSON, or a number that a double does not hold; write such a number as text.
    """
    return _write(value).encode()


def _write(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if value is None or isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)):
        return _write_number(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_write, value))}]"
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        # By UTF-16 code units, as the RFC asks for; UTF-8 sorts characters beyond the first plane otherwise.
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return f"{{{','.join(f'{_write(key)}:{_write(value[key])}' for key in keys)}}}"
    raise ValueError(
        f"{type(value).__name__} is not a JSON value: expected null, true, a number, text, a list or an object"
    )


def _write_number(number: float) -> str:
    if not math.isfinite(number) or abs(number) > _SAFE:
        raise ValueError(f"{number} cannot be written exactly as a JSON number of at most {_SAFE}: write it as text")
    if number == int(number):
        return str(int(number))
    shortest = repr(number)
    # Python goes over to exponents below 0.0001, ECMAScript below 0.000001, and without a leading zero.
    return format(decimal.Decimal(shortest), "f") if abs(number) >= 1e-6 else shortest.replace("e-0", "e-")


def compute_digest(entry: Entry) -> str:
    """Give SHA-256 over the previous entry's digest and this entry's content, in hexadecimal.

    Raises:
        ValueError: the time has no zone, or the details are not JSON.
    """
    if entry.at.tzinfo is None:
        raise ValueError(f"the time of entry {entry.seq} has no zone: {entry.at.isoformat()}")
    content = {
        field.name: getattr(entry, field.name)
        for field in dataclasses.fields(entry)
        if field.name not in ("at", "previous", "digest")
    }
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(bytes.fromhex(entry.previous) + canonical({**content, "at": at})).hexdigest()


def link(head: Head, entry: Entry) -> Entry:
    """Give the entry as the next one of the chain: with its number, the digest before it and its own."""
    linked = dataclasses.replace(entry, seq=head.seq + 1, previous=head.digest, digest="")
    return dataclasses.replace(linked, digest=compute_digest(linked))


def verify(entries: Iterable[Entry], head: Head | None = None, start: Head = START) -> Verdict:
    """Check a tenant's entries in the order of their numbers, one by one; `head` is the end that was noted elsewhere.

    Without a head, entries missing at the end cannot be told from entries that were never there.
    """
    last, count = start, 0
    for entry in entries:
        reason = next((sentence for is_wrong, sentence in _FAULTS if is_wrong(last, entry)), None)
        if reason:
            return Verdict(False, count, entry.seq, reason.format(entry=entry, last=last), last)
        last, count = Head(entry.seq, entry.digest), count + 1
    if head is not None and head.seq != last.seq:
        missing = f"the chain ends at entry {last.seq}, and its head was noted at {head.seq}: entries are missing or were added"
        return Verdict(False, count, min(head.seq, last.seq) + 1, missing, last)
    if head is not None and head.digest != last.digest:
        return Verdict(
            False, count, last.seq, f"entry {last.seq} is not the one noted as the head: the chain was rewritten", last
        )
    return Verdict(True, count, None, f"{count} entries, unbroken", last)


def _is_changed(entry: Entry) -> bool:
    try:
        return not hmac.compare_digest(compute_digest(entry).encode(), entry.digest.encode())
    except ValueError:
        return True


# In this order: the first that holds says what happened.
_FAULTS: tuple[tuple[Callable[[Head, Entry], bool], str], ...] = (
    (lambda last, entry: entry.seq > last.seq + 1, "entries between {last.seq} and {entry.seq} are missing"),
    (lambda last, entry: entry.seq <= last.seq, "entry {entry.seq} comes after {last.seq}: it was put in or moved"),
    (
        lambda last, entry: entry.previous != last.digest,
        "entry {entry.seq} does not follow entry {last.seq} as that stands here: one of them was changed or put in",
    ),
    (lambda last, entry: _is_changed(entry), "entry {entry.seq} was changed: its content does not give its digest"),  # noqa: ARG005
)
