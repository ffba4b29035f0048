"""What became of which version, from one observation of a ModelDeployment to the next, however many were missed between.

Where versions stand now is read from the current object alone. How they came there is told from the difference to what was
seen before, with the object's own times. What people did with kubectl shows in the status like everything else.
"""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from serin_services.registry.core import events, sightings
from serin_services.registry.core.events import Event
from serin_services.registry.core.journeys import Move, Seen, find_moves, make_move
from serin_services.registry.core.sightings import Running, Sighting
from serin_services.registry.core.stages import Stage

__all__ = ["Account", "Event", "Move", "Seen", "read", "remove"]


@dataclasses.dataclass(frozen=True)
class Account:
    """What an observation adds: what to remember, the new events, the moves in their order, and where versions stand now."""

    seen: Seen
    events: tuple[Event, ...]
    moves: tuple[Move, ...]
    placements: Mapping[str, Stage]


def read(previous: Seen | None, current: Mapping[str, Any]) -> Account:
    """Tell what happened since the previous observation; None where there was none.

    An object with a deletion time counts as removed, and one with another uid as another object of the same name. A status
    that is lost changes nothing until the operator has rebuilt it.
    """
    sighting = sightings.look(current)
    if previous and previous.uid != sighting.uid:
        return _join(remove(previous, sighting.created), read(None, current))
    seen = previous or Seen(sighting.uid, sighting.namespace, sighting.name, sighting.model)
    if seen.removed:
        return Account(seen, (), (), {})
    account = _read(seen, dataclasses.replace(sighting, deleted=None))
    return _join(account, remove(account.seen, sighting.deleted)) if sighting.deleted else account


def remove(previous: Seen, at: datetime) -> Account:
    """Tell what it means that the object is gone: all its versions are archived."""
    if previous.removed:
        return Account(previous, (), (), {})
    moves = tuple(
        make_move(
            previous.uid,
            Running(version, previous.revisions[version]),
            source,
            Stage.ARCHIVED,
            at,
            True,
            "it was removed",
        )
        for version, source in previous.placements.items()
    )
    told = events.tell_removal(previous.uid, at)
    gone = dataclasses.replace(previous, placements={}, revisions={}, told=(told.key,), removed=True)
    return Account(gone, (told,), moves, {})


def _join(first: Account, second: Account) -> Account:
    told, moves = (*first.events, *second.events), (*first.moves, *second.moves)
    return Account(second.seen, told, moves, second.placements)


def _read(seen: Seen, sighting: Sighting) -> Account:
    told = events.tell(sighting)
    fresh = tuple(event for event in told if event.key not in seen.told)
    if not sighting.phase:
        known = tuple(dict.fromkeys((*seen.told, *(event.key for event in told))))
        return Account(dataclasses.replace(seen, told=known), fresh, (), seen.placements)
    moves = find_moves(seen, sighting)
    placed = sightings.place(sighting)
    found = {running.version: running.revision for running in (sighting.candidate, sighting.stable) if running}
    now = dataclasses.replace(
        seen,
        model=sighting.model,
        started=sighting.started.isoformat() if sighting.started else "",
        failure=sighting.failure.id if sighting.failure else "",
        retained=tuple(sighting.retained),
        placements=placed,
        revisions={version: found[version] for version in placed},
        told=tuple(event.key for event in told),
    )
    return Account(now, fresh, moves, placed)
