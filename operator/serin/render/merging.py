"""Merging a user's pod settings over ours, and comparing what is wanted with what is there."""

from typing import Any

# What identifies an entry of a list in a pod: mounts have a path, ports a name, everything else a name.
_KEYS = ("mountPath", "name")


def merge(base: Any, over: Any) -> Any:  # noqa: ANN401 - any JSON
    """Lay `over` over `base`: maps key by key, lists of named entries entry by entry, all else replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        merged = {key: merge(value, over[key]) if key in over else value for key, value in base.items()}
        return merged | {key: value for key, value in over.items() if key not in base}
    if isinstance(base, list) and isinstance(over, list):
        return _merge_lists(base, over)
    return over


def _merge_lists(base: list[Any], over: list[Any]) -> list[Any]:
    key = next((key for key in _KEYS if all(isinstance(item, dict) and key in item for item in [*base, *over])), None)
    if key is None:
        return over
    given = {item[key]: item for item in over}
    merged = [merge(item, given.pop(item[key])) if item[key] in given else item for item in base]
    return [*merged, *given.values()]


def contains(live: Any, wanted: Any) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether everything wanted is there; what the API server or others add does not matter."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(key in live and contains(live[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return (
            isinstance(live, list)
            and len(live) == len(wanted)
            and all(contains(one, other) for one, other in zip(live, wanted, strict=True))
        )
    return bool(live == wanted)
