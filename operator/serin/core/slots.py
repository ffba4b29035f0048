"""Which revision each slot's Service selects.

A slot is never left without pods while there are any: Envoy Gateway lays a route out differently when one of its weighted
backends has no endpoints, and a request that arrives at that change is answered 503 (seen: 1 of 9,184, at weight 0). So a
slot selects its own revision only while that has ready pods, and the stable version's pods otherwise. A version that has
just lost all its pods keeps its slot while the gateway settles: see decision 10.
"""

from collections.abc import Mapping

from serin.core.model import Pods, Slot, State


def choose_revisions(state: State, pods: Mapping[str, Pods]) -> dict[Slot, str]:
    """Give the revision that each slot selects; nothing before there is any revision."""
    host = state.stable or state.candidate or state.leaving
    if host is None:
        return {}
    chosen = {host.slot: host.revision, host.slot.other: host.revision}
    split = 0 < state.weight < 100
    for guest in (state.leaving, state.candidate):
        if guest and guest.slot is not host.slot and (split or pods.get(guest.revision, Pods()).ready > 0):
            chosen[guest.slot] = guest.revision
    return chosen
